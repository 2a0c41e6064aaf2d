"""Analyse the gates of a language model; train a small model where none is given."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from speechrnn.core.errors import UserError
from speechrnn.core.plural import count
from speechrnn.data.tokens import Block, write_tokens
from speechrnn.experiments.run import Run
from speechrnn.nn.language import END_OF_LINE, LanguageModel, LanguageOptions, load_language, save_language
from speechrnn.text.tokenizers import CharTokenizer, Tokenizer
from speechrnn.tutorials.gates.activations import (
    Activations,
    difference,
    encode,
    encode_sentence,
    held_out_tokens,
    record_activations,
)
from speechrnn.tutorials.gates.stories import make_lines
from speechrnn.tutorials.gates.tracking import Tracker, find_trackers
from speechrnn.tutorials.setting import check_loss

SHOWN = 90  # tokens of a picture; more are too small to read
LEAST = 40  # tokens of a text in which cells can be searched
HELD_OUT = 8000  # characters


@dataclass(frozen=True)
class SmallModelOptions:
    """The model that is trained where none is given; conf/tutorials/gates.yaml explains the keys."""

    characters: int = field(metadata={"min": 5000})
    units: int = field(metadata={"min": 1})
    steps: int = field(metadata={"min": 1})
    rows: int = field(metadata={"min": 1})
    window: int = field(metadata={"min": 1})
    learning_rate: float = field(metadata={"min": 0.0, "max": 1000.0})


@dataclass(frozen=True)
class GatesOptions:
    """The keys of the recipe; conf/tutorials/gates.yaml explains them."""

    model: Path | None
    sentence: str | None
    held_out: Path | None
    tokens: int = field(metadata={"min": LEAST})
    small: SmallModelOptions
    seed: int


def make_small_model(run: Run, options: SmallModelOptions, seed: int) -> Path:
    """Train a character model on generated lines and save it in the run's folder, as every training does."""
    text = make_lines(options.characters + HELD_OUT, seed)
    begin = next(n for n in range(len(text)) if sum(len(line) + 1 for line in text[:n]) >= HELD_OUT)
    held_out, lines = text[:begin], text[begin:]
    tokenizer = CharTokenizer.build(text)
    model = train_small_model(encode(tokenizer, lines), len(tokenizer), options)
    held = encode(tokenizer, held_out)
    write_tokens(run.prepared_text / "valid.tokens", [Block(held, len(held))], len(tokenizer))
    save_language(run.language, model, tokenizer, training={"text": "made by speechrnn gates", "steps": options.steps})
    return run.language


def train_small_model(text: list[int], vocabulary: int, options: SmallModelOptions) -> LanguageModel:
    """Train one LSTM layer to predict the next character."""
    # The text as columns, each read from top to bottom; each character's input is the one before it.
    length = len(text) // options.rows
    targets = torch.tensor(text[: length * options.rows]).view(options.rows, length).T
    inputs = torch.cat([torch.full((1, options.rows), END_OF_LINE), targets[:-1]])
    shape = LanguageOptions(layers=1, units=options.units, embedding=24, tied=False)
    model = LanguageModel(vocabulary, replace(shape, input_dropout=0.0, output_dropout=0.0)).train()
    optimiser = torch.optim.Adam(model.parameters(), options.learning_rate)
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, options.steps)
    states, place = model.start(options.rows), 0
    for step in range(1, options.steps + 1):
        if place + options.window > length:
            states, place = model.start(options.rows), 0
        window = slice(place, place + options.window)
        # The state goes on from the last window, but no gradient goes back into it: truncated back-propagation.
        outputs, states = model(inputs[window], states.detach())
        loss = -model.target_log_probs(outputs, targets[window]).mean()
        check_loss(loss)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        slower.step()
        place += options.window
        if step % max(1, options.steps // 8) == 0:
            print(f"training a small model: step {step:,} of {options.steps:,}, {loss.item():.3f} nats a character")
    return model.eval()


@dataclass(frozen=True)
class GateAnalysis:
    """The results that the page shows.

    Attributes:
        sentence: activations on the sentence.
        held_out: activations on the held-out text.
        trackers: the cells that follow a signal there.
        untrained: the same search in the same network before training.
        difference: the largest between `LstmCell` and torch's own LSTM.
    """

    model: LanguageModel
    tokenizer: Tokenizer
    sentence: Activations
    held_out: Activations
    trackers: list[Tracker]
    untrained: list[Tracker]
    difference: float


def analyse_gates(folder: Path, options: GatesOptions) -> GateAnalysis:
    """Read the held-out text and the sentence, and search for cells that follow a signal.

    Raises:
        UserError: there is no such model or text, the model is no LSTM, or the text is too short.
    """
    model, tokenizer = load_language(folder)
    tokens = held_out_tokens(folder, options.held_out, tokenizer, most=options.tokens)
    if len(tokens) < LEAST:
        raise UserError(
            f"The held-out text has {count(len(tokens), 'token')}; give held_out=FILE with at least {LEAST}."
        )
    held_out = record_activations(model, tokenizer, tokens)
    if options.sentence is None:
        sentence = held_out.part(*choose_passage(held_out.tokens))
    else:
        sentence = record_activations(model, tokenizer, encode_sentence(options.sentence, tokenizer, folder))
    characters = tokenizer.kind == "char"
    fresh = LanguageModel(model.vocabulary, model.options).eval()
    return GateAnalysis(
        model=model,
        tokenizer=tokenizer,
        sentence=sentence,
        held_out=held_out,
        trackers=find_trackers(held_out, characters),
        untrained=find_trackers(record_activations(fresh, tokenizer, tokens), characters),
        difference=difference(model, held_out, tokens),
    )


def choose_passage(tokens: list[str]) -> tuple[int, int]:
    """Return begin and end of the shown tokens: from a line, where possible the one before a quotation mark."""
    middle = len(tokens) // 2
    starts = [place + 1 for place in range(middle, max(middle, len(tokens) - SHOWN)) if tokens[place] == "\n"]
    quoted = [start for start in starts if any(mark in token for token in tokens[start : start + 2] for mark in '"“')]
    # The line before shows the gates outside of quotes.
    before = [start for start in starts if quoted and start < quoted[0]][-1:]
    begin = (before or quoted or starts or [max(0, len(tokens) - SHOWN)])[0]
    return begin, min(begin + SHOWN, len(tokens))
