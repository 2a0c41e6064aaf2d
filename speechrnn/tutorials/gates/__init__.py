"""The forget, input and output gates of an LSTM while it reads."""

__all__: list[str] = []  # import its modules
