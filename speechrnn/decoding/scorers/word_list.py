"""Word lists and pronouncing dictionaries, from which a lexicon takes its words."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.core.text_files import read_text
from speechrnn.text.normalisation import normalise
from speechrnn.text.symbols import describe_counts
from speechrnn.text.tokenizers import UNKNOWN, Tokenizer

# A phone of the CMU pronouncing dictionary (vowels carry their stress), and the further ones of TIMIT and Kaldi.
_PHONE = re.compile(
    r"(AA|AE|AH|AO|AW|AX|AXR|AY|B|CH|D|DH|DX|EH|EL|EM|EN|ER|EY|F|G|HH|HV|IH|IX|IY|JH|K|L|M|N|NG|NX|OW|OY|P|Q|R|S|SH|"
    r"SIL|SPN|T|TH|UH|UW|UX|V|W|WH|Y|Z|ZH)[0-2]?",
    re.IGNORECASE,
)
_VARIANT = re.compile(r"\(\d+\)$")  # of a word's second pronunciation: READ(2)
COMMENT = ";;;"
FORM = "a text file, one word a line"
MOST_UNWRITABLE = 0.5  # share of words with characters that the acoustic model can't write

logger = logging.getLogger("speechrnn")


def read_word_list(path: Path, tokenizer: Tokenizer) -> list[str]:
    """Read the words of a lexicon: a list with one word a line, or a pronouncing dictionary such as CMU's.

    A dictionary's line holds a word and its phones, with a tab before them or in ARPAbet; variants such as `READ(2)`
    are the same word; lines that begin with `;;;`, and what follows ` #`, are comments. Words are spelt as the acoustic
    model can write them; see `spell`. Those that it cannot write are left out.

    Args:
        path: a UTF-8 text file, plain or packed by gzip or xz.
        tokenizer: of the acoustic model.

    Returns:
        the words in order, each once.

    Raises:
        UserError: the file cannot be read, is no text, holds no words, a line has several words, or the acoustic model
            cannot write most of them.
    """
    text = read_text(path, f"decoding.lexicon={path}", FORM)
    words: dict[str, None] = {}
    unwritable: dict[str, None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        word = _word_of(line, f"decoding.lexicon={path}, line {number}")
        if word is not None:
            spelt = spell(word, tokenizer)
            if spelt is None:
                unwritable[word] = None
            else:  # normalisation makes two words of well-known
                words.update(dict.fromkeys(spelt.split()))
    if not words and not unwritable:
        raise UserError(f"decoding.lexicon={path} holds no words; give {FORM}.")
    if len(unwritable) > MOST_UNWRITABLE * (len(words) + len(unwritable)):
        symbols = describe_counts(sum(map(tokenizer.count_unknown, unwritable), Counter()), 5)
        raise UserError(
            f"The acoustic model can write only {len(words):,} of the {len(words) + len(unwritable):,} words of "
            f"decoding.lexicon={path}; the others hold {symbols}. Spell them as the transcripts that it was trained on."
        )
    if unwritable:
        few = ", ".join(map(repr, list(unwritable)[:3]))
        logger.warning(
            "decoding.lexicon=%s: %d of %d words are left out, since the acoustic model cannot write them (such as %s)",
            path,
            len(unwritable),
            len(words) + len(unwritable),
            few,
        )
    return list(words)


def spell(text: str, tokenizer: Tokenizer) -> str | None:
    """Return a text as a model can write it; or None.

    Normalised as the model's transcripts were, where that is known; as it is; in upper case; in lower case: the first
    of these that the tokenizer can write.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> spell("ada", CharTokenizer.build(["ABCD"])), spell("eve", CharTokenizer.build(["ABCD"]))
    ('ADA', None)
    """
    forms = [text, text.upper(), text.lower()]
    if tokenizer.normalisation is not None:
        forms.insert(0, normalise(text, tokenizer.normalisation))
    return next((form for form in forms if form and not tokenizer.count_unknown(form)), None)


def match_case(words: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """Return a language model's words in the case of the acoustic model: upper or lower, where it can write few else.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> match_case(["<blank>", "<unk>", "ada", "bad"], CharTokenizer.build(["ABCD"]))
    ['<blank>', '<unk>', 'ADA', 'BAD']

    Args:
        words: a model's tokens, from 0 (the end of a line) on.
        tokenizer: of the acoustic model.
    """
    special = {0} | {number for number, word in enumerate(words[:2]) if word == UNKNOWN}
    forms = (str, str.upper, str.lower)
    for form in forms:
        cased = [word if number in special else form(word) for number, word in enumerate(words)]
        writable = sum(not tokenizer.count_unknown(word) for number, word in enumerate(cased) if number not in special)
        if 2 * writable >= len(words) - len(special):
            return cased
    return list(words)


def _word_of(line: str, where: str) -> str | None:
    """Return the word of a line, None where it has none."""
    if line.startswith(COMMENT):
        return None
    word, tab, _ = line.strip().partition("\t")
    fields: Sequence[str] = word.split(" #", 1)[0].split()
    if not fields:
        return None
    if len(fields) > 1 and not all(_PHONE.fullmatch(field) for field in fields[1:]):
        raise UserError(
            f"{where} holds several words ({line.strip()[:60]!r}); give one word a line, or a tab behind the word."
        )
    # Only a dictionary has variants: a word list may hold what ends in a number in brackets.
    return (_VARIANT.sub("", fields[0]) or fields[0]) if tab or len(fields) > 1 else fields[0]
