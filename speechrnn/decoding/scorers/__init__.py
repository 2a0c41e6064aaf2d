"""Scorers of the beam search: lexica, hot words, n-gram and neural language models."""

__all__: list[str] = []  # import its modules
