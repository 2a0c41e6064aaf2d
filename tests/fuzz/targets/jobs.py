"""Targets: inputs that a user gives to a job, and files that a job finds of an earlier one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from fuzz.formats import change_lines
from fuzz.target import Target, whole
from speechrnn.cli import overrides
from speechrnn.core.config import build
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.scorers.hot_words import HotWords
from speechrnn.decoding.scorers.word_list import spell
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.prompt_encoder import PromptEncoder
from speechrnn.generation.results import Prompt
from speechrnn.jobs.generation_job import GenerationOutput
from speechrnn.jobs.inputs import Input, find_inputs
from speechrnn.jobs.prompts import read_prompts
from speechrnn.jobs.rows import HypothesisRows
from speechrnn.jobs.transcription_record import TranscriptionRecord
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import CharTokenizer

CONF = Path(__file__).parents[3] / "conf"
CHARACTERS = CharTokenizer.build([], "ABCDEFGHIJKLMNOPQRSTUVWXYZ' ")
ENCODER = PromptEncoder(CharTokenizer.build([], "abcdefgh ", unknown=True), NormalisationOptions(case="lower"))
PROMPTS = (
    b'{"id": "p1", "prompt": "a bad cab", "max_new_tokens": 5, "temperature": 0.8, "seed": 3}\n'
    b'{"prompt": "fed a", "stop_strings": ["a"], "bad_words": ["bad"], "num_beams": 2, "length_penalty": 1.5}\n'
)
JOURNAL = (
    b'{"journal": 2, "job": "transcribe", "made_with": {"formats": ["txt"], "model": "sha256:00"}}\n'
    b'{"id": "a", "input": "in/a.wav", "status": "left", "reason": null, "size": null, "modified": null}\n'
    b'{"id": "a", "input": "in/a.wav", "status": "done", "reason": null, "size": 5, "modified": 1.5}\n'
    b'{"id": "b", "input": "in/b.wav", "status": "failed", "reason": "It is damaged.", "size": 7, "modified": 2.5}\n'
)
MADE_WITH = {"formats": ["txt"], "model": "sha256:00"}
ROWS = b'{"id": "a", "text": "YES", "words": [{"word": "YES", "start": 0.1}]}\n{"id": "b", "text": "", "words": []}\n'
RESULTS = b'{"id": 1, "prompt": "a", "completions": []}\n{"id": 2, "prompt": "b", "error": "no"}\n'


def read_prompt_file(path: Path) -> None:
    """Read prompts; each line gives one or an error."""
    lines = path.read_bytes()
    count = 0
    for result in read_prompts(path, GenerationOptions(), ENCODER):
        count += 1
        if isinstance(result, Prompt):
            assert result.tokens and all(0 <= token < len(ENCODER.tokenizer) for token in result.tokens)
            json.dumps(asdict(result.options), allow_nan=False)
        else:
            assert result.error and "\n" not in result.error and len(result.error) < 2000, f"error {result.error!r}"
            json.dumps(result.to_json(), allow_nan=False).encode()
    assert count == lines.count(b"\n") + (not lines.endswith(b"\n")), "lines are lost"


def read_hot_words(path: Path) -> None:
    """Boost the phrases of a list, as decoding.hot_words has them."""
    try:
        phrases = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return  # the command line's own reader is another target
    options = build(DecodingOptions, {"hot_words": phrases}, "decoding")
    if sum(map(len, options.hot_words)) < 2000:
        HotWords({spell(phrase, CHARACTERS) or phrase: 3.0 for phrase in options.hot_words}, CHARACTERS)


def read_inputs(path: Path) -> None:
    """Read a list of recordings; no id leads out of a folder."""
    (path.parent / "a.wav").touch()
    for item in find_inputs([f"@{path}"]):
        assert isinstance(item, Input)
        output = (path.parent / "out" / f"{item.id}.txt").resolve()
        assert output.is_relative_to((path.parent / "out").resolve()), f"{item.id!r} leads to {output}"
        if not item.remote:
            item.file_state()


def read_journal(path: Path) -> None:
    """Go on with a transcription job whose journal is damaged."""
    inputs = [Input("a", str(path.parent / "a.wav")), Input("b", str(path.parent / "b.wav"))]
    try:
        with TranscriptionRecord(path.parent, MADE_WITH) as record:
            left = record.begin(inputs)
            for item in left:
                record.record(item, "done", None, (1, 2.0))
        with TranscriptionRecord(path.parent, MADE_WITH) as record:
            assert {item.id for item in inputs} <= record.states.keys()
    finally:
        path.unlink(missing_ok=True)


def read_rows(path: Path) -> None:
    """Go on with rows that are damaged."""
    rows = HypothesisRows(path.parent / "hypotheses.jsonl")
    try:
        rows.read()
        rows.add({"id": "new", "text": "NO", "words": []})
        rows.finish(["a", "new"])
        lines = rows.path.read_bytes().splitlines()
        assert [json.loads(line)["id"] for line in lines][-1] == "new"
    finally:
        for file in (rows.path, rows.partial):
            file.unlink(missing_ok=True)


def read_results(path: Path) -> None:
    """Go on with a generation job whose results are damaged."""
    output = path.parent / "out.jsonl"
    journal = b'{"journal": 2, "job": "generate", "made_with": {"seed": 1}}\n{"id": "results", "status": "begun"}\n'
    (path.parent / "out.jsonl.job.jsonl").write_bytes(journal)
    try:
        with GenerationOutput(output, {"seed": 1}) as results:
            before = results.begin()
            if results.finished:
                there = output.read_bytes()
            else:
                there = results.partial.read_bytes() if results.partial.exists() else b""
            assert before.lines == there.count(b"\n") and all(
                json.loads(line) is not None for line in there.split(b"\n") if line
            )
    finally:
        for file in path.parent.glob("out.jsonl*"):
            file.unlink()


OVERRIDES = {
    "text": b"output=out\nmodel=english\ninputs=[a.wav,take (1).wav,'b c.wav']\ndecoding=beam\ndecoding.hot_words=[ADA,b]\n"  # noqa: E501
    b"+extra=1\nformats=[txt,json]\ndecoding.language_weight=0.5\nsegmentation.max_seconds=30\n"
}


def read_overrides(path: Path) -> None:
    """Read the command line's arguments."""
    arguments = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    arguments = [argument for argument in arguments if argument and "\0" not in argument]
    repaired = overrides.spell_out(overrides.repair(arguments), "transcribe", CONF)
    overrides.check(repaired, "transcribe", CONF, multirun=False)


KALDI_LISTS = {
    "wav.scp": b"utt1 a.wav\nutt2 b/c.wav\nutt3 sph2pipe -f wav d.sph |\n",
    "list.lst": b"a.wav\nb/c.wav\n/nowhere/d.flac\n~/e.wav\n",
    "segments": b"utt1 rec1 0.00 1.25\nutt2 rec1 1.25 2.50\n",
    "utt2spk": b"utt1 ada\nutt2 ada\n",
    "feats.scp": b"utt1 raw.ark:5\nutt2 raw.ark:4321[0:10]\n",
}


def partial_names(content: bytes, *names: str) -> Mapping[str, bytes]:
    """Return the same content under several names."""
    return dict.fromkeys(names, content)


TARGETS = {
    "prompts": Target(
        "prompts",
        whole({"p.jsonl": PROMPTS, "p.txt": b"a bad cab\nfed a\n"}),
        read_prompt_file,
        words=(b'"seed"', b'"id"', b'"prompt"', b'"min_p"', b'"num_beams"'),
        share=2,
    ),
    "hot_words": Target(
        "hot_words", whole({"h.json": b'["ADA LOVELACE", "jacquard", "IT\'S"]'}), read_hot_words, share=1
    ),
    "input_list": Target(
        "input_list", whole({"l.lst": b"#EXTM3U\na.wav\nb/c.wav\ns3://bucket/a b.wav\n"}), read_inputs, share=1
    ),
    "kaldi_list": Target("kaldi_list", whole(KALDI_LISTS), read_inputs, change=change_lines),
    "journal": Target("journal", whole({"job.jsonl": JOURNAL}), read_journal, share=1),
    "rows": Target(
        "rows", whole(partial_names(ROWS, "hypotheses.jsonl", "hypotheses.jsonl.partial")), read_rows, share=1
    ),
    "results": Target(
        "results", whole(partial_names(RESULTS, "out.jsonl", "out.jsonl.partial")), read_results, share=1
    ),
    "overrides": Target(
        "overrides", whole(OVERRIDES), read_overrides, words=(b"${", b"}", b"++", b"~", b"=["), share=0.1
    ),
}
