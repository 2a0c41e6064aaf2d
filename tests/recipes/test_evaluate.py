"""`speechrnn evaluate` as a user types it, on texts whose errors can be counted on one hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from speechrnn.cli import main as cli
from speechrnn.transcription.hypotheses import write_rows

Run = Callable[..., tuple[int, str, str]]

# Of ten words one is substituted, one inserted, two deleted; of 42 characters 1, 4 and 8.
REFERENCES = {"f/one": "GO HOME NOW", "m/two": "sharks feed on tuna", "m/three": "It's a squid."}
HYPOTHESES = {"f/one": "go home cow", "m/two": "sharks feed on raw tuna", "m/three": "it's"}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("key=value", ...)`, in this process -> (exit status, stdout, stderr)."""

    def evaluate(*overrides: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", sys.argv)
        try:
            status = cli.main(["evaluate", *overrides])
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return evaluate


def write(folder: Path, hypotheses: dict[str, str], references: dict[str, str] | None) -> Path:
    """A run's folder."""
    rows = [{"id": id, "hypothesis": text} for id, text in hypotheses.items()]
    for row in rows:
        row.update({"reference": references[row["id"]]} if references else {})
    write_rows(folder / "hypotheses.jsonl", rows)
    return folder


def test_the_errors_of_a_run_against_its_own_references(run: Run, tmp_path: Path) -> None:
    folder = write(tmp_path / "run", HYPOTHESES, REFERENCES)
    status, out, err = run(f"hypotheses={folder}", f"output={tmp_path}/deep/figures.json")
    assert (status, err) == (0, "")
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "WER 40.00% (95 % interval 25.00% to 66.67%)",
        "CER 30.95%",
        "errors 4 1 substitution, 1 insertion, 2 deletions",
        "words 10",
        "utterances 3",
    ]
    figures = json.loads((tmp_path / "deep" / "figures.json").read_text())
    assert figures["wer"] == pytest.approx(0.4)
    assert (figures["substitutions"], figures["insertions"], figures["deletions"]) == (1, 1, 2)
    assert (figures["words"], figures["utterances"], figures["missing"], figures["unknown"]) == (10, 3, 0, 0)


def test_transcripts_against_references_from_elsewhere(run: Run, tmp_path: Path) -> None:
    folder = write(tmp_path / "run", {**HYPOTHESES, "m/four": "NO"}, None)
    references = tmp_path / "test.transcription"
    references.write_text("".join(f"{text} ({Path(id).name})\n" for id, text in {**REFERENCES, "five": "NO"}.items()))
    status, out, _ = run(f"hypotheses={folder}", f"references={references}")
    assert status == 0
    assert "WER          40.00%" in out
    assert out.splitlines()[-2:] == [
        "1 reference has no hypothesis and is left out: five.",
        "1 hypothesis has no reference and is left out: m/four.",
    ]


def test_folders_of_text_files(run: Run, tmp_path: Path) -> None:
    for side, texts in (("said", REFERENCES), ("heard", HYPOTHESES)):
        for id, text in texts.items():
            path = tmp_path / side / f"{id}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
    status, out, _ = run(f"hypotheses={tmp_path}/heard", f"references={tmp_path}/said")
    assert status == 0 and "WER          40.00%" in out


def test_the_normalisation_is_that_of_the_keys_on_both_sides(run: Run, tmp_path: Path) -> None:
    folder = write(tmp_path, {"a": "go home", "b": "it's"}, {"a": "Go home!", "b": "it’s"})
    assert "WER           0.00%" in run(f"hypotheses={folder}")[1]
    keep = ("normalisation.case=keep", "normalisation.punctuation=keep", "normalisation.straight_quotes=false")
    assert "WER         100.00%" in run(f"hypotheses={folder}", *keep)[1]


def test_which_of_two_runs_makes_fewer_errors(run: Run, tmp_path: Path) -> None:
    references = {f"u{number}": "a b c d" for number in range(40)}
    worse = {id: "a b x" if number % 2 else "a b c d" for number, id in enumerate(references)}
    better = {id: "a b c" if number % 4 == 1 else "a b c d" for number, id in enumerate(references)}
    first, second = write(tmp_path / "first", worse, references), write(tmp_path / "second", better, references)
    status, out, _ = run(f"runs=[{first},{second}]", f"output={tmp_path}/figures.json")
    assert status == 0
    first_line, other, difference, verdict = out.splitlines()
    assert first_line.split() == [str(first), "WER", "25.00%"]
    assert other.split() == [str(second), "WER", "6.25%"]
    assert difference.split()[:2] == ["difference", "-18.75%"]
    assert verdict.startswith("significant at 5 %: p = ") and "40 utterances" in verdict
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["difference"] == pytest.approx(-0.1875)
    low, high = figures["interval"]
    assert low < -0.1875 < high < 0 and figures["p_value"] < 0.01


def test_a_run_does_not_differ_from_itself(run: Run, tmp_path: Path) -> None:
    folder = write(tmp_path, HYPOTHESES, None)
    (tmp_path / "ref.jsonl").write_text("".join(json.dumps({"id": i, "text": t}) + "\n" for i, t in REFERENCES.items()))
    status, out, _ = run(f"runs=[{folder},{folder}]", f"references={tmp_path}/ref.jsonl")
    assert status == 0 and "+0.00%" in out and "not significant at 5 %: p = 1" in out


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ((), "Nothing to evaluate: give hypotheses=PATH"),
        (("runs=[{run}]",), "runs= needs two runs"),
        (("runs=[{tmp}/gone,{run}]",), "runs={tmp}/gone does not exist"),
        (("runs=[{run},{run}]", "hypotheses={run}"), "two runs as in runs=[A,B]"),
        (("hypotheses={tmp}/nowhere", "references={tmp}/other.txt"), "hypotheses={tmp}/nowhere does not exist"),
        (("hypotheses={run}", "references={tmp}/nowhere"), "references={tmp}/nowhere does not exist"),
        (
            ("hypotheses={run}",),
            "there is no 'reference' among the keys id, hypothesis; add it, or give references=PATH",
        ),
        (("hypotheses={run}", "references={tmp}/other.txt"), "No reference fits a hypothesis"),
        (("hypotheses={run}", "references={run}", "normalisation.case=title"), "normalisation.case is 'title'"),
    ],
)
def test_bad_input_is_one_sentence(run: Run, tmp_path: Path, overrides: tuple[str, ...], sentence: str) -> None:
    places = {"tmp": str(tmp_path), "run": str(write(tmp_path / "run", HYPOTHESES, None))}
    (tmp_path / "other.txt").write_text("else WHO KNOWS\n")
    given = [override.format(**places) for override in overrides]
    status, out, err = run(*given)
    assert (status, out) == (2, "")
    assert err.startswith("speechrnn: ") and err.count("\n") == 1 and sentence.format(**places) in err


def test_what_is_read_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    rows = write(tmp_path / "run", HYPOTHESES, REFERENCES) / "hypotheses.jsonl"
    before = rows.read_bytes()
    for read in (f"hypotheses={rows.parent}", f"hypotheses={rows}", f"runs=[{rows.parent},{rows.parent}]"):
        status, _, err = run(read, f"output={rows}")
        assert status == 2 and "would be overwritten" in err and rows.read_bytes() == before
