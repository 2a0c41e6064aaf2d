"""speechrnn: speech to text and text prediction with recurrent networks."""

__version__ = "0.1.0"
