"""The command line, on a small recipe that each test finds in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.cli import help, overrides
from speechrnn.cli import main as cli
from speechrnn.core.errors import UserError
from speechrnn.version import __version__

PAGES = {
    "conf/toy.yaml": """
        # The toy's keys.
        defaults:
          - corpus: an4
          - acoustic: blstm
          - experiment: null
          - _self_

        # Where results go.
        output: null
        inputs: []
        seed: 0  # of everything
        twice: ${seed}
        """,
    "conf/corpus/an4.yaml": """
        # AN4: spelled words
        # (130 for the test).
        kind: an4

        # The folder.
        root: ???
        """,
    "conf/corpus/yesno.yaml": """
        # yesno: Hebrew. More of it
        # in another line.

        kind: yesno
        # The folder.
        root: ???
        # kaldi: the first thirty for training
        split: kaldi
        """,
    "conf/acoustic/blstm.yaml": """
        # Bidirectional.
        defaults:
          - /features: logmel
          - _self_
        layers: 3
        size: 256
        """,
    "conf/features/logmel.yaml": "# Log-mel.\nbins: 80\n",
    "conf/features/mfcc.yaml": "# MFCC.\ncoefficients: 13\n",
    "conf/experiment/best.yaml": """
        # @package _global_
        # What did best.
        acoustic:
          layers: 4
        """,
    "recipes/_shared.py": "raise RuntimeError('no recipe')",
    "recipes/toy.py": '''
        """Play with the configuration.

        In more than one line.
        """

        import json
        import os
        import sys
        from pathlib import Path

        from omegaconf import OmegaConf

        from speechrnn.cli.main import recipe
        from speechrnn.core.errors import UserError


        @recipe("toy", root=Path(__file__).parents[1])
        def main(config):
            print(json.dumps({"config": OmegaConf.to_container(config), "cwd": os.getcwd(), "argv": sys.argv}))
            match config.seed:
                case 1:
                    return 1
                case 2:
                    raise UserError("seed=2 is bad: take another.")
                case 3:
                    raise ZeroDivisionError("a bug")
                case 4:
                    raise KeyboardInterrupt
                case 5:  # as lightning does
                    try:
                        raise KeyboardInterrupt
                    except KeyboardInterrupt:
                        sys.exit(1)
                case 6:
                    print("ready", flush=True)
                    import time
                    time.sleep(60)


        if __name__ == "__main__":
            main()
        ''',
    "recipes/another.py": '"""Do something else."""\n',
    "recipes/lessons/first.py": '"""Learn."""\n',
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with conf/ and recipes/; its name has a space, as folders do."""
    root = tmp_path_factory.mktemp("a project")
    for name, text in PAGES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(text).lstrip(), encoding="utf-8")
    return root


class Result:
    """What a command printed and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def runs(self) -> list[dict[str, Any]]:
        """What the recipe got, one entry a job."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def config(self) -> dict[str, Any]:
        """What the only job got."""
        (run,) = self.runs
        config: dict[str, Any] = run["config"]
        return config

    @property
    def complaint(self) -> str:
        """The one sentence on stderr."""
        assert self.status == 2, (self.status, self.out, self.err)
        (line,) = self.err.splitlines()
        assert line.startswith("speechrnn: ")
        return line.removeprefix("speechrnn: ")


Command = Callable[..., Result]


@pytest.fixture
def speechrnn(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """The command, run in this process from an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["speechrnn"])

    def run(*arguments: str) -> Result:
        try:
            status = cli.main(arguments, root)
        except SystemExit as exit:
            assert isinstance(exit.code, int)
            status = exit.code
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


# --- help


def test_the_command_alone_lists_the_recipes(speechrnn: Command) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        result = speechrnn(*arguments)
        assert result.status == 0
        assert "recipes:\n  another  Do something else.\n  toy      Play with the configuration.\n" in result.out
        assert result.out.endswith("\nlessons:\n  first    Learn.\n")
        assert "_shared" not in result.out


def test_version(speechrnn: Command) -> None:
    assert speechrnn("--version").out == f"speechrnn {__version__}\n"


@pytest.mark.integration
@pytest.mark.parametrize("arguments", [[], ["toy", "--help"], ["--version"], ["tou"]])
def test_help_imports_nothing_heavy(root: Path, arguments: list[str]) -> None:
    code = (
        "import sys; from pathlib import Path; from speechrnn.cli import main as cli; "
        f"cli.main({arguments!r}, Path({str(root)!r})); "
        "heavy = {'torch', 'hydra', 'omegaconf', 'numpy', 'lightning', 'rich', 'antlr4'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_page_of_a_recipe_explains_every_key(speechrnn: Command) -> None:
    page = speechrnn("toy", "--help").out
    assert "In more than one line." in page
    assert "keys\n----\n\n  # Where results go.\n  output: null" in page
    assert "seed: 0  # of everything" in page
    assert "defaults:" not in page
    assert "an4    AN4: spelled words (130 for the test)." in page
    assert "yesno  yesno: Hebrew." in page
    assert "corpus.KEY=VALUE with corpus=an4:\n\n    kind: an4\n\n    # The folder.\n    root: ???" in page
    # What another option says in the same words is not said twice.
    assert page.count("# The folder.\n    root: ???") == 1
    own = "# kaldi: the first thirty for training\n    split: kaldi"
    assert "VALUE with corpus=yesno, and the rest as above:\n\n    # yesno: Hebrew. More of it\n    # in" in page
    assert f"    kind: yesno\n    {own}" in page
    assert "acoustic.features=logmel" in page
    assert "acoustic.features.KEY=VALUE with acoustic.features=mfcc:\n\n    coefficients: 13" in page
    assert "best  What did best." in page
    assert "layers: 4" not in page


@pytest.mark.integration
def test_help_anywhere_on_the_line_and_from_the_script_is_the_same_page(speechrnn: Command, root: Path) -> None:
    page = speechrnn("toy", "--help").out
    assert speechrnn("toy", "seed=3", "-h").out == page
    script = subprocess.run(
        [sys.executable, root / "recipes" / "toy.py", "--help"], capture_output=True, text=True, check=True
    )
    assert script.stdout == page


@pytest.mark.integration
def test_a_reader_that_stops_early_is_no_error(root: Path) -> None:
    code = (
        f"from pathlib import Path; from speechrnn.cli.main import main; exit(main(['toy', '-h'], Path({str(root)!r})))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 0
    process.stderr.close()


def test_the_groups_are_the_ones_hydra_composes(root: Path) -> None:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(version_base="1.3", config_dir=str(root / "conf")):
        choices = compose("toy", return_hydra_config=True).hydra.runtime.choices
    found = {group.name: group.chosen for group in help.groups(root / "conf" / "toy.yaml")}
    assert found == {name: choice for name, choice in choices.items() if not name.startswith("hydra/")}


# --- running


def test_overrides_reach_the_recipe_resolved(speechrnn: Command, tmp_path: Path) -> None:
    result = speechrnn("toy", "corpus=yesno", "corpus.root=../data", "seed=7", "experiment=best")
    assert result.status == 0
    assert result.config == {
        "output": None,
        "inputs": [],
        "seed": 7,
        "twice": 7,
        "corpus": {"kind": "yesno", "root": "../data", "split": "kaldi"},
        "acoustic": {"layers": 4, "size": 256, "features": {"bins": 80}},
    }
    assert result.err == ""


def test_it_runs_where_it_was_typed_and_leaves_nothing_there(speechrnn: Command, tmp_path: Path) -> None:
    assert speechrnn("toy", "corpus.root=x").runs[0]["cwd"] == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_the_script_is_the_same_program(speechrnn: Command, root: Path, tmp_path: Path) -> None:
    command = speechrnn("toy", "corpus.root=x", "seed=1")
    script = subprocess.run(
        [sys.executable, root / "recipes" / "toy.py", "corpus.root=x", "seed=1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (script.returncode, script.stdout, script.stderr) == (command.status, command.out, command.err)


@pytest.mark.integration
def test_a_training_can_start_its_processes_from_the_arguments(speechrnn: Command, root: Path, tmp_path: Path) -> None:
    """Lightning starts `python sys.argv[0] sys.argv[1:]` with Hydra overrides of its own behind."""
    first = speechrnn("toy", "corpus.root=a=b", "seed=1")
    child = subprocess.run(
        [
            sys.executable,
            *first.runs[0]["argv"],
            'hydra.run.dir="."',
            "hydra.job.name=train_ddp_process_1",
            "hydra.output_subdir=null",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert Result(child.returncode, child.stdout, child.stderr).config == first.config


def test_a_sweep_runs_each_job_and_its_processes_only_that_job(speechrnn: Command, tmp_path: Path) -> None:
    result = speechrnn("toy", "corpus.root=x", "--multirun", "seed=7,1,2,8")
    assert [run["config"]["seed"] for run in result.runs] == [7, 1, 2, 8]
    assert "seed=2 is bad" in result.err
    assert result.status == 2
    arguments = result.runs[0]["argv"]
    assert "seed=7" in arguments
    assert not {"-m", "--multirun"} & set(arguments)
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")] == [Path("outputs/toy/multirun.yaml")]


def test_hydras_own_flags_work(speechrnn: Command, tmp_path: Path) -> None:
    assert "layers: 5" in speechrnn("toy", "--cfg", "job", "acoustic.layers=5").out
    (tmp_path / "mine" / "corpus").mkdir(parents=True)
    (tmp_path / "mine" / "corpus" / "own.yaml").write_text("kind: own\n")
    assert speechrnn("toy", "corpus=own", "--config-dir", "mine").config["corpus"] == {"kind": "own"}


# --- how it ends


def test_the_return_value_is_the_exit_status(speechrnn: Command) -> None:
    assert speechrnn("toy", "corpus.root=x", "seed=1").status == 1


def test_bad_input_is_one_sentence(speechrnn: Command) -> None:
    assert speechrnn("toy", "corpus.root=x", "seed=2").complaint == "seed=2 is bad: take another."


@pytest.mark.integration
def test_a_bug_keeps_its_traceback(speechrnn: Command, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        speechrnn("toy", "corpus.root=x", "seed=3")
    result = subprocess.run(
        [sys.executable, root / "recipes" / "toy.py", "corpus.root=x", "seed=3"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 1
    assert "in main\n" in result.stderr
    assert result.stderr.endswith("ZeroDivisionError: a bug\n")
    assert "hydra/" not in result.stderr


@pytest.mark.parametrize("seed", [4, 5])
def test_an_interruption_says_how_to_go_on(speechrnn: Command, seed: int) -> None:
    result = speechrnn("toy", "corpus.root=x", f"seed={seed}")
    assert result.status == 130
    assert result.err == "\nspeechrnn: interrupted; what is written stays: give the same command again.\n"


@pytest.mark.integration
def test_a_real_ctrl_c(root: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, root / "recipes" / "toy.py", "corpus.root=x", "seed=6"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # A shell starts what runs in its background deaf to Ctrl-C, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    while process.stdout.readline() != "ready\n":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (
        130,
        "\nspeechrnn: interrupted; what is written stays: give the same command again.\n",
    )


def test_the_process_is_left_as_it_was(speechrnn: Command) -> None:
    before = dict(os.environ)
    speechrnn("toy", "corpus.root=x")
    speechrnn("toy", "acoustic.layerz=1")
    assert dict(os.environ) == before


# --- what is wrong with a command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["to"], "No recipe to; did you mean toy?"),
        (["transcribe"], "No recipe transcribe; the recipes are another, toy, first."),
        (["seed=1"], "The recipe comes first"),
        (["--seed"], "The recipe comes first"),
        (["toy"], "corpus.root is not set: add corpus.root=VALUE (speechrnn toy --help explains each key)."),
        (["toy", "acoustic.layerz=3"], "No key acoustic.layerz; did you mean acoustic.layers?"),
        (["toy", "layers=3"], "No key layers; did you mean acoustic.layers?"),
        (["toy", "corpuss=an4"], "No key corpuss; did you mean corpus?"),
        (["toy", "corpus=yesno", "corpus.splits=a"], "No key corpus.splits; did you mean corpus.split?"),
        (["toy", "qqqqq=3"], "--help lists every key."),
        (["toy", "corpus.split=kaldi"], "corpus.split is a key of corpus=yesno, and corpus is an4: add corpus=yesno."),
        (["toy", "corpus.splits=kaldi"], "No key corpus.splits; did you mean corpus.split, a key of corpus=yesno?"),
        (["toy", "-m", "acoustic.layerz=1,2"], "No key acoustic.layerz; did you mean acoustic.layers?"),
        (["toy", "corpus=an5"], "corpus=an5 is none of the options of corpus (an4, yesno); did you mean an4?"),
        (["toy", "-m", "corpus=an4,yesmo"], "corpus=yesmo is none of the options of corpus"),
        (
            ["toy", "experiment=bset"],
            "experiment=bset is no option of experiment, which has only best; did you mean best?",
        ),
        (["toy", "corpus=null"], "corpus=null is none of the options of corpus"),
        (["toy", "acoustic=3"], "acoustic=3 is no option of acoustic, which has only blstm."),
        (["toy", "features@acoustic.features=mffc"], "did you mean mfcc?"),
        (["toy", "seed=1,2"], "write a list as seed=[1,2], text with a comma as \"seed='1,2'\", or add --multirun"),
        (["toy", "+seed=1"], "seed exists already: write seed=1, without the plus sign."),
        (["toy", "~seed"], "~seed would remove a key that the recipe reads"),
        (["toy", "corpus.root=x", "seed=${nothing}"], "seed cannot be resolved"),
        (["toy", "talk.wav"], "talk.wav stands alone, but every argument is KEY=VALUE"),
        (["toy", "inputs = x"], "is not KEY=VALUE"),
        (["toy", "my talk.wav"], "is not KEY=VALUE"),
        (["toy", "seed.=1"], "seed.=1 cannot be read"),
        (["toy", "inputs=[a", "b.wav]"], "The list in inputs=[a is not closed: quote it as a whole"),
        (["toy", "output='a"], "a bracket or quotation mark is not closed"),
        (["toy", "--inputs=x"], "No option --inputs=x: keys have no dashes before them, as in inputs=x."),
        (["toy", "--output", "x"], "as in output=VALUE."),
        (["toy", "--cfg", "jobs"], "`speechrnn toy --help` explains what can be given."),
        (["toy", "--config-dir", "nowhere"], "nowhere' not found"),
        (
            ["toy", "hydra.runn.dir=x"],
            "The configuration of toy cannot be composed: Could not override 'hydra.runn.dir'",
        ),
    ],
)
def test_a_wrong_command_is_told_in_one_sentence(speechrnn: Command, arguments: list[str], sentence: str) -> None:
    assert sentence in speechrnn(*arguments).complaint


# --- values that hold anything


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("inputs=[a b.wav,c.wav]", ["a b.wav", "c.wav"]),
        ("inputs=[take (1).wav, a=b.wav,it's.wav,мова.wav,7]", ["take (1).wav", "a=b.wav", "it's.wav", "мова.wav", 7]),
        ("inputs=['a,b.wav',c=d]", ["a,b.wav", "c=d"]),
        ("inputs=[[a=b],c]", [["a=b"], "c"]),
        ("inputs=~/talk.wav", str(Path.home() / "talk.wav")),
        ("inputs=[~/talk.wav]", [str(Path.home() / "talk.wav")]),
        ("inputs=a=b", "a=b"),
        ("inputs=/data/[1]/x#2", "/data/[1]/x#2"),
        (r"inputs=C:\new (2)\t.wav", r"C:\new (2)\t.wav"),
        ("inputs='1,2'", "1,2"),
        ("inputs=[wav/*.wav]", ["wav/*.wav"]),
        ("inputs=outputs/toy/acoustic.layers-4+seed-2", "outputs/toy/acoustic.layers-4+seed-2"),
    ],
)
def test_values_mean_what_they_say(speechrnn: Command, override: str, value: object) -> None:
    assert speechrnn("toy", "corpus.root=x", override).config["inputs"] == value


@given(
    st.from_regex(
        r"[^\s\[\]{}'\",$\\~\x00-\x1f\x7f][^\[\]{}'\",$\\\x00-\x1f\x7f]*[^\s\[\]{}'\",$\\\x00-\x1f\x7f]", fullmatch=True
    )
)
def test_any_file_name_can_be_given(name: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (repaired,) = overrides.repair([f"inputs=[{name}]"])
    items = OverridesParser.create().parse_override(repaired).value()
    assert isinstance(items, list)
    (item,) = items
    if isinstance(item, str):  # not a number, true, null, ...
        assert item == name
    (again,) = overrides.repair([repaired])
    assert again == repaired


@pytest.mark.parametrize(
    "value",
    ["9" * 400, "9" * 5000, "1e999", "-" + "9" * 5000, "[" + "9" * 5000 + "]", "~nosuchuser/x", "a\tb", "{a:1}", "1_0"],
)
def test_any_value_reaches_the_recipe_or_is_refused_in_one_sentence(speechrnn: Command, value: str) -> None:
    result = speechrnn("toy", "corpus.root=x", f"inputs={value}")
    assert result.status in (0, 2) and result.err.count("\n") <= 1


def test_brackets_without_end_are_one_sentence(speechrnn: Command) -> None:
    assert "inputs" in speechrnn("toy", f"inputs={'[' * 3000}{']' * 3000}").complaint


def test_a_repair_changes_nothing_that_can_be_read() -> None:
    readable = ["a=1", "a.b=[x,y]", "+a={b:1}", "~a", "a/b@c=d", r"a='it\'s'", "a=", "a=${b}", "a=b c"]
    assert overrides.repair(readable) == readable


def test_a_settled_configuration_names_all_that_is_missing() -> None:
    from omegaconf import OmegaConf

    with pytest.raises(UserError, match=r"inputs and model are not set: add inputs=VALUE model=VALUE"):
        overrides.resolve(OmegaConf.create({"model": "???", "inputs": "???", "seed": 1}), "transcribe")
