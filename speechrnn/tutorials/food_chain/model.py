"""The article's food chain: who eats whom can only be said with the beginning of the sentence in mind.

After "feed on" five words can follow. A network that sees the last word alone has to guess among them; one with
feedback still knows who is eating.
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
from speechrnn.nn.recurrent import MODULES
from speechrnn.text.tokenizers import WordTokenizer

SENTENCES = (
    "Sharks feed on tuna fishes.",
    "Tuna fishes feed on small fishes.",
    "Small fishes feed on sea plants.",
    "Sea plants feed on micro-organisms.",
    "Micro-organisms feed on sharks.",
)
STARTS = ("Sharks", "Tuna fishes", "Small fishes", "Sea plants", "Micro-organisms")
MISTAKES = ("Sharks.", "Sharks feed on sharks.", "Sea plants.", "Sea plants feed on sharks.")  # the article's
END = 0  # the index of the end of a line, which also stands before each sentence
LONGEST = 15  # words, after which a sentence that finds no end is broken off


@dataclass(frozen=True)
class FoodChainOptions:
    """The keys of the recipe; conf/food_chain.yaml explains them."""

    prompts: tuple[str, ...]
    fold_case: bool
    cell: Literal["lstm", "gru", "rnn_tanh"]
    units: int = field(metadata={"min": 1})
    steps: int = field(metadata={"min": 1})
    learning_rate: float = field(metadata={"min": 0.0})
    seed: int


class Words:
    """Sentences as indices and back.

    With `fold_case`, "Sharks" at the beginning and "sharks" at the end are one word, as they are one animal, and a
    finished sentence gets its capital letter back. Without, the capital letter alone would tell a network without
    memory that it is at the beginning of a sentence.
    """

    def __init__(self, fold_case: bool) -> None:
        self.fold_case = fold_case
        self.tokenizer = WordTokenizer.build([" ".join(self.split(sentence)) for sentence in SENTENCES])

    def split(self, text: str) -> list[str]:
        """ "Tuna fishes." -> ["tuna", "fishes", "."]"""
        return re.findall(r"[\w-]+|\.", text.lower() if self.fold_case else text)

    def encode(self, text: str) -> list[int]:
        """UserError for a word that is in none of the sentences."""
        words = self.split(text)
        for word in words:
            if word not in self.tokenizer.symbols:
                raise UserError(f"prompts: {word!r} is in none of the sentences; say it with {', '.join(self.known)}.")
        return self.tokenizer.encode(" ".join(words))

    def decode(self, indices: Sequence[int]) -> str:
        """Indices without the end of the line -> a sentence."""
        text = self.tokenizer.decode(indices).replace(" .", ".")
        return text[:1].upper() + text[1:] if self.fold_case else text

    @property
    def known(self) -> list[str]:
        """All words, sorted."""
        return sorted(word for word in self.tokenizer.symbols[2:] if word != ".")


class WithFeedback(nn.Module):
    """A recurrent network: what it thought at the last word is among its inputs at this one (Elman 1990)."""

    def __init__(self, vocabulary: int, units: int, cell: str) -> None:
        super().__init__()
        self.look_up = nn.Embedding(vocabulary, units)
        self.memory = MODULES[cell](units, units)
        self.choose = nn.Linear(units, vocabulary)

    def think(self, words: Tensor) -> Tensor:
        """(length, batch) -> (length, batch, units): what it has in mind after each word."""
        thoughts: Tensor = self.memory(self.look_up(words))[0]
        return thoughts

    def forward(self, words: Tensor) -> Tensor:
        """(length, batch) -> (length, batch, vocabulary) scores of what comes next."""
        return self.choose(self.think(words))


class LastWordAlone(nn.Module):
    """The same without feedback: what comes next is decided by the last word."""

    def __init__(self, vocabulary: int, units: int) -> None:
        super().__init__()
        self.look_up = nn.Embedding(vocabulary, units)
        self.layer = nn.Linear(units, units)
        self.choose = nn.Linear(units, vocabulary)

    def think(self, words: Tensor) -> Tensor:
        """(length, batch) -> (length, batch, units)."""
        return torch.tanh(self.layer(self.look_up(words)))

    def forward(self, words: Tensor) -> Tensor:
        """(length, batch) -> (length, batch, vocabulary) scores of what comes next."""
        return self.choose(self.think(words))


def train(model: nn.Module, words: Words, steps: int, learning_rate: float) -> list[float]:
    """Shows all five sentences at each step; gives back the probability of the right food after each step."""
    inputs, targets = batch(words)
    optimiser = torch.optim.Adam(model.parameters(), learning_rate)
    history = []
    for _ in range(steps):
        scores = model(inputs)
        loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=-1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        chances = scores.detach().softmax(-1)[after_on(inputs, words)]
        history.append(chances.gather(1, targets[after_on(inputs, words)][:, None]).mean().item())
    return history


def batch(words: Words) -> tuple[Tensor, Tensor]:
    """The sentences as columns, (length, 5): what is read, and what comes next at each place; -1 behind the end."""
    sentences = [torch.tensor([END, *words.encode(sentence), END]) for sentence in SENTENCES]
    inputs = nn.utils.rnn.pad_sequence([sentence[:-1] for sentence in sentences], padding_value=END)
    targets = nn.utils.rnn.pad_sequence([sentence[1:] for sentence in sentences], padding_value=-1)
    return inputs, targets


def after_on(inputs: Tensor, words: Words) -> tuple[Tensor, Tensor]:
    """Where "... feed on" has just been read: (place, column) of each sentence, in their order."""
    columns, places = (inputs == words.encode("on")[0]).T.nonzero(as_tuple=True)
    return places, columns


@torch.no_grad()
def complete(model: nn.Module, words: Words, prompt: str) -> str:
    """Writes on with the most probable word, until the line ends or has become too long."""
    indices = [END, *words.encode(prompt)]
    while len(indices) <= LONGEST:
        scores = model(torch.tensor(indices)[:, None])[-1, 0]
        following = int(scores.argmax())
        if following == END:
            return words.decode(indices[1:])
        indices.append(following)
    return words.decode(indices[1:]) + " …"


@dataclass(frozen=True)
class Learnt:
    """What became of one network.

    Attributes:
        model: after training.
        history: of each step, the probability of the right food after "feed on", averaged over the five sentences.
        written: prompt -> how the network went on.
        chances: (5, 5) probability of each food after each of the five beginnings; both in the order of SENTENCES.
        thoughts: (5, units) what the network has in mind there.
    """

    model: nn.Module
    history: list[float]
    written: dict[str, str]
    chances: Tensor
    thoughts: Tensor

    def right(self) -> int:
        """How many prompts were completed as the article says."""
        return sum(text == expected(prompt) for prompt, text in self.written.items())

    def mistakes(self) -> int:
        """How many of the article's wrong sentences were written."""
        return sum(text in MISTAKES for text in self.written.values())


def expected(prompt: str) -> str | None:
    """The sentence that begins so, capital letters aside; None where it is not one of the five alone."""
    fitting = [sentence for sentence in SENTENCES if sentence.lower().startswith(prompt.lower())]
    return fitting[0] if len(fitting) == 1 else None


def study(options: FoodChainOptions) -> tuple[Words, Learnt, Learnt]:
    """Trains both networks: with feedback, and with the last word alone."""
    words = Words(options.fold_case)
    vocabulary = len(words.tokenizer)
    learnt = []
    for model in (WithFeedback(vocabulary, options.units, options.cell), LastWordAlone(vocabulary, options.units)):
        history = train(model, words, options.steps, options.learning_rate)
        written = {prompt: complete(model, words, prompt) for prompt in options.prompts}
        inputs, targets = batch(words)
        places = after_on(inputs, words)
        with torch.no_grad():
            chances = model(inputs).softmax(-1)[places][:, targets[places]]
            learnt.append(Learnt(model, history, written, chances, model.think(inputs)[places]))
    return words, learnt[0], learnt[1]
