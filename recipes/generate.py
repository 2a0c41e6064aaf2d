"""Prompts in, completions out.

A language model goes on from thousands of prompts at a time, or from one while you watch, or offers the next words as
you type.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from speechrnn.cli import FAILED, OK, recipe
from speechrnn.errors import UserError
from speechrnn.generate import TextPredictor
from speechrnn.generation.job import Job, digest
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.prompts import count_prompts, read_prompts
from speechrnn.generation.results import Prompt, Result
from speechrnn.nn.checkpoint import DESCRIPTION, WEIGHTS
from speechrnn.options import build


@dataclass(frozen=True)
class GenerateOptions:
    """The keys of the recipe but for those of the text; conf/generate.yaml explains them."""

    model: Path
    prompts: Path | None
    output: Path
    overwrite: bool
    batch_size: int = field(metadata={"min": 1})
    prompt: str | None
    stream: bool
    interactive: bool
    words: int = field(metadata={"min": 1})
    device: str


@recipe("generate")
def main(config: DictConfig) -> int:
    """One of the three: a file of prompts, one prompt, a conversation."""
    names = [key.name for key in fields(GenerationOptions)]
    text = build(GenerationOptions, OmegaConf.masked_copy(config, names), "")
    rest = [key.name for key in fields(GenerateOptions)]
    options = build(GenerateOptions, OmegaConf.masked_copy(config, rest), "")
    if [options.prompts is not None, options.prompt is not None, options.interactive].count(True) != 1:
        raise UserError("Give one of prompts=FILE, prompt=TEXT and interactive=true.")
    predictor = TextPredictor.load(options.model, options.device)
    if options.interactive:
        return talk(predictor, options.words)
    if options.prompts is None or options.stream:
        return show(predictor, the_prompt(predictor, options, text), options.stream)
    return write(predictor, options, text, options.prompts)


def write(predictor: TextPredictor, options: GenerateOptions, text: GenerationOptions, prompts: Path) -> int:
    """Each prompt of the file becomes one line of the output."""
    total = count_prompts(prompts)
    model = digest(options.model / DESCRIPTION, options.model / WEIGHTS)
    made_with = {"model": model, "prompts": digest(prompts), "device": predictor.device.type, **asdict(text)}
    job = Job(options.output, made_with)
    before = job.begin(options.overwrite)
    errors = before.errors
    if job.finished:
        print(f"{options.output} is finished: nothing to do; overwrite=true would make it anew.")
        return FAILED if errors else OK
    began, tokens = time.monotonic(), 0
    rest = itertools.islice(read_prompts(prompts, text, predictor.spelling), before.lines, None)
    results = predictor.complete(rest, options.batch_size)
    with job.writing() as add:
        for result in watched(results, total, before.lines):
            add(result)
            tokens += result.tokens
            errors += result.error is not None
    seconds = time.monotonic() - began
    there = f" ({before.lines:,} were there already)" if before.lines else ""
    print(
        f"{total:,} {'prompt' if total == 1 else 'prompts'}{there}, {tokens:,} tokens in {seconds:.1f} s "
        f"({tokens / seconds:,.0f} tokens/s): {options.output}"
    )
    if errors:
        print(f"{errors:,} of them could not be completed; their lines say why.", file=sys.stderr)
    return FAILED if errors else OK


def watched(results: Iterable[Result], total: int, there: int) -> Iterator[Result]:
    """The same results, with a bar (prompts, tokens/s, time left) where somebody is there to see it."""
    if not sys.stderr.isatty():
        yield from results
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    began, tokens = time.monotonic(), 0
    with Progress(
        MofNCompleteColumn(),
        TextColumn("prompts"),
        BarColumn(),
        TextColumn("{task.fields[speed]:,.0f} tokens/s"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("", total=total, completed=there, speed=0.0)
        for result in results:
            tokens += result.tokens
            bar.update(task, advance=1, speed=tokens / (time.monotonic() - began))
            yield result


def the_prompt(predictor: TextPredictor, options: GenerateOptions, text: GenerationOptions) -> Prompt:
    """The one prompt, from the command line or from its file."""
    if options.prompts is None:
        return predictor.prompt(options.prompt or "", text)
    first, *others = itertools.islice(read_prompts(options.prompts, text, predictor.spelling), 2)
    if others:
        raise UserError(f"stream=true shows one text, but {options.prompts} holds several prompts; leave one in it.")
    if isinstance(first, Result):
        raise UserError(f"{options.prompts}: {first.error}")
    return first


def show(predictor: TextPredictor, prompt: Prompt, stream: bool) -> int:
    """Prints the prompt with its completions, each in a line, or with its one completion as that is written."""
    if stream:
        pieces = predictor.stream(prompt)
        print(prompt.text, end="", flush=True)
        for piece in pieces:
            print(piece, end="", flush=True)
        print()
        return OK
    for result in predictor.complete([prompt]):
        for completion in result.completions:
            print(prompt.text + completion.text)
    return OK


def talk(predictor: TextPredictor, count: int) -> int:
    """Offers the most probable next words after each line, until its user has enough."""
    print("Type the beginning of a text; a number takes the word offered beside it. Ctrl-D ends this.")
    line, offers = "", list[tuple[str, float]]()
    while True:
        try:
            typed = input("> ")
            number = int(typed) if typed.isdecimal() else 0
            if 1 <= number <= len(offers):
                typed = f"{line} {offers[number - 1][0]}".strip()
                print(f"  {typed}")
            line, offers = typed, []
            offers = predictor.next_words(line, count)
            print("  " + "   ".join(f"{place} {word} ({p:.1%})" for place, (word, p) in enumerate(offers, start=1)))
        except UserError as error:
            print(f"  {error}")
        except (EOFError, KeyboardInterrupt):
            print()
            return OK


if __name__ == "__main__":
    main()
