"""Small jobs for the campaign: how each is prepared, commanded, and compared with an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from helpers.acoustic_models import ALONE, record, save_listener, streaming_model
from helpers.corpora import SMALL, write_corpus

from speechrnn.nn.acoustic import save_acoustic
from speechrnn.nn.language import save_language
from speechrnn.text.tokenizers import CharTokenizer

RECORDINGS = 40
PROMPTS = 60
OUTPUT = "result"  # the name of each job's output in its working folder
UNFINISHED = (".tmp", ".partial")
# What differs from one training to the next: how long something took, and when it was.
TIMES = re.compile(r"second|speed|time|date|rtf", re.IGNORECASE)


@dataclass(frozen=True)
class Job:
    """A command that ends with the same output whatever happens to it on the way.

    Attributes:
        name: of the job.
        command: recipe and overrides; it writes to `OUTPUT` in its working folder.
        share: how many of the cases are of this job, relatively.
        result: all of a finished output that must be equal, from its folder.
        check: finds what is wrong with an output at any moment, from (folder, undisturbed result).
        feed: writes the input to a pipe.
        resumes: whether what is done is not done again.
        workers: whether there are worker processes to kill.
        ray: whether these are of a Ray cluster.
        inputs: files that it reads, which may be missing for a while.
        retry: overrides with which it tries again what it could not read.
    """

    name: str
    command: Sequence[str]
    share: float
    result: Callable[[Path], dict[str, Any]]
    check: Callable[[Path, dict[str, Any]], list[str]]
    feed: Callable[[int], None] | None = None
    resumes: bool = True
    workers: bool = False
    ray: bool = False
    inputs: Sequence[Path] = ()
    retry: Sequence[str] = ()


def make_jobs(folder: Path, ray: bool = False) -> list[Job]:
    """Write models, recordings, prompts and a corpus; return the jobs that use them, on a Ray cluster too if wanted."""
    import torch
    from helpers.language_models import toy_model

    acoustic = save_listener(folder / "acoustic")
    live = folder / "live"
    model, tokenizer = streaming_model()
    save_acoustic(live, model, tokenizer, training={})
    alphabet = CharTokenizer.build(["ABCDEFGH"])
    language = folder / "language"
    save_language(language, toy_model(len(alphabet)), alphabet, training={})
    recordings = record(folder / "recordings", RECORDINGS)
    prompts = folder / "prompts.jsonl"
    letters = "ABCDEFGH"
    prompts.write_text(
        "".join(json.dumps({"id": f"n{at}", "prompt": letters[at % 8] * (1 + at % 5)}) + "\n" for at in range(PROMPTS))
    )
    corpus = write_corpus(folder / "corpus", 16)
    text = folder / "text.txt"
    text.write_text("sharks feed on tuna\ntuna feed on small fishes\n\nsmall fishes feed on plants\n" * 12)
    sound = (torch.randn(3 * 16000, generator=torch.Generator().manual_seed(0)) * 3000).short().numpy().tobytes()
    transcribe = [
        "transcribe",
        f"model={acoustic}",
        *ALONE,
        f"inputs={recordings}",
        f"output={OUTPUT}",
        "formats=[txt,json,srt]",
    ]
    generate = [
        "generate",
        f"model={language}",
        "device=cpu",
        f"prompts={prompts}",
        f"output={OUTPUT}/all.jsonl",
        "max_new_tokens=12",
        "min_new_tokens=4",
        "batch_size=8",
    ]
    train = [
        "speech_to_text",
        "corpus=folder",
        f"corpus.root={corpus}",
        f"output={OUTPUT}",
        *SMALL,
        "trainer.checkpoint_steps=2",
        "trainer.batch_seconds=3",
        "stages=[prepare,train,tune,decode]",
    ]
    predict = [
        "text_prediction",
        "text=file",
        f"text.train=[{text}]",
        f"output={OUTPUT}",
        "language.units=16",
        "language.embedding=8",
        "trainer.epochs=2",
        "trainer.min_steps=0",
        "trainer.batch_size=4",
        "trainer.bptt=16",
        "trainer.accelerator=cpu",
        "sample.max_new_tokens=20",
        "trainer.checkpoint_steps=3",
    ]
    live_files = ",".join(f"{OUTPUT}/talk.{suffix}" for suffix in ("json", "srt", "vtt", "txt"))
    keys = ["show=json", "endpoint.silence=0.2", "gate.detector=none"]  # the sound is noise
    listen = ["listen", f"model={live}", "input=-", *keys, f"output=[{live_files}]"]
    processes = ["executor=processes", "executor.workers=2"]
    on_ray = ["executor=ray", "executor.workers=2", "executor.chunk=2"]
    transcribed, generated = check_transcripts, check_completions
    completed = files_of(("all.jsonl.job.jsonl",))
    files, retry = sorted(recordings.iterdir()), ["retry_failed=true"]
    jobs = [
        Job("transcribe", transcribe, 4, result=files_of(("job.jsonl",)), check=transcribed, inputs=files, retry=retry),
        Job("generate", generate, 4, result=completed, check=generated, inputs=[prompts]),
        Job("speech_to_text", train, 2, result=trained, check=check_training),
        Job("text_prediction", predict, 2, result=trained, check=check_training),
        Job(
            "listen",
            listen,
            1.5,
            result=files_of(()),
            check=check_live,
            feed=lambda pipe: feed(pipe, sound),
            resumes=False,
        ),
        Job(
            "transcribe_pool",
            [*transcribe, *processes],
            0.25,
            result=files_of(("job.jsonl",)),
            check=transcribed,
            workers=True,
            inputs=files,
            retry=retry,
        ),
        Job(
            "generate_pool",
            [*generate, *processes],
            0.25,
            result=completed,
            check=generated,
            workers=True,
            inputs=[prompts],
        ),
    ]
    if ray:
        jobs += [
            replace(job, name=f"{name}_ray", command=[*command, *on_ray], ray=True)
            for job, name, command in zip(jobs[-2:], ("transcribe", "generate"), (transcribe, generate), strict=True)
        ]
    return jobs


def feed(pipe: int, sound: bytes) -> None:
    """Write sound to a pipe in parts of any size, with pauses."""
    draw, at = random.Random(os.getpid()), 0
    while at < len(sound):
        size = draw.randrange(1, 8000)
        at += os.write(pipe, sound[at : at + size])
        time.sleep(draw.random() * 0.005)


def all_files(folder: Path) -> dict[str, bytes]:
    """Return the content of all files by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def files_of(left_out: tuple[str, ...]) -> Callable[[Path], dict[str, Any]]:
    """Return a function that gives the content of all files but for these."""
    return lambda folder: {name: data for name, data in all_files(folder).items() if name not in left_out}


def trained(folder: Path) -> dict[str, Any]:
    """Return weights as bytes, descriptions and numbers without times, and hypotheses; the names of the other files."""
    result: dict[str, Any] = {}
    for name, data in all_files(folder).items():
        if name.endswith(".json"):
            result[name] = without_times(json.loads(data))
            if isinstance(digests := result[name].get("digests"), dict):
                del digests[name.rpartition("/")[2]]  # of the description, which holds times; that of the weights stays
        elif name.endswith((".safetensors", ".jsonl", ".gz")) or name == "config.yaml":
            result[name] = data if not name.endswith(".gz") else b"there"
        elif name.endswith(".ckpt"):
            result[name] = checkpoint_bits(folder / name)
        elif "events" not in name:
            result[name] = "there"
    return result


def without_times(value: Any) -> Any:
    """Return JSON values without how long something took, and when it was."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if not TIMES.search(key)}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def checkpoint_bits(path: Path) -> dict[str, Any]:
    """Return weights and averages of a checkpoint as bytes, and where the training stood.

    Raises:
        Exception: the file is not whole.
    """
    import torch

    saved = torch.load(path, weights_only=True)
    bits = {
        f"{part}.{name}": value.numpy().tobytes()
        for part in ("model", "average")
        for name, value in saved[part].items()
    }
    return {**bits, "state": without_times({key: value for key, value in saved["state"].items() if key != "seconds"})}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a file, but for a last one that is torn."""
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def check_transcripts(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Each file of a final name is whole; all that was said to be done is there; no id is done twice."""
    wrong = []
    for name, content in all_files(folder).items():
        if name in expected and name != "hypotheses.jsonl" and content != expected[name]:
            wrong.append(f"{name} differs")
    entries = read_lines(folder / "job.jsonl")[1:]
    done = Counter(entry["id"] for entry in entries if entry["status"] == "done")
    wrong += [f"{id} was done {times} times" for id, times in done.items() if times > 1]
    rows = {row["id"] for name in ("hypotheses.jsonl", "hypotheses.jsonl.partial") for row in read_lines(folder / name)}
    for id in done:
        wrong += [
            f"{id}{suffix} is done and not there"
            for suffix in (".txt", ".json", ".srt")
            if not (folder / f"{id}{suffix}").is_file()
        ]
        wrong += [] if id in rows else [f"{id} is done and has no row"]
    return wrong


def check_completions(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Check that the written completions are the beginning of the whole."""
    whole: bytes = expected["all.jsonl"]
    for name in ("all.jsonl", "all.jsonl.partial"):
        path = folder / name
        if path.exists() and not whole.startswith(path.read_bytes()):
            return [f"{name} is no beginning of the whole"]
    return []


def check_training(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Checkpoints and models are whole, and JSON files too."""
    from speechrnn.nn.acoustic import load_acoustic
    from speechrnn.nn.language import load_language

    for path in folder.rglob("*.ckpt"):
        checkpoint_bits(path)
    for path in folder.rglob("*.json"):
        json.loads(path.read_bytes())
    for name, load in (("acoustic", load_acoustic), ("language", load_language)):
        if (folder / name / "model.json").exists():
            load(folder / name)
    return []


def check_live(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Each file is whole, and the beginning of the undisturbed one."""
    wrong = []
    for name, content in all_files(folder).items():
        if name == "talk.json":
            segments = json.loads(content)["segments"]
            whole = json.loads(expected[name])["segments"]
            # The last final of an interrupted stream ends where the sound does.
            wrong += [] if segments[:-1] == whole[: max(0, len(segments) - 1)] else [f"{name} differs"]
        elif name in expected and name.endswith(".srt"):
            blocks = content.split(b"\n\n")
            wrong += (
                [] if blocks[:-2] == expected[name].split(b"\n\n")[: max(0, len(blocks) - 2)] else [f"{name} differs"]
            )
    return wrong
