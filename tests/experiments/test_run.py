"""The run folder: resumed by the same command, never mixed up, never emptied of other files."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from speechrnn.core.errors import UserError
from speechrnn.experiments.log import stop_logging
from speechrnn.experiments.run import HEADER, OURS, Run, is_first_process, keep_earlier_values


@pytest.fixture(autouse=True)
def typed_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands are typed in the temporary folder, by the only process there is."""
    monkeypatch.chdir(tmp_path)
    for rank in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(rank, raising=False)
    yield
    stop_logging()


def opened(*overrides: str, **values: Any) -> Run:
    config: dict[str, Any] = {"output": None, "name": None, "restart": False, "acoustic": {"layers": 3}, **values}
    return Run.open("speech_to_text", OmegaConf.create(config), overrides)


def refused(*overrides: str, **values: Any) -> str:
    with pytest.raises(UserError) as caught:
        opened(*overrides, **values)
    return str(caught.value)


# --- the folder


def test_the_folder_lies_where_the_command_was_typed(tmp_path: Path) -> None:
    run = opened("acoustic.layers=3")
    assert run.folder == tmp_path / "outputs" / "speech_to_text" / "acoustic.layers-3"
    config = run.config.read_text()
    assert yaml.safe_load(config)["acoustic"] == {"layers": 3}
    assert config.splitlines()[0].endswith("Recipe: speech_to_text")


def test_name_and_output_say_otherwise(tmp_path: Path) -> None:
    assert opened("seed=1", name="an4/seed1").folder == tmp_path / "outputs" / "speech_to_text" / "an4" / "seed1"
    assert opened("seed=1", output="here").folder == tmp_path / "here"


@pytest.mark.parametrize("name", ["../up", "/root", "", "."])
def test_a_name_outside_the_outputs_is_refused(name: str) -> None:
    assert "use output=DIR" in refused(name=name)


def test_the_written_configuration_is_resolved() -> None:
    run = opened(corpus={"root": "r"}, copy="${corpus.root}")
    assert yaml.safe_load(run.config.read_text())["copy"] == "r"


def test_the_same_command_finds_its_folder_again() -> None:
    run = opened(lr=1e-5, title="yes", corpus={"root": "there"})
    run.acoustic.mkdir()
    (run.acoustic / "model.json").touch()
    again = opened(lr=1e-5, title="yes", corpus={"root": "elsewhere"}, stages=["decode"], trainer={"devices": 2})
    assert again == run
    assert (run.acoustic / "model.json").exists()


def test_another_configuration_is_refused_with_what_differs() -> None:
    opened(name="a", lr=0.1, gone=1).update_metrics("acoustic", {"epochs": 1})
    sentence = refused(name="a", lr=0.2, acoustic={"layers": 4, "norm": True})
    assert "acoustic.layers was 3 and is now 4" in sentence
    assert "acoustic.norm was unset and is now true" in sentence
    assert "lr was 0.1 and is now 0.2" in sentence
    assert "gone was 1 and is now unset" in sentence
    assert "use another name=..., or restart=true" in sentence


def test_epochs_and_minutes_may_change_and_nothing_else_with_them() -> None:
    opened(name="a", trainer={"epochs": 3, "minutes": None}).update_metrics("acoustic", {"epochs": 1})
    run = opened(name="a", trainer={"epochs": 4, "minutes": 60.0})
    assert yaml.safe_load(run.config.read_text())["trainer"] == {"epochs": 4, "minutes": 60.0}
    sentence = refused(name="a", trainer={"epochs": 5, "minutes": None, "learning_rate": 0.1})
    assert "trainer.learning_rate was unset and is now 0.1)" in sentence


def test_a_run_of_an_older_version_lacks_keys_that_have_their_defaults_now() -> None:
    opened(name="a").update_metrics("acoustic", {"epochs": 1})
    new = {"layers": 3, "intermediate_layer": 0}
    opened(name="a", acoustic=new, init_from=None, stages=["decode"])
    assert "acoustic.streaming was unset and is now 0.4" in refused(name="a", acoustic={**new, "streaming": 0.4})


@pytest.mark.parametrize("result", ["acoustic/model.json", "checkpoints/language/last.ckpt", "report.html"])
def test_a_command_that_failed_before_training_may_be_corrected(result: str) -> None:
    run = opened(name="a", corpus={"name": "folder", "trim": 1})
    for unfinished in (run.prepared / "summary.json", run.log_file):
        unfinished.parent.mkdir(exist_ok=True)
        unfinished.touch()
    run.checkpoints.mkdir()
    corrected = opened(name="a", corpus={"name": "folder", "trim": 2})
    assert yaml.safe_load(corrected.config.read_text())["corpus"]["trim"] == 2

    (run.folder / result).parent.mkdir(parents=True, exist_ok=True)
    (run.folder / result).touch()
    assert "corpus.trim was 2 and is now 3" in refused(name="a", corpus={"name": "folder", "trim": 3})


def test_another_recipe_is_refused() -> None:
    opened(output="here").update_metrics("acoustic", {"epochs": 1})
    with pytest.raises(UserError, match="a run of speech_to_text, not of text_prediction"):
        Run.open("text_prediction", OmegaConf.create({"output": "here"}), [])


def test_restart_removes_what_a_run_wrote_and_nothing_else(tmp_path: Path) -> None:
    run = opened(output="here")
    for name in OURS:
        (run.folder / name).touch() if "." in name else (run.folder / name / "inner").mkdir(parents=True)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "model.json").touch()
    run.acoustic.rename(tmp_path / "moved")
    run.acoustic.symlink_to(kept)
    (run.folder / "notes.txt").write_text("mine")

    opened(output="here", restart=True, acoustic={"layers": 9})

    assert sorted(path.name for path in run.folder.iterdir()) == ["config.yaml", "notes.txt"]
    assert (kept / "model.json").exists()
    assert yaml.safe_load(run.config.read_text())["acoustic"] == {"layers": 9}


@pytest.mark.parametrize("restart", [False, True])
def test_files_that_no_run_wrote_are_left_alone(tmp_path: Path, restart: bool) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("a: 1\n")
    (tmp_path / "also").mkdir()
    (tmp_path / "also" / "language").mkdir()
    assert "config.yaml was not written by a run" in refused(output="mine", restart=restart)
    assert "language was not written by a run" in refused(output="also", restart=restart)
    assert (tmp_path / "mine" / "config.yaml").read_text() == "a: 1\n"
    assert (tmp_path / "also" / "language").is_dir()


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert f"{tmp_path}/file/run" in refused(output="file/run")
    assert "choose another output=DIR" in refused(output="file")


def test_a_damaged_configuration_is_named() -> None:
    run = opened(output="here")
    run.update_metrics("acoustic", {"epochs": 1})
    run.config.write_text(run.config.read_text().splitlines()[0] + "\na: [1\n")
    assert "config.yaml is damaged" in refused(output="here")
    opened(output="here", restart=True)


@pytest.mark.parametrize("rank", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_other_processes_of_a_training_leave_the_folder_alone(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = opened(name="a")
    run.acoustic.mkdir()
    before = run.config.read_text()
    monkeypatch.setenv(rank, "1")
    assert not is_first_process()
    other = opened(name="a", restart=True, acoustic={"layers": 9})
    other.start_logging()
    other.log("not to be seen")
    assert other == run
    assert run.acoustic.is_dir()
    assert run.config.read_text() == before
    assert not run.log_file.exists()


# --- the log


def test_lines_go_to_the_log_and_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run = opened()
    run.start_logging()
    run.start_logging()  # a second time adds nothing
    run.log("100% of the words: 'мова'")
    logging.getLogger("speechrnn.data.dataset").warning("left out %d", 3)
    assert capsys.readouterr().err == "100% of the words: 'мова'\nleft out 3\n"
    lines = run.log_file.read_text(encoding="utf-8").splitlines()
    assert [re.sub(r"^[\d: -]+", "", line) for line in lines] == [
        "INFO 100% of the words: 'мова'",
        "WARNING left out 3",
    ]


def test_a_later_run_logs_to_its_own_file_and_the_same_command_appends() -> None:
    first, second = opened(name="a"), opened(name="b")
    for run in (first, second, first):
        run.start_logging()
        run.log(f"line of {run.name}")
    assert first.log_file.read_text().count("line of a") == 2
    assert second.log_file.read_text().count("line of") == 1


def test_a_log_that_cannot_be_written_is_named() -> None:
    run = opened()
    run.log_file.mkdir()
    with pytest.raises(UserError, match=r"Cannot write .*run\.log"):
        run.start_logging()


def test_a_full_disk_under_the_log_does_not_fill_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full to write to")
    run = opened()
    run.log_file.symlink_to(full)
    run.start_logging()
    run.log("still here")
    assert capsys.readouterr().err == "still here\n"


# --- the numbers


def test_metrics_are_merged_by_section() -> None:
    run = opened()
    assert run.read_metrics() == {}
    run.update_metrics("acoustic", {"epochs": 3})
    run.update_metrics("decode", {"greedy": {"wer": 0.1, "cer": 0.05}})
    run.update_metrics("decode", {"beam": {"wer": 0.08}})
    run.update_metrics("decode", {"greedy": {"wer": 0.2}})
    expected = {"acoustic": {"epochs": 3}, "decode": {"greedy": {"wer": 0.2}, "beam": {"wer": 0.08}}}
    assert run.read_metrics() == expected
    assert json.loads(run.metrics.read_text()) == expected
    assert sorted(path.name for path in run.folder.iterdir()) == ["config.yaml", "metrics.json"]


def test_figures_of_replaced_weights_are_removed() -> None:
    run = opened()
    run.forget_metrics("decode")
    assert not run.metrics.exists()
    for section in ("acoustic", "tuning", "decode"):
        run.update_metrics(section, {"epochs": 3})
    run.forget_metrics("tuning", "decode")
    assert run.read_metrics() == {"acoustic": {"epochs": 3}}


def test_a_number_that_is_not_finite_is_still_json() -> None:
    run = opened()
    run.update_metrics("language", {"perplexity": float("inf"), "interval": (0.5, float("nan"))})
    assert run.read_metrics() == {"language": {"perplexity": None, "interval": [0.5, None]}}


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_damaged_metrics_are_named(text: str) -> None:
    run = opened()
    run.metrics.write_text(text)
    with pytest.raises(UserError, match=r"metrics\.json .*restart=true"):
        run.read_metrics()


# --- values that are chosen: auto


def test_a_run_keeps_the_value_that_is_auto_now(tmp_path: Path) -> None:
    """The demo's corpus.dev_fraction was 0.1 before it became auto: its old runs were refused."""
    run = opened(output="here", corpus={"dev_fraction": 0.1})
    run.acoustic.mkdir()
    (run.acoustic / "model.json").touch()
    config = OmegaConf.create({"output": "here", "name": None, "restart": False, "corpus": {"dev_fraction": "auto"}})
    config.acoustic = {"layers": 3}
    (sentence,) = keep_earlier_values("speech_to_text", config, [])
    assert config.corpus.dev_fraction == 0.1
    assert str(run.folder) in sentence and "corpus.dev_fraction=0.1" in sentence
    Run.open("speech_to_text", config, [])
    assert yaml.safe_load(run.config.read_text())["corpus"] == {"dev_fraction": 0.1}


@pytest.mark.parametrize(
    ("overrides", "changed", "damage"),
    [
        (["corpus.dev_fraction=auto"], {}, None),
        ([], {"restart": True}, None),
        ([], {"output": "elsewhere"}, None),
        ([], {}, "no: [configuration"),
        ([], {}, f"{HEADER}\nno: [configuration"),
        ([], {}, f"{HEADER}\n- a list"),
    ],
)
def test_auto_stays_where_the_user_gives_it_or_begins_anew(
    overrides: list[str], changed: dict[str, Any], damage: str | None
) -> None:
    run = opened(output="here", corpus={"dev_fraction": 0.1}, trainer={"workers": 2})
    run.acoustic.mkdir()
    (run.acoustic / "model.json").touch()
    if damage is not None:
        run.config.write_text(damage)
    values = {"output": "here", "name": None, "restart": False, "corpus": {"dev_fraction": "auto"}, **changed}
    config = OmegaConf.create(values)
    assert keep_earlier_values("speech_to_text", config, overrides) == []
    assert config.corpus.dev_fraction == "auto"


def test_auto_stays_where_a_key_is_not_part_of_the_identity() -> None:
    run = opened(output="here", trainer={"workers": 2})
    run.acoustic.mkdir()
    (run.acoustic / "model.json").touch()
    config = OmegaConf.create({"output": "here", "name": None, "restart": False, "trainer": {"workers": "auto"}})
    assert keep_earlier_values("speech_to_text", config, []) == []
    assert config.trainer.workers == "auto"


def test_a_run_without_patience_goes_on_without() -> None:
    run = opened(output="here", trainer={"patience": None})
    run.language.mkdir()
    (run.language / "model.json").touch()
    config = OmegaConf.create({"output": "here", "name": None, "restart": False, "trainer": {"patience": "auto"}})
    (line,) = keep_earlier_values("text_prediction", config, [])
    assert "trainer.patience=null" in line and config.trainer.patience is None
