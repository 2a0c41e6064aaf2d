"""The forget, input and output gates of an LSTM while it reads."""
