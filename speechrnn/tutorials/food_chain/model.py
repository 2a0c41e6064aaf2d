"""Train two networks on the five sentences of the food chain in the article "Recurrent Neural Networks".

After "feed on" five words can follow. A network that sees only the last word must guess; a recurrent network still
has the beginning of the sentence in its state.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.core.errors import UserError
from speechrnn.data.corpora.grammar import FOOD_CHAIN
from speechrnn.nn.recurrent import MODULES
from speechrnn.text.tokenizers import WordTokenizer
from speechrnn.tutorials.setting import check_loss

STARTS = ("Sharks", "Tuna fishes", "Small fishes", "Sea plants", "Micro-organisms")
MISTAKES = (
    "Sharks.",
    "Sharks feed on sharks.",
    "Sea plants.",
    "Sea plants feed on sharks.",
)  # wrong sentences of "Recurrent Neural Networks"
END = 0  # index of the end of a line, which also stands before each sentence
LONGEST = 15  # words; a sentence without an end is cut off after them


@dataclass(frozen=True)
class FoodChainOptions:
    """The keys of the recipe; conf/tutorials/food_chain.yaml explains them."""

    prompts: tuple[str, ...]
    fold_case: bool
    cell: Literal["lstm", "gru", "rnn_tanh"]
    units: int = field(metadata={"min": 1})
    steps: int = field(metadata={"min": 1})
    learning_rate: float = field(metadata={"min": 0.0, "max": 1000.0})
    seed: int


class Words:
    """Convert sentences to indices of words and back.

    With `fold_case`, "Sharks" at the beginning and "sharks" at the end are one word, and a finished sentence gets its
    capital letter back. Without it, the capital letter marks the beginning of a sentence even for a network without
    memory.
    """

    def __init__(self, fold_case: bool) -> None:
        self.fold_case = fold_case
        self.tokenizer = WordTokenizer.build([" ".join(self.split(sentence)) for sentence in FOOD_CHAIN])

    def split(self, text: str) -> list[str]:
        """Split "Tuna fishes." into "tuna", "fishes" and "."."""
        return re.findall(r"[\w-]+|\.", text.lower() if self.fold_case else text)

    def encode(self, text: str) -> list[int]:
        """Return the indices of a text's words.

        Raises:
            UserError: a word that is in none of the sentences.
        """
        words = self.split(text)
        for word in words:
            if word not in self.tokenizer.symbols:
                raise UserError(f"prompts: {word!r} is in none of the sentences; use {', '.join(self.known)}.")
        return self.tokenizer.encode(" ".join(words))

    def decode(self, indices: Sequence[int]) -> str:
        """Return the sentence of some indices (without the end of the line)."""
        text = self.tokenizer.decode(indices).replace(" .", ".")
        return text[:1].upper() + text[1:] if self.fold_case else text

    @property
    def known(self) -> list[str]:
        """Return all words, sorted."""
        return sorted(word for word in self.tokenizer.symbols[2:] if word != ".")


class FeedbackNetwork(nn.Module):
    """A recurrent network: its hidden state at the last word is an input at this word (Elman 1990)."""

    def __init__(self, vocabulary: int, units: int, cell: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, units)
        self.recurrent = MODULES[cell](units, units)
        self.output = nn.Linear(units, vocabulary)

    def hidden_states(self, words: Tensor) -> Tensor:
        """Return the hidden state after each word: (length, batch) -> (length, batch, units)."""
        hidden: Tensor = self.recurrent(self.embedding(words))[0]
        return hidden

    def forward(self, words: Tensor) -> Tensor:
        """Return scores of the next word: (length, batch) -> (length, batch, vocabulary)."""
        return self.output(self.hidden_states(words))


class LastWordNetwork(nn.Module):
    """The same network without feedback: it predicts the next word from the last word only."""

    def __init__(self, vocabulary: int, units: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, units)
        self.layer = nn.Linear(units, units)
        self.output = nn.Linear(units, vocabulary)

    def hidden_states(self, words: Tensor) -> Tensor:
        """Return the hidden units after each word: (length, batch) -> (length, batch, units)."""
        return torch.tanh(self.layer(self.embedding(words)))

    def forward(self, words: Tensor) -> Tensor:
        """Return scores of the next word: (length, batch) -> (length, batch, vocabulary)."""
        return self.output(self.hidden_states(words))


def train(model: nn.Module, words: Words, steps: int, learning_rate: float) -> list[float]:
    """Train on all five sentences at each step.

    Returns:
        the probability of the correct food after each step, averaged over the sentences.
    """
    inputs, targets = batch(words)
    optimiser = torch.optim.Adam(model.parameters(), learning_rate)
    history = []
    for _ in range(steps):
        scores = model(inputs)
        loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=-1)
        check_loss(loss)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        probabilities = scores.detach().softmax(-1)[after_on(inputs, words)]
        history.append(probabilities.gather(1, targets[after_on(inputs, words)][:, None]).mean().item())
    return history


def batch(words: Words) -> tuple[Tensor, Tensor]:
    """Return inputs and next words, both (length, 5), a column a sentence; targets are -1 after the end."""
    sentences = [torch.tensor([END, *words.encode(sentence), END]) for sentence in FOOD_CHAIN]
    inputs = nn.utils.rnn.pad_sequence([sentence[:-1] for sentence in sentences], padding_value=END)
    targets = nn.utils.rnn.pad_sequence([sentence[1:] for sentence in sentences], padding_value=-1)
    return inputs, targets


def after_on(inputs: Tensor, words: Words) -> tuple[Tensor, Tensor]:
    """Return the places and columns of "on" in the inputs, in the order of the sentences."""
    columns, places = (inputs == words.encode("on")[0]).T.nonzero(as_tuple=True)
    return places, columns


@torch.no_grad()
def complete(model: nn.Module, words: Words, prompt: str) -> str:
    """Continue a prompt with the most probable words, until the line ends or is too long."""
    indices = [END, *words.encode(prompt)]
    while len(indices) <= LONGEST:
        scores = model(torch.tensor(indices)[:, None])[-1, 0]
        following = int(scores.argmax())
        if following == END:
            return words.decode(indices[1:])
        indices.append(following)
    return words.decode(indices[1:]) + " …"


@dataclass(frozen=True)
class TrainedNetwork:
    """A network after training.

    Attributes:
        history: of each step, the probability of the correct food after "feed on", averaged over the five sentences.
        written: the completed sentence of each prompt.
        probabilities: (5, 5) of each food after each of the five beginnings; both in the order of FOOD_CHAIN.
        hidden: (5, units) hidden units at the same places.
    """

    model: nn.Module
    history: list[float]
    written: dict[str, str]
    probabilities: Tensor
    hidden: Tensor

    def right(self) -> int:
        """Return how many prompts were completed correctly."""
        return sum(text == expected(prompt) for prompt, text in self.written.items())

    def mistakes(self) -> int:
        """Return how many prompts became one of the `MISTAKES`."""
        return sum(text in MISTAKES for text in self.written.values())


def expected(prompt: str) -> str | None:
    """Return the one sentence that begins with the prompt, whatever its case; None for none or several."""
    fitting = [sentence for sentence in FOOD_CHAIN if sentence.lower().startswith(prompt.lower())]
    return fitting[0] if len(fitting) == 1 else None


def run_experiment(options: FoodChainOptions) -> tuple[Words, TrainedNetwork, TrainedNetwork]:
    """Train both networks: with feedback, and with the last word only."""
    words = Words(options.fold_case)
    vocabulary = len(words.tokenizer)
    networks = []
    for model in (FeedbackNetwork(vocabulary, options.units, options.cell), LastWordNetwork(vocabulary, options.units)):
        history = train(model, words, options.steps, learning_rate=options.learning_rate)
        written = {prompt: complete(model, words, prompt) for prompt in options.prompts}
        inputs, targets = batch(words)
        places = after_on(inputs, words)
        with torch.no_grad():
            probabilities = model(inputs).softmax(-1)[places][:, targets[places]]
            networks.append(
                TrainedNetwork(
                    model, history, written, probabilities=probabilities, hidden=model.hidden_states(inputs)[places]
                )
            )
    return words, networks[0], networks[1]
