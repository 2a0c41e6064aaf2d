"""Train a character language model and measure how it learns to spell.

Generated text is cut into words as the training text is, and a word counts as correct if the training text has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.data.texts import TextOptions, file
from speechrnn.data.tokens import BpttBatches, TokenFile
from speechrnn.nn.language import END_OF_LINE, LanguageModel, LanguageOptions
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.tutorials.setting import check_loss

WORD = re.compile(r"[^\W\d_]+")  # letters in a row
SHORTEST = 3  # letters; shorter words are too often correct by chance


@dataclass(frozen=True)
class SpellingOptions:
    """The keys of the recipe; conf/tutorials/spelling.yaml explains them."""

    files: tuple[str, ...]
    units: int = field(metadata={"min": 1})
    steps: int = field(metadata={"min": 1})
    batch_size: int = field(metadata={"min": 1})
    bptt: int = field(metadata={"min": 1})
    learning_rate: float = field(metadata={"min": 0.0, "max": 1000.0})
    every: int = field(metadata={"min": 1})
    rows: int = field(metadata={"min": 1})
    characters: int = field(metadata={"min": 1})
    temperature: float = field(metadata={"min": 0.01})
    seed: int


@dataclass(frozen=True)
class Checkpoint:
    """The state of the model after a number of training steps.

    Attributes:
        loss: nats a character since the last checkpoint; before the first step, those of a uniform distribution.
        words: number of generated words.
        accuracy: share of them that the training text has.
        sample: one of the generated texts.
    """

    step: int
    loss: float
    words: int
    accuracy: float
    sample: str


def read_text(files: tuple[str, ...]) -> list[str]:
    """Return the lines of the training text.

    Raises:
        UserError: a file that is missing, empty or no UTF-8, or a text without a word.
    """
    if files:
        part = file.parts(TextOptions("file"), test=files)["test"]
        lines = [line.text for line in part.lines()]
    else:
        from pydoc_data.topics import topics  # what help("...") shows, as it comes with every Python

        manual = "\n".join(text for _, text in sorted(topics.items()))
        lines = [line for line in (" ".join(line.split()) for line in manual.split("\n")) if is_prose(line)]
    if not words("\n".join(lines)):
        raise UserError("The training text has no word; name other files, as in files=[book.txt].")
    return lines


def is_prose(line: str) -> bool:
    """Return whether a line of a manual is a sentence rather than a table or a program."""
    return len(line) > 30 and sum(character.isalpha() or character == " " for character in line) > 0.9 * len(line)


def words(text: str) -> list[str]:
    """Return the words of a text that have at least `SHORTEST` letters."""
    return [word for word in WORD.findall(text) if len(word) >= SHORTEST]


def train(lines: list[str], options: SpellingOptions) -> Iterator[Checkpoint]:
    """Train a model on the lines; yield a checkpoint before the first step and after every `options.every` steps."""
    tokenizer = CharTokenizer.build(lines)
    known = set(words("\n".join(lines)))
    tokens = np.array([index for line in lines for index in (*tokenizer.encode(line), END_OF_LINE)], np.uint32)
    text = TokenFile(tokens, np.zeros(1, np.int64), len(tokens))
    batches = BpttBatches(text, min(options.batch_size, len(tokens)), options.bptt, seed=options.seed)

    model = LanguageModel(
        len(tokenizer),
        # A short training needs no dropout.
        LanguageOptions(
            layers=1,
            units=options.units,
            embedding=48,
            tied=False,
            input_dropout=0.0,
            output_dropout=0.0,
            weight_drop=0.0,
        ),
    )
    optimiser = torch.optim.Adam(model.parameters(), options.learning_rate)
    step, losses = 0, [float(np.log(len(tokenizer)))]
    yield evaluate(step, losses, model, tokenizer=tokenizer, known=known, options=options)
    while step < options.steps:
        states = model.start(batches.batch_size)
        for batch in batches.batches(epoch=step):
            model.train()
            outputs, states = model(batch.inputs, states.detach())
            loss = -model.target_log_probs(model.drop(outputs), batch.targets).mean()
            check_loss(loss)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            step += 1
            losses.append(loss.item())
            if step % options.every == 0 or step == options.steps:
                yield evaluate(step, losses, model, tokenizer=tokenizer, known=known, options=options)
                losses = []
            if step == options.steps:
                break


def evaluate(
    step: int,
    losses: list[float],
    model: LanguageModel,
    tokenizer: CharTokenizer,
    known: set[str],
    options: SpellingOptions,
) -> Checkpoint:
    """Generate texts and check their words."""
    texts = generate(model, tokenizer, options)
    found = [word for text in texts for word in words(text)]
    accuracy = sum(word in known for word in found) / max(len(found), 1)
    return Checkpoint(step, sum(losses) / len(losses), len(found), accuracy=accuracy, sample=texts[0])


@torch.inference_mode()
def generate(model: LanguageModel, tokenizer: CharTokenizer, options: SpellingOptions) -> list[str]:
    """Generate a text for each row, character by character."""
    model.eval()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(options.seed)  # the same random numbers at each checkpoint
        states = model.start(options.rows)
        last = torch.full((options.rows,), END_OF_LINE)
        written: list[Tensor] = []
        for _ in range(options.characters):
            log_probs, states = model.score(states, last)
            last = torch.multinomial((log_probs / options.temperature).softmax(1), 1).squeeze(1)
            written.append(last)
    rows = torch.stack(written, 1).tolist()
    return ["".join(tokenizer.symbols[index] if index else "\n" for index in row) for row in rows]
