"""Scorers of the beam search: lexica, hot words, n-gram and neural language models."""
