"""Generate text at a terminal: one prompt, a file of prompts, or next words while a user types."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.generation.results import Prompt, Result
from speechrnn.jobs.generation_job import GenerationJobOptions
from speechrnn.jobs.prompts import read_prompts


def read_single_prompt(path: Path, text: GenerationOptions, predictor: TextPredictor) -> Prompt:
    """Read the prompt of a file with a single one.

    Raises:
        UserError: it holds several, or one that cannot be used.
    """
    first, *others = itertools.islice(read_prompts(path, text, predictor.encoder), 2)
    if others:
        raise UserError(f"stream=true shows one text, but {path} holds several prompts; leave one in it.")
    if isinstance(first, Result):
        raise UserError(f"{path}: {first.error}")
    return first


def print_completions(predictor: TextPredictor, prompt: Prompt, stream: bool) -> None:
    """Print the prompt with each completion on a line, or with its one completion while that is written.

    Args:
        predictor: the model.
        prompt: what to go on from.
        stream: print the text while it is written.
    """
    if stream:
        parts = predictor.stream(prompt)
        print(prompt.text, end="", flush=True)
        for part in parts:
            print(part, end="", flush=True)
        print()
        return
    for result in predictor.complete([prompt]):
        for completion in result.completions:
            print(prompt.text + completion.text)


def print_texts(job: GenerationJobOptions, text: GenerationOptions, prompts: Path) -> bool:
    """Print each prompt of a file with its completions as they come, in their order; no journal is written.

    Args:
        job: model, device and batch size.
        text: options of prompts that set none.
        prompts: .txt or .jsonl.

    Returns:
        Whether all prompts were completed; the reasons of the others are printed on standard error.

    Raises:
        UserError: the model or the prompts are missing or damaged, or another executor is to do the work.
    """
    if job.executor.name != "local":
        raise UserError(f"executor={job.executor.name} writes a file: give output=completions.jsonl.")
    predictor = TextPredictor.load(job.model, job.device)
    done = True
    for result in predictor.complete(read_prompts(prompts, text, predictor.encoder), job.batch_size):
        if result.error is not None:
            done = False
            print(f"speechrnn: prompt {result.id}: {result.error}", file=sys.stderr)
        for completion in result.completions:
            print(f"{result.prompt}{completion.text}", flush=True)
    return done


def offer_next_words(predictor: TextPredictor, count: int) -> None:
    """Print the most probable next words after each line that is typed, until Ctrl-D.

    Args:
        predictor: the model.
        count: how many words.
    """
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
            return
