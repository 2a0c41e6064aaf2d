"""N-gram language models: ARPA and KenLM files, Kneser-Ney estimation, pruning."""

from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.estimation import NgramOptions, estimate, perplexity
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.ngram.pruning import prune

__all__ = ["NgramOptions", "estimate", "kneser_ney", "perplexity", "prune", "write_arpa"]
