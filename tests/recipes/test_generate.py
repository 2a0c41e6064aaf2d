"""`speechrnn generate` as a user types it, with small networks that know no language but have much to say."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.generators import make, tokenizer

from speechrnn.cli import main as cli
from speechrnn.core import model_names
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.nn.language import save_language

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path) -> Run:
    """`run("key=value", ...)`, in this process -> (exit status, stdout, stderr)."""

    def generate(*overrides: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", sys.argv)
        status = call(f"model={model}", "device=cpu", *overrides)
        return status, *capsys.readouterr()

    return generate


def call(*overrides: str) -> int:
    """The exit status of `generate`, in this process."""
    try:
        return cli.main(["generate", *overrides])
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    tokens = tokenizer("char")
    save_language(folder, make(len(tokens)), tokens, training={})
    return folder


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("text", ["a bad\ncab\n", '{"prompt": "a bad"}\n{"prompt": "cab"}\n'])
def test_standard_input_and_an_address_bring_prompts_as_well(
    run: Run, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ("p.jsonl" if text.startswith("{") else "p.txt")
    file.write_text(text)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    for number, prompts in enumerate([str(file), "-", f"file://{file}"]):
        assert run(f"prompts='{prompts}'", f"output={tmp_path}/{number}.jsonl", "max_new_tokens=9")[0] == 0
        assert (tmp_path / f"{number}.jsonl").read_bytes() == (tmp_path / "0.jsonl").read_bytes()
    status, _, err = run(f"prompts='file://{tmp_path}/none.txt'", f"output={tmp_path}/o.jsonl")
    assert status == 2 and "none.txt could not be fetched" in err and err.count("\n") == 1


def test_a_file_of_prompts_becomes_a_file_of_completions(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a bad\ncab\n")
    output = tmp_path / "new" / "out.jsonl"
    status, out, err = run(
        f"prompts={tmp_path}/p.txt", f"output={output}", "max_new_tokens=9", "temperature=0.7", "stop_strings=[ab,h]"
    )
    assert (status, err) == (0, "")
    assert re.fullmatch(rf"2 prompts, [\d,]+ tokens in [\d.]+ s \([\d,]+ tokens/s\): {output}\n", out)
    expected = TextPredictor.load(model, "cpu").generate(
        ["a bad", "cab"], max_new_tokens=9, temperature=0.7, stop_strings=["ab", "h"]
    )
    assert rows(output) == [{**result.to_json(), "id": id} for id, result in enumerate(expected, start=1)]
    assert sorted(path.name for path in output.parent.iterdir()) == ["out.jsonl", "out.jsonl.job.jsonl"]


def test_bad_lines_are_said_in_their_place_and_the_job_goes_on(run: Run, tmp_path: Path) -> None:
    lines = ['{"id": "x", "prompt": "a", "num_beams": 3}', "{", '{"id": "x", "prompt": "b"}', '{"prompt": "ö"}']
    (tmp_path / "p.jsonl").write_text("\n".join([*lines, '{"id": "y", "prompt": "b", "num_return_sequences": 3}']))
    command = (f"prompts={tmp_path}/p.jsonl", f"output={tmp_path}/o.jsonl")
    status, out, err = run(*command)
    assert status == 1 and out.startswith("5 prompts, ") and err.startswith("3 of them could not be completed")
    found = rows(tmp_path / "o.jsonl")
    assert [row["id"] for row in found] == ["x", 2, 3, 4, "y"]
    assert ["error" in row for row in found] == [False, True, True, True, False]
    assert len(found[4]["completions"]) == 3  # type: ignore[arg-type]
    status, out, err = run(*command)
    assert status == 1 and "5 prompts" in out and "nothing to do" not in out
    assert err.startswith("3 of them could not be completed")


def test_a_finished_job_is_left_alone_and_other_keys_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a\nb\n")
    command = (f"prompts={tmp_path}/p.txt", f"output={tmp_path}/o.jsonl", "max_new_tokens=5")
    assert run(*command)[0] == 0
    before = (tmp_path / "o.jsonl").read_bytes()
    status, out, err = run(*command, "batch_size=1")
    assert (status, err) == (
        0,
        "",
    ) and out == f"{tmp_path}/o.jsonl is finished: nothing to do; overwrite=true would make it anew.\n"
    status, out, err = run(*command, "seed=4")
    assert (status, out) == (2, "") and "o.jsonl was made with seed=0" in err and err.count("\n") == 1
    assert (tmp_path / "o.jsonl").read_bytes() == before
    assert run(*command, "seed=4", "overwrite=true")[0] == 0
    assert (tmp_path / "o.jsonl").read_bytes() != before
    assert run(*command, "overwrite=true")[0] == 0
    assert (tmp_path / "o.jsonl").read_bytes() == before


def test_a_killed_job_ends_with_the_same_bytes(run: Run, model: Path, tmp_path: Path) -> None:
    letters = "abcdefgh"
    prompts = [f"{first}{second}{third}" for first in letters for second in letters for third in letters]
    (tmp_path / "p.txt").write_text("\n".join([*prompts[:300], "", *prompts[300:]]))
    keys = [f"prompts={tmp_path}/p.txt", "max_new_tokens=40", "min_new_tokens=20", "num_return_sequences=3"]
    assert run(*keys, f"output={tmp_path}/whole.jsonl")[0] == 1
    whole = (tmp_path / "whole.jsonl").read_bytes()

    output = tmp_path / "killed.jsonl"
    partial = output.with_name("killed.jsonl.partial")
    arguments = [f"model={model}", "device=cpu", *keys, f"output={output}", "batch_size=16"]
    script = str(ROOT / "recipes" / "generate.py")
    process = subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and (not partial.exists() or partial.read_bytes().count(b"\n") < 20):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not output.exists() and 20 <= partial.read_bytes().count(b"\n") < len(prompts)
    with partial.open("ab") as file:
        file.write(b'{"id": 7, "prom')
    status, out, err = run(*keys, f"output={output}")
    assert status == 1 and re.match(r"513 prompts \(\d+ were there already\), ", out)
    assert err.startswith("1 of them could not be completed; their lines say why.") and err.count("\n") == 1
    assert output.read_bytes() == whole and not partial.exists()


def test_ten_thousand_prompts_are_ten_thousand_lines(run: Run, tmp_path: Path) -> None:
    prompts = [{"id": f"n{number}", "prompt": "abcdefgh"[number % 8] * (1 + number % 9)} for number in range(10_000)]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, prompts)))
    status, out, _ = run(
        f"prompts={tmp_path}/p.jsonl", f"output={tmp_path}/o.jsonl", "max_new_tokens=3", "batch_size=1024"
    )
    assert status == 0 and out.startswith("10,000 prompts, ")
    assert [(row["id"], row["prompt"]) for row in rows(tmp_path / "o.jsonl")] == [
        tuple(entry.values()) for entry in prompts
    ]


def test_one_prompt_is_printed(run: Run, model: Path) -> None:
    ours = TextPredictor.load(model, "cpu")
    (result,) = ours.generate(["a bad"], num_return_sequences=2, seed=2)
    status, out, err = run("prompt=a bad", "num_return_sequences=2", "seed=2")
    assert (status, err) == (0, "")
    assert out == "".join(f"a bad{completion.text}\n" for completion in result.completions)
    status, out, err = run("prompt=a bad", "stream=true", "seed=2")
    assert (status, out, err) == (0, f"a bad{result.completions[0].text}\n", "")
    assert run("prompt=a bad", "seed=2") == (status, out, err)


def test_english_is_the_model_of_a_command_that_names_none(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_names, "PRETRAINED", tmp_path / "package")
    monkeypatch.setenv("SPEECHRNN_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(sys, "argv", sys.argv)
    assert call("prompt='a bad'") == 2
    assert "The model english is not part of this installation" in capsys.readouterr().err
    shutil.copytree(model, tmp_path / "models" / "english" / "language")
    expected = TextPredictor.load("english", "cpu").generate("a bad", max_new_tokens=20)[0].completions[0].text
    assert call("prompt='a bad'", "max_new_tokens=20", "device=cpu") == 0
    assert capsys.readouterr().out == f"a bad{expected}\n"
    # A file of results knows the model by its contents, whatever its name.
    (tmp_path / "p.txt").write_text("a bad\n")
    command = [f"prompts={tmp_path}/p.txt", f"output={tmp_path}/o.jsonl", "max_new_tokens=20", "device=cpu"]
    assert call(*command) == 0
    assert call(*command, f"model={model}") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert rows(tmp_path / "o.jsonl")[0]["completions"][0]["text"] == expected  # type: ignore[index]


def test_without_an_output_the_texts_are_printed_as_they_come(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "a bad"}\n{"id": "x", "prompt": "ß"}\n{"prompt": "cab", "seed": 3}\n')
    before = sorted(tmp_path.iterdir())
    status, out, err = run(f"prompts={tmp_path}/p.jsonl", "max_new_tokens=9", "num_return_sequences=2")
    ours = TextPredictor.load(model, "cpu")
    expected = [
        result.completions
        for prompt, seed in (("a bad", 0), ("cab", 3))
        for result in ours.generate(prompt, max_new_tokens=9, num_return_sequences=2, seed=seed)
    ]
    texts = [f"a bad{completion.text}\n" for completion in expected[0]]
    assert out == "".join([*texts, *(f"cab{completion.text}\n" for completion in expected[1])])
    assert status == 1 and err.startswith("speechrnn: prompt x: The text 'ß' holds") and err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    status, out, err = run(f"prompts={tmp_path}/p.jsonl", "executor=processes")
    assert (status, out) == (2, "") and "executor=processes writes a file: give output=" in err


def test_a_stream_comes_as_it_is_written(model: Path, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a bad\n")
    arguments = [f"model={model}", "device=cpu", f"prompts={tmp_path}/p.txt", "stream=true", "ignore_eos=true"]
    command = [sys.executable, str(ROOT / "recipes" / "generate.py"), *arguments, "max_new_tokens=10000000"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell starts what runs in its background deaf to Ctrl-C, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        start = process.stdout.read(30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    prompt = TextPredictor.load(model, "cpu").prompt("a bad", GenerationOptions(ignore_eos=True))
    expected = "a bad" + "".join(TextPredictor.load(model, "cpu").stream(prompt))
    assert start.decode() == expected[:30]
    assert process.returncode == 130 and b"interrupted" in err


def typed(lines: list[str | type[BaseException]]) -> Callable[[str], str]:
    source: Iterator[str | type[BaseException]] = iter(lines)

    def read(prompt: str = "") -> str:
        line = next(source)
        if isinstance(line, str):
            return line
        raise line

    return read


@pytest.mark.parametrize("end", [EOFError, KeyboardInterrupt])
def test_a_conversation_offers_next_words(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    monkeypatch.setattr("builtins.input", typed(["a bad", "2", "9", "zoo", "1", "", end]))
    status, out, err = run("interactive=true", "words=3")
    assert (status, err) == (0, "")
    ours = TextPredictor.load(model, "cpu")

    def offer(line: str) -> str:
        words = enumerate(ours.next_words(line, 3), start=1)
        return "  " + "   ".join(f"{place} {word} ({p:.1%})" for place, (word, p) in words)

    taken = f"a bad {ours.next_words('a bad', 3)[1][0]}"
    unknown = "which the model does not know; leave it out."
    _, *shown, last = out.split("\n")
    assert last == "" and shown[:3] == [offer("a bad"), f"  {taken}", offer(taken)]
    assert (
        shown[3].startswith("  The text '9")
        and shown[4].startswith("  The text 'zoo")
        and shown[5].startswith("  The text '1")
    )
    assert all(line.endswith(unknown) for line in shown[3:6])
    assert shown[6:] == [offer(""), ""]


def test_in_a_terminal_there_is_a_bar(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "p.txt").write_text("a\n" * 20)
    status, out, err = run(f"prompts={tmp_path}/p.txt", f"output={tmp_path}/o.jsonl")
    assert status == 0 and out.startswith("20 prompts")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err)
    assert "20/20 prompts" in shown and "tokens/s" in shown


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (["prompts={tmp}/p.txt", "model={tmp}/nowhere"], "There is no model directory {tmp}/nowhere"),
        ([], "Give one of prompts=FILE, prompt=TEXT and interactive=true."),
        (["prompt=a", "interactive=true"], "Give one of prompts=FILE"),
        (["prompts={tmp}/none.txt"], "{tmp}/none.txt does not exist"),
        (["prompts={tmp}/p.txt", "temperature=-1"], "temperature=-1 is wrong: it must be at least 0.0"),
        (["prompts={tmp}/p.txt", "batch_size=0"], "batch_size=0 is wrong"),
        (["prompts={tmp}/p.txt", "top_q=0.9"], "No key top_q; did you mean top_k or top_p?"),
        (["prompts={tmp}/p.txt", "num_beams=2", "top_k=3"], "num_beams=2 searches and draws nothing"),
        (["prompts={tmp}/p.txt", "device=tpu"], "device=tpu is not on this machine"),
        (["prompts={tmp}/two.txt", "stream=true", "output=null"], "{tmp}/two.txt holds several prompts"),
        (["prompts={tmp}/bad.txt", "stream=true", "output=null"], "{tmp}/bad.txt: The text 'ß' holds"),
        (["prompt=ß", "output=null"], "'ß' holds 'ß' (U+00DF)"),
        (["prompt=a", "stream=true", "num_beams=2", "output=null"], "num_beams and num_return_sequences must be 1"),
        (["prompts={tmp}/p.txt", "output={tmp}"], "{tmp} is there already"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_written(
    run: Run, tmp_path: Path, keys: list[str], sentence: str
) -> None:
    for name, content in (("p.txt", "a\n"), ("two.txt", "a\nb\n"), ("bad.txt", "ß\n")):
        (tmp_path / name).write_text(content)
    before = sorted(tmp_path.iterdir())
    output = [] if any(key.startswith("output=") for key in keys) else [f"output={tmp_path}/o.jsonl"]
    given = output + [key.format(tmp=tmp_path) for key in keys]
    status, out, err = run(*given)
    assert (status, out) == (2, "")
    assert err.startswith("speechrnn: ") and err.count("\n") == 1
    assert sentence.format(tmp=tmp_path) in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("ending", ["", ".partial", ".job.jsonl"])
def test_the_prompts_are_not_overwritten(run: Run, tmp_path: Path, ending: str) -> None:
    prompts = tmp_path / f"a.jsonl{ending}"
    if ending == ".partial":
        prompts.symlink_to(tmp_path / "b.jsonl")
        prompts = tmp_path / "b.jsonl"
    prompts.write_text('{"prompt": "A"}\n')
    status, _, err = run(f"prompts={prompts}", f"output={tmp_path / 'a.jsonl'}", "overwrite=true")
    assert status == 2 and "would be overwritten" in err
    assert prompts.read_text() == '{"prompt": "A"}\n'


def test_the_files_of_the_model_are_not_overwritten(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A\n")
    before = (model / "model.json").read_bytes()
    status, _, err = run(f"prompts={tmp_path / 'a.txt'}", f"output={model / 'model.json'}", "overwrite=true")
    assert status == 2 and "would be overwritten" in err and (model / "model.json").read_bytes() == before


def test_the_help_explains_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", "--help"]) == 0
    shown = capsys.readouterr().out
    for key in [*GenerationOptions.__dataclass_fields__, "prompts", "stream", "interactive"]:
        assert f"{key}:" in shown
