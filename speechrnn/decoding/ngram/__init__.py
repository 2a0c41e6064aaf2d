"""N-gram language models: ARPA, quantised and KenLM files, Kneser-Ney estimation, pruning."""

from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.estimation import NgramOptions, estimate, perplexity
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.ngram.pruning import prune
from speechrnn.decoding.ngram.quantised import write_quantised

__all__ = ["NgramOptions", "estimate", "kneser_ney", "perplexity", "prune", "write_arpa", "write_quantised"]
