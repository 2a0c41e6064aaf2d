"""Training a small acoustic model on tones: it learns, SIGKILL changes nothing, and two processes train one model."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers.corpora import RATE, write_corpus
from lhotse import CutSet

from speechrnn.audio.augmentation import SpecAugmentOptions, WaveformOptions
from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.data.corpora import corpus_options
from speechrnn.data.corpora.prepare import prepare
from speechrnn.nn.acoustic import AcousticOptions, save_acoustic
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.training.acoustic import AcousticTask, train_acoustic
from speechrnn.training.acoustic_options import AcousticSettings, AcousticTrainerOptions
from speechrnn.training.fabric import make_fabric
from speechrnn.training.initialisation import InitialModel
from speechrnn.training.loop import Loop

TOKENIZER = CharTokenizer.build(["ABCD"])
ROOT = Path(__file__).parents[2]


def settings(**trainer: object) -> AcousticSettings:
    options = {"epochs": 2, "batch_seconds": 4.0, "accelerator": "cpu", "checkpoint_steps": 3, **trainer}
    return AcousticSettings(
        FeatureOptions(sampling_rate=RATE, bins=16),
        AcousticOptions(layers=1, units=24, channels=4, stride=2, dropout=0.1),
        SpecAugmentOptions(time_masks=1, frequency_masks=1, frequency_width=2),
        waveform=WaveformOptions(speeds=(0.95, 1.0, 1.05), padding=0.1),
        trainer=AcousticTrainerOptions(**options),  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> tuple[CutSet, CutSet]:
    root = write_corpus(tmp_path_factory.mktemp("corpus"), 40)
    corpus = prepare(corpus_options({"name": "folder", "root": str(root)}), root / "prepared")
    assert corpus.train and corpus.dev
    return CutSet.from_file(corpus.train).to_eager(), CutSet.from_file(corpus.dev).to_eager()


def train(cuts: tuple[CutSet, CutSet], folder: Path, **trainer: object) -> tuple[dict[str, torch.Tensor], dict]:
    options = settings(**trainer)
    model, summary = train_acoustic(make_fabric(options.trainer, folder), options, TOKENIZER, *cuts, folder)
    return model.state_dict(), summary


@pytest.mark.integration
def test_it_learns(cuts: tuple[CutSet, CutSet], tmp_path: Path) -> None:
    """Down to the labels' own entropy a network falls without listening; below it, it has heard the tones."""
    _, summary = train(cuts, tmp_path, epochs=80, learning_rate=0.02)
    losses = [record["train_loss"] for record in summary["history"]]
    assert min(losses) < math.log(4) < losses[0]  # nats a label, of which there are four kinds
    assert list(tmp_path.glob("events.*"))


def test_trying_the_largest_batch_leaves_the_label_priors(cuts: tuple[CutSet, CutSet], tmp_path: Path) -> None:
    options = settings(label_priors=0.3)
    fabric = make_fabric(options.trainer, tmp_path)
    task = AcousticTask(fabric, options, TOKENIZER, *cuts)
    before = task.carried.clone()
    Loop(fabric, task, options.trainer, folder=tmp_path, fingerprint={}).try_largest_batch()
    assert torch.equal(task.carried, before)


KILLER = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {folder!r}]
from lhotse import CutSet
from test_acoustic import settings, train
from speechrnn.training.loop import Loop
step = Loop.step
def step_or_die(self, batch, done):
    if self.state.step == {killed_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    step(self, batch, done)
Loop.step = step_or_die
cuts = tuple(CutSet.from_file(Path({prepared!r}) / f"cuts_{{part}}.jsonl.gz").to_eager() for part in ("train", "dev"))
train(cuts, Path({run!r}))
"""


@pytest.mark.integration
def test_sigkill_in_the_middle_of_an_epoch_changes_nothing(cuts: tuple[CutSet, CutSet], tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    for name, part in zip(("train", "dev"), cuts, strict=True):
        part.to_file(prepared / f"cuts_{name}.jsonl.gz")
    expected, summary = train(cuts, tmp_path / "whole")
    steps = summary["steps"]
    assert steps % 2 == 0 and steps // 2 > 4
    killed_at = steps // 2 + 4  # in the second epoch, a step after a checkpoint
    code = KILLER.format(
        tests=str(ROOT / "tests"),
        folder=str(Path(__file__).parent),
        killed_at=killed_at,
        prepared=str(prepared),
        run=str(tmp_path / "killed"),
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    state = torch.load(tmp_path / "killed" / "last.ckpt", weights_only=True)["state"]
    assert state["epoch"] == 1 and state["batch"] > 0
    resumed, _ = train(cuts, tmp_path / "killed")
    for name, value in expected.items():
        assert torch.equal(resumed[name], value), name


def test_the_batch_tried_first_has_room_for_pauses_and_the_slowest_speed(
    cuts: tuple[CutSet, CutSet], tmp_path: Path
) -> None:
    options = settings()
    task = AcousticTask(make_fabric(options.trainer, tmp_path), options, TOKENIZER, *cuts)
    largest = task.largest_batch()
    assert largest.waveforms.shape[1] == largest.lengths.max()
    _, batches = task.epoch(0, 0)
    longest = max(batch.waveforms.numel() for batch in batches)
    assert largest.waveforms.numel() >= longest - largest.waveforms.shape[1]
    assert torch.isfinite(task.loss(task.model, largest))


@pytest.mark.integration
@pytest.mark.parametrize("dev_fraction", [0.1, 0.0])
def test_two_processes_train_one_model(tmp_path: Path, dev_fraction: float) -> None:
    """Two CPU processes over gloo, by the command that a user types; they agree on the best, also without dev."""
    corpus = write_corpus(tmp_path / "corpus", 40)
    command = [
        sys.executable,
        str(ROOT / "recipes" / "speech_to_text.py"),
        "corpus=folder",
        f"corpus.root={corpus}",
        f"output={tmp_path / 'run'}",
        f"features.sampling_rate={RATE}",
        "features.bins=16",
        "acoustic.layers=1",
        "acoustic.units=16",
        "acoustic.channels=4",
        "trainer.epochs=8",
        "trainer.min_steps=0",
        f"corpus.dev_fraction={dev_fraction}",
        "trainer.batch_seconds=4",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "trainer.strategy=ddp",
        "stages=[prepare,train,decode]",
    ]
    environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "LOCAL_RANK")}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert ended.returncode == 0, ended.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["acoustic"]["epochs"] == 8
    assert metrics["decode"]["greedy"]["utterances"] == 10
    assert ended.stderr.count("epoch 8/8") == 1  # one process talks
    assert "batch_seconds=4 is that of all together, 2 each" in ended.stderr


def test_a_training_does_not_go_on_with_another_corpus(cuts: tuple[CutSet, CutSet], tmp_path: Path) -> None:
    train(cuts, tmp_path, epochs=1)
    changed = cuts[0].map(lambda cut: cut.with_id(cut.id.replace("1", "one"))).to_eager()
    with pytest.raises(UserError, match=r"the training data has changed.*restart=true"):
        train((changed, cuts[1]), tmp_path, epochs=2)
    with pytest.raises(UserError, match=r"the validation data has changed"):
        train((cuts[0], cuts[1].subset(first=1)), tmp_path, epochs=2)


def test_a_loss_that_no_speech_can_have_names_its_utterances(
    cuts: tuple[CutSet, CutSet], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = settings()
    task = AcousticTask(make_fabric(options.trainer, tmp_path), options, TOKENIZER, *cuts)
    _, batches = task.epoch(0, 0)
    batch = next(iter(batches))
    task.check_loss(batch, 99.0)
    assert caplog.text == ""
    task.check_loss(batch, 8000.0)
    assert "8000 nats a label" in caplog.text and batch.ids[0] in caplog.text
    # The fault that made it necessary: bounds of the speech between which no label fits.
    loss = task.loss(task.model, replace(batch, spoken=torch.zeros_like(batch.spoken)))
    assert loss > 100
    for _ in range(50):
        task.check_loss(batch, loss.item())
    assert caplog.text.count("nats a label") == 10


@pytest.mark.parametrize("normalisation", ["training", "level"])
def test_training_statistics_are_those_of_the_training_set(
    normalisation: str, cuts: tuple[CutSet, CutSet], tmp_path: Path
) -> None:
    plain = settings()
    options = AcousticSettings(
        FeatureOptions(sampling_rate=RATE, bins=16, normalisation=normalisation),  # type: ignore[arg-type]
        plain.acoustic,
        plain.masks,
        waveform=plain.waveform,
        trainer=plain.trainer,
    )
    task = AcousticTask(make_fabric(options.trainer, tmp_path), options, TOKENIZER, *cuts)
    front_end = task.model.front_end.eval()
    rows = []
    for cut in cuts[0]:
        wave = torch.from_numpy(cut.load_audio())
        rows.append(front_end(wave, torch.tensor([wave.shape[1]]))[0][0])
    frames = torch.cat(rows).double()
    torch.testing.assert_close(frames.mean(0), torch.zeros(16).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(frames.std(0), torch.ones(16).double(), atol=1e-2, rtol=0)


def test_an_intermediate_layer_beyond_the_last_is_refused(cuts: tuple[CutSet, CutSet], tmp_path: Path) -> None:
    plain = settings()
    options = replace(plain, acoustic=replace(plain.acoustic, intermediate_layer=2))
    with pytest.raises(UserError, match="intermediate_layer=2"):
        AcousticTask(make_fabric(options.trainer, tmp_path), options, TOKENIZER, *cuts)


def test_a_dictionary_without_the_words_of_the_transcripts_is_refused(
    cuts: tuple[CutSet, CutSet], tmp_path: Path
) -> None:
    (tmp_path / "other.dict").write_text("zebra Z IY B R AH\n")
    plain = settings(pronunciations=tmp_path / "other.dict")
    options = replace(plain, acoustic=replace(plain.acoustic, intermediate_layer=1))
    with pytest.raises(UserError, match=r"other\.dict"):
        AcousticTask(make_fabric(options.trainer, tmp_path), options, TOKENIZER, *cuts)


def intermediate_task(cuts: tuple[CutSet, CutSet], folder: Path, phones: str) -> AcousticTask:
    """Return a task whose intermediate labels are `phones` for each word."""
    words = {word for part in cuts for cut in part for word in cut.supervisions[0].text.split()}
    (folder / "phones.dict").write_text("".join(f"{word} {phones}\n" for word in words))
    plain = settings(pronunciations=folder / "phones.dict")
    options = replace(plain, acoustic=replace(plain.acoustic, intermediate_layer=1, dropout=0.0))
    return AcousticTask(make_fabric(options.trainer, folder), options, TOKENIZER, *cuts)


def test_intermediate_labels_that_do_not_fit_into_the_frames_are_left_out(
    cuts: tuple[CutSet, CutSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would make the loss of the whole batch infinite, or with pauses around the speech finite and huge."""
    task = intermediate_task(cuts, tmp_path, " ".join(["K AA"] * 50))
    batch = next(iter(task.epoch(0, 0)[1]))
    task.model.eval()
    loss = task.loss(task.model, batch)
    assert loss < 100
    monkeypatch.setattr(task, "intermediate_labels", lambda text: None)
    torch.testing.assert_close(task.loss(task.model, batch), loss)


@pytest.mark.integration
def test_a_training_does_not_go_on_with_another_dictionary(cuts: tuple[CutSet, CutSet], tmp_path: Path) -> None:
    words = {word for part in cuts for cut in part for word in cut.supervisions[0].text.split()}
    plain = settings(epochs=1, pronunciations=tmp_path / "phones.dict")
    options = replace(plain, acoustic=replace(plain.acoustic, intermediate_layer=1))
    fabric = make_fabric(options.trainer, tmp_path)
    for phones in ("K AA", "AA K"):
        options.trainer.pronunciations.write_text("".join(f"{word} {phones}\n" for word in words))  # type: ignore[union-attr]
        if phones == "AA K":
            with pytest.raises(UserError, match=r"the pronunciations has changed.*restart=true"):
                train_acoustic(fabric, options, TOKENIZER, *cuts, tmp_path)
        else:
            train_acoustic(fabric, options, TOKENIZER, *cuts, tmp_path)


@pytest.mark.integration
@pytest.mark.parametrize("key", ["noise", "rooms"])
def test_a_training_does_not_go_on_with_other_sounds_behind_the_same_path(
    cuts: tuple[CutSet, CutSet], tmp_path: Path, key: str
) -> None:
    """Nor with other files in the same folder; one whose checkpoint is older and does not record them goes on."""
    plain = settings(epochs=1)
    sounds = {key: (str(tmp_path / "sounds"),)}
    options = replace(plain, waveform=replace(plain.waveform, **sounds))  # type: ignore[arg-type]
    fabric = make_fabric(options.trainer, tmp_path)
    (tmp_path / "sounds").mkdir()

    def write(name: str, seed: int) -> None:
        samples = 0.1 * np.random.default_rng(seed).standard_normal(RATE)
        soundfile.write(tmp_path / "sounds" / name, samples, RATE)

    def resume() -> None:
        train_acoustic(fabric, options, TOKENIZER, *cuts, tmp_path)

    write("first.wav", 0)
    resume()
    resume()
    write("first.wav", 1)  # as long as before
    with pytest.raises(UserError, match=rf"the content of augmentation.waveform.{key} has changed.*restart=true"):
        resume()
    write("first.wav", 0)
    write("second.wav", 1)
    with pytest.raises(UserError, match=rf"augmentation.waveform.{key} has changed"):
        resume()
    for path in (tmp_path / "last.ckpt", tmp_path / "best.ckpt"):
        saved = torch.load(path, weights_only=True)
        del saved["fingerprint"][f"content of augmentation.waveform.{key}"]
        torch.save(saved, path)
    resume()


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_a_batch(cuts: tuple[CutSet, CutSet], processes: int) -> None:
    """A step reads as much audio, whatever number of processes takes it."""
    options = settings(batch_seconds=8.0)
    seconds = 0.0
    for rank in range(processes):
        fabric: Any = SimpleNamespace(world_size=processes, global_rank=rank, device=torch.device("cpu"))
        task = AcousticTask(fabric, options, TOKENIZER, *cuts)
        assert task.batches.batch_seconds == 8.0 / processes
        batch = task.batches.plan(0)[0]
        seconds += len(batch) * max(utterance.duration for utterance in batch)
    assert seconds <= 8.0


@pytest.mark.integration
def test_a_model_fine_tuned_on_few_utterances_is_better_than_one_from_scratch(
    cuts: tuple[CutSet, CutSet], tmp_path: Path
) -> None:
    """The lower layer is frozen at first; killed and resumed, the fine-tuning ends with the same bits."""
    options = settings(epochs=60, learning_rate=0.02, average=0.9)
    fabric = make_fabric(options.trainer, tmp_path)
    base, _ = train_acoustic(fabric, options, TOKENIZER, *cuts, tmp_path / "base")
    save_acoustic(tmp_path / "model", base, TOKENIZER, training={})
    initial = InitialModel.load(tmp_path / "model")
    few = cuts[0].subset(last=6)
    losses, weights = {}, []
    for name in ("scratch", "tuned", "resumed"):
        chosen = {"epochs": 8, "learning_rate": 0.005, "average": 0.5, "checkpoint_steps": 2}
        frozen = {} if name == "scratch" else {"frozen_layers": 1, "frozen_steps": 5}
        start = None if name == "scratch" else initial
        if name == "resumed":
            short = settings(**chosen, **frozen, patience=None)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Loop, "finish_epoch", stop_after_three_epochs(Loop.finish_epoch))
                with pytest.raises(KeyboardInterrupt):
                    train_acoustic(
                        fabric, short, TOKENIZER, train=few, dev=cuts[1], folder=tmp_path / name, initial=start
                    )
        final = settings(**chosen, **frozen)
        model, summary = train_acoustic(
            fabric, final, TOKENIZER, train=few, dev=cuts[1], folder=tmp_path / name, initial=start
        )
        losses[name] = min(record["dev_loss"] for record in summary["history"])
        weights.append(model.state_dict())
    assert losses["tuned"] < 0.7 * losses["scratch"]
    for name, value in weights[1].items():
        assert torch.equal(weights[2][name], value), name


def stop_after_three_epochs(finish: Callable[..., None]) -> Callable[..., None]:
    """Return `Loop.finish_epoch` that stops the training in its fourth epoch."""

    def finish_or_stop(loop: Any, *arguments: Any) -> None:
        if loop.state.epoch == 3:
            raise KeyboardInterrupt
        finish(loop, *arguments)

    return finish_or_stop
