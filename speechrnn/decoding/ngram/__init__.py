"""N-gram language models: ARPA and KenLM files, Kneser-Ney estimation."""

from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney

__all__ = ["kneser_ney", "write_arpa"]
