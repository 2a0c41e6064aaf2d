"""The spelling of a character language model in the course of its training."""

__all__: list[str] = []  # import its modules
