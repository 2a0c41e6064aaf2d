"""Complete prompts with a language model (`speechrnn generate prompt='it was a'`).

The model goes on from one prompt while you watch; or from thousands at a time, which are printed, or with output=FILE
written as JSON lines, in this process, in several or on a cluster; or it offers the next words as you type.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from omegaconf import DictConfig

from speechrnn.cli.main import FAILED, OK, recipe
from speechrnn.core.config import options_from
from speechrnn.core.errors import UserError
from speechrnn.core.model_names import find_model_directory
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.jobs.console import offer_next_words, print_completions, print_texts, read_single_prompt
from speechrnn.jobs.generation_job import GenerationJobOptions, run_generation_job
from speechrnn.jobs.prompts import open_prompts


@dataclass(frozen=True)
class PromptOptions:
    """Hold the keys that say which of the three jobs to do; conf/generate.yaml explains them."""

    prompts: str | None
    prompt: str | None
    stream: bool
    interactive: bool
    words: int = field(metadata={"min": 1})


@recipe("generate")
def main(config: DictConfig) -> int:
    """Complete a file of prompts, or one prompt, or offer next words."""
    text = options_from(config, GenerationOptions)
    job = options_from(config, GenerationJobOptions)
    given = options_from(config, PromptOptions)
    if [given.prompts is not None, given.prompt is not None, given.interactive].count(True) != 1:
        raise UserError("Give one of prompts=FILE, prompt=TEXT and interactive=true.")
    if job.output is not None and (given.prompts is None or given.stream):
        raise UserError(
            "output= is written for prompts=FILE without stream=true only; leave it out, or give such a file."
        )
    job = replace(job, model=find_model_directory(job.model, "language"))
    if given.prompts is not None and not given.stream:
        with open_prompts(given.prompts) as path:
            if job.output is not None:
                return OK if run_generation_job(job, text, path) else FAILED
            return OK if print_texts(job, text, path) else FAILED
    predictor = TextPredictor.load(job.model, job.device)
    if given.interactive:
        offer_next_words(predictor, given.words)
    elif given.prompts is not None:
        with open_prompts(given.prompts) as path:
            print_completions(predictor, read_single_prompt(path, text, predictor), stream=True)
    else:
        single = text.num_beams == 1 and text.num_return_sequences == 1
        print_completions(predictor, predictor.prompt(given.prompt or "", text), stream=single or given.stream)
    return OK


if __name__ == "__main__":
    main()
