"""The targets of the campaign, by module: a module is imported only by the process that runs one of its targets."""

from __future__ import annotations

import importlib

from fuzz.target import Target

MODULES = {
    "audio": (
        "wav",
        "aiff",
        "au",
        "caf",
        "flac",
        "ogg",
        "opus",
        "mp3",
        "sphere",
        "gsm",
        "m4a",
        "mkv",
        "webm",
        "ts",
        "avi",
        "flv",
    ),
    "corpora": ("manifest", "cuts", "corpus", "common_voice"),
    "texts": (
        "text",
        "prepared_text",
        "tokens",
        "scoring",
        "lexicon",
        "arpa",
        "quantised",
        "unpacked",
        "kenlm",
        "kenlm_fields",
        "kaldi_text",
    ),
    "models": (
        "acoustic",
        "language",
        "acoustic_int8",
        "language_float16",
        "sentencepiece",
        "decoding",
        "facts",
        "checkpoint",
        "checkpoint_parts",
    ),
    "jobs": ("prompts", "hot_words", "input_list", "kaldi_list", "journal", "rows", "results", "overrides"),
}
NAMES = tuple(name for names in MODULES.values() for name in names)


def find_target(name: str) -> Target:
    """Import and return a target."""
    module = next(module for module, names in MODULES.items() if name in names)
    target: Target = importlib.import_module(f"fuzz.targets.{module}").TARGETS[name]
    return target
