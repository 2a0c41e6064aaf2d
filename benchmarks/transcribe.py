"""Claim: two cores transcribe at 300 times real time greedily and at 150 with a language model, several times the peer.

Ours is `Transcriber.transcribe` as `speechrnn transcribe` calls it: speech detected, windows batched, the machine's
best engine, a JSON file for each recording at the end. It gets --clips short recordings (the AN4 test files again and
again) and one recording of --hours (the same files one after the other). The peer is the same network as plain float32
nn.LSTM on packed sequences (`RecurrentLayer.forward_packed`), as most tools for single files run it: clip by clip, and
the long recording by 30 seconds at a time, on all threads, without looking for speech and without writing. It gets a
part of the audio, since it is slow.

Printed first: how many words of the clips differ from the peer's, and the share of each stage in the processor time of
one run. Without --language-model, only greedy decoding is timed; without --model, an untrained network of the AN4
experiment's shape does the same work on the same sound.
"""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import torch
from an4 import ROOT, packed, save_untrained, test_files
from timing import in_turn, machine, parser, result, share, stop
from torchaudio.functional import edit_distance

from speechrnn.audio import audio_blocks, audio_info, load_audio
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.core.errors import UserError
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.hypothesis import Word
from speechrnn.transcription import reader
from speechrnn.transcription.transcriber import Failure, Transcriber
from speechrnn.transcription.writers import find_writers, write_transcript

RATE = 16000  # Hz, of AN4
BLOCK = 30.0  # seconds of a long recording that the peer takes at a time


def ours(
    transcriber: Transcriber, files: Sequence[Path], folder: Path, write: Callable[..., object] | None = None
) -> dict[str, str]:
    """Transcribe each file, and write the transcripts into the folder."""
    write = write or partial(write_transcript, find_writers(["json"])[0])
    texts = {}
    for number, found in enumerate(transcriber.transcribe(files)):
        if isinstance(found, Failure):
            stop(found.reason)
        write(found, folder / f"{number}.json")
        texts[found.audio] = found.text
    return texts


def peer(transcriber: Transcriber, files: Sequence[Path], threads: int) -> dict[str, str]:
    """Transcribe file by file in packed float32; nothing is written."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    texts = {}
    with packed(transcriber.model), torch.inference_mode():
        for file in files:
            words: list[Word] = []
            for samples in audio_blocks(file, BLOCK, transcriber.sampling_rate):
                emissions = transcriber.model(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
                words += transcriber.decoder(*emissions)[0].words
            texts[str(file)] = " ".join(word.word for word in words)
    torch.set_num_threads(before)
    return texts


class Stages:
    """Processor seconds by stage, summed over all threads, while a transcriber is watched."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def timed(self, stage: str, call: Callable[..., Any], inside: str | None = None) -> Callable[..., Any]:
        """The same callable, with its time counted; not once more for the stage that it is `inside` of."""

        def run(*given: Any) -> Any:
            began = time.thread_time()
            try:
                return call(*given)
            finally:
                self.add(stage, time.thread_time() - began, inside)

        return run

    def add(self, stage: str, seconds: float, inside: str | None = None) -> None:
        """Count time for a stage."""
        self.seconds[stage] += seconds
        if inside is not None:
            self.seconds[inside] -= seconds

    def read(self, *given: Any, **options: Any) -> Iterator[np.ndarray]:
        """`audio_blocks`, timed."""
        blocks = self.audio_blocks(*given, **options)
        while True:
            began = time.thread_time()
            block = next(blocks, None)
            self.add("reading", time.thread_time() - began)
            if block is None:
                return
            yield block

    def watch(self, transcriber: Transcriber, files: Sequence[Path], folder: Path) -> dict[str, float]:
        """Seconds of each stage in one run of ours, and of all of it."""
        self.audio_blocks = reader.audio_blocks
        kept = {name: getattr(transcriber, name) for name in ("engine", "decoder", "detector")}
        front_end = kept["engine"].front_end if hasattr(kept["engine"], "front_end") else kept["engine"].model.front_end
        names = {"engine": "network", "decoder": "decoding", "detector": "speech"}
        reader.audio_blocks = self.read
        front_end.forward = self.timed("features", front_end.forward, inside="network")
        try:
            for name, stage in names.items():
                setattr(transcriber, name, _Named(kept[name].name, self.timed(stage, kept[name])))
            began = time.process_time()
            write = partial(write_transcript, find_writers(["json"])[0])
            ours(transcriber, files, folder, write=self.timed("writing", write))
            whole = time.process_time() - began
        finally:
            reader.audio_blocks = self.audio_blocks
            del front_end.forward
            for name, value in kept.items():
                setattr(transcriber, name, value)
        return {**self.seconds, "rest": whole - sum(self.seconds.values()), "all": whole}


class _Named:
    """A callable with a name, as engines, decoders and detectors are."""

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        self.name = name
        self.call = call

    def __call__(self, *given: Any) -> Any:
        return self.call(*given)


def joined(files: Sequence[Path], hours: float, path: Path) -> Path:
    """One recording of so many hours: the files one after the other, again and again."""
    missing = round(hours * 3600 * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for file_path in cycle(files):
            if missing <= 0:
                break
            samples = load_audio(file_path, RATE)[0][:missing]
            file.write(samples)
            missing -= len(samples)
    return path


def measure(name: str, transcriber: Transcriber, files: Sequence[Path], given: Namespace, folder: Path) -> list[str]:
    """Ours over all files against the peer over the first --peer-seconds; lines of results, in times real time."""
    durations = [audio_info(file).duration for file in files]
    seconds, few = 0.0, []
    for file, duration in zip(files, durations, strict=True):
        if seconds < given.peer_seconds:
            few.append(file)
            seconds += duration
    if len(files) == 1 and durations[0] > given.peer_seconds:  # what is to be one recording for both
        few, seconds = (
            [joined(test_files(given.root), given.peer_seconds / 3600, folder / "part.wav")],
            given.peer_seconds,
        )
    found, other = ours(transcriber, files, folder), peer(transcriber, few, given.threads)
    if len(files) > 1:
        words = sum(len(text.split()) for text in other.values())
        wrong = sum(edit_distance(text.split(), found[file].split()) for file, text in other.items())
        print(f"{name}: {wrong} of the peer's {words} words differ in {len(other)} recordings")
    sides = {"ours": partial(ours, transcriber, files, folder), "peer": partial(peer, transcriber, few, given.threads)}
    took = in_turn(sides, given.repeats, warm_up=False)
    stages = Stages().watch(transcriber, files, folder)
    whole = stages.pop("all")
    lines = [share(f"{name}_{stage}", part, whole, unit="s of all cores") for stage, part in stages.items()]
    speed = sum(durations) / took["ours"]
    return [*lines, result(name, speed, seconds / took["peer"], unit="times real time", more_is_better=True)]


def main() -> None:
    """Print the shares of the stages and the speed, of clips and of a long recording."""
    options = parser(__doc__, repeats=3)
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    options.add_argument("--model", type=Path, help="an acoustic model's directory")
    options.add_argument("--language-model", type=Path, help="a language model's directory, for beam search as well")
    options.add_argument("--clips", type=int, default=1000, help="short recordings (1000)")
    options.add_argument("--hours", type=float, default=1.0, help="length of the long recording (1)")
    options.add_argument("--peer-seconds", type=float, default=350.0, help="audio that the peer gets (350)")
    options.add_argument("--engine", default="auto", help="as of `speechrnn transcribe` (auto)")
    options.add_argument("--vad", default="auto", help="as segmentation.vad of `speechrnn transcribe` (auto)")
    given = options.parse_args()
    if given.quick:
        given.clips, given.hours, given.peer_seconds, given.repeats = 64, 0.05, 30.0, 1
    files = test_files(given.root)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = given.model or folder / "model"
        if given.model is None:
            save_untrained(model)
        clips, long = list(islice(cycle(files), given.clips)), [joined(files, given.hours, folder / "long.wav")]
        lines: list[str] = []
        try:
            systems: tuple[Literal["greedy", "beam"], ...] = ("greedy", "beam")
            for decoding in systems[: 1 if given.language_model is None else 2]:
                transcriber = Transcriber.load(
                    model,
                    device="cpu",
                    decoding=DecodingOptions(name=decoding),
                    language_model=given.language_model if decoding == "beam" else None,
                    engine=given.engine,
                    segmentation=SegmentationOptions(vad=given.vad),
                    threads=given.threads,
                )
                if not lines:
                    print(f"{machine(given.threads)}, torch {torch.__version__}, {transcriber.engine.name}")
                for kind, recordings in (("clips", clips), ("hour", long)):
                    lines += measure(
                        f"transcribe_{kind}_{decoding}", transcriber, recordings, given=given, folder=folder
                    )
        except UserError as error:
            stop(str(error))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
