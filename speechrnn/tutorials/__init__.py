"""Tutorials: what a recurrent network is, shown by small models that train in seconds, a page each."""

__all__: list[str] = []
