"""Prompts in, completions out.

A language model goes on from thousands of prompts at a time, in this process, in several or on a cluster; or from one
while you watch; or it offers the next words as you type.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from omegaconf import DictConfig

from speechrnn.cli.main import FAILED, OK, recipe
from speechrnn.core.config import options_from
from speechrnn.core.device import find_device
from speechrnn.core.errors import UserError
from speechrnn.core.progress import Bar
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.generation.results import Prompt, Result
from speechrnn.jobs.executors import ExecutorOptions, Lost, make_executor
from speechrnn.jobs.generation_job import Job, digest
from speechrnn.jobs.generation_worker import GenerateWorker, given_up
from speechrnn.jobs.prompts import count_prompts, open_prompts, read_prompts
from speechrnn.jobs.transcription_job import Interruption
from speechrnn.nn.checkpoint import DESCRIPTION, WEIGHTS


@dataclass(frozen=True)
class GenerateOptions:
    """The keys of the recipe but for those of the text; conf/generate.yaml explains them."""

    model: Path
    prompts: str | None
    output: Path
    overwrite: bool
    batch_size: int = field(metadata={"min": 1})
    prompt: str | None
    stream: bool
    interactive: bool
    words: int = field(metadata={"min": 1})
    device: str
    executor: ExecutorOptions


@recipe("generate")
def main(config: DictConfig) -> int:
    """One of the three: a file of prompts, one prompt, a conversation."""
    text = options_from(config, GenerationOptions)
    options = options_from(config, GenerateOptions)
    if [options.prompts is not None, options.prompt is not None, options.interactive].count(True) != 1:
        raise UserError("Give one of prompts=FILE, prompt=TEXT and interactive=true.")
    if options.prompts is not None:
        with open_prompts(options.prompts) as prompts:
            return write(options, text, prompts) if not options.stream else show_the_one(options, text, prompts)
    predictor = TextPredictor.load(options.model, options.device)
    if options.interactive:
        return talk(predictor, options.words)
    return show(predictor, predictor.prompt(options.prompt or "", text), options.stream)


def write(options: GenerateOptions, text: GenerationOptions, prompts: Path) -> int:
    """Each prompt of the file becomes one line of the output."""
    here = options.executor.name == "local"
    predictor = TextPredictor.load(options.model, options.device if here else "cpu")  # elsewhere, it only spells here
    device = predictor.device.type if here else device_there(options)
    total = count_prompts(prompts)
    model = digest(options.model / DESCRIPTION, options.model / WEIGHTS)
    job = Job(options.output, {"model": model, "prompts": digest(prompts), "device": device, **asdict(text)})
    before = job.begin(options.overwrite)
    if job.finished:
        print(f"{options.output} is finished: nothing to do; overwrite=true would make it anew.")
        return FAILED if before.errors else OK

    executor = make_executor(options.executor, options.device)
    worker = GenerateWorker(options.model, options.device, options.batch_size)
    rest = itertools.islice(read_prompts(prompts, text, predictor.encoder), before.lines, None)
    results = executor.run((lambda: worker.with_model(predictor)) if here else worker, rest, ordered=True)
    bar = Bar("prompts", total, before.lines)

    def stop() -> None:
        executor.stop()
        bar.note("stopping when what is begun is done; Ctrl-C again ends at once")

    began, tokens, lines, errors = time.monotonic(), 0, before.lines, before.errors
    with (
        job.writing() as add,
        Interruption(stop) as interruption,
        contextlib.closing(cast("Generator[Result | Lost, None, None]", results)),
        bar,
    ):
        for one in results:
            result = given_up(one) if isinstance(one, Lost) else one
            add(result)
            lines += 1
            errors += result.error is not None
            tokens += result.tokens
            bar.step(f"{tokens / (time.monotonic() - began):,.0f} tokens/s", result.error is not None)
            if interruption.over:
                break
        if lines < total:
            raise KeyboardInterrupt
    seconds = time.monotonic() - began
    there = f" ({before.lines:,} were there already)" if before.lines else ""
    print(
        f"{total:,} {'prompt' if total == 1 else 'prompts'}{there}, {tokens:,} tokens in {seconds:.1f} s "
        f"({tokens / seconds:,.0f} tokens/s): {options.output}"
    )
    if errors:
        print(f"{errors:,} of them could not be completed; their lines say why.", file=sys.stderr)
    return FAILED if errors else OK


def device_there(options: GenerateOptions) -> str:
    """The kind of device on which the workers of an executor compute."""
    if options.executor.name != "ray":
        return find_device(options.device).type
    if options.device != "auto":
        return options.device.partition(":")[0]
    return "cuda" if options.executor.gpus_per_worker else "cpu"


def show_the_one(options: GenerateOptions, text: GenerationOptions, prompts: Path) -> int:
    """Prints the text that a file's one prompt becomes, as it is written."""
    predictor = TextPredictor.load(options.model, options.device)
    first, *others = itertools.islice(read_prompts(prompts, text, predictor.encoder), 2)
    if others:
        raise UserError(f"stream=true shows one text, but {options.prompts} holds several prompts; leave one in it.")
    if isinstance(first, Result):
        raise UserError(f"{options.prompts}: {first.error}")
    return show(predictor, first, stream=True)


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
