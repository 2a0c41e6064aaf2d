"""Text normalisation and tokenizers.

>>> from speechrnn.text import CharTokenizer, NormalisationOptions, normalise
>>> CharTokenizer.build(["TUNA"]).decode([2, 4, 3])
'NUT'
>>> normalise("Nut!", NormalisationOptions())
'NUT'
"""

from speechrnn.text.normalisation import UNCHANGED, NormalisationOptions, model_normalisation, normalise
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.tokenizers import (
    BLANK,
    UNKNOWN,
    CharTokenizer,
    SubwordTokenizer,
    Tokenizer,
    TokenizerOptions,
    WordTokenizer,
    build_tokenizer,
    tokenizer_from_json,
)

__all__ = [
    "BLANK",
    "UNCHANGED",
    "UNKNOWN",
    "CharTokenizer",
    "NormalisationOptions",
    "PhoneTokenizer",
    "SubwordTokenizer",
    "Tokenizer",
    "TokenizerOptions",
    "WordTokenizer",
    "build_tokenizer",
    "model_normalisation",
    "normalise",
    "tokenizer_from_json",
]
