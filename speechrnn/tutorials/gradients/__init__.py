"""Vanishing and exploding gradients, results."""

__all__: list[str] = []  # import its modules
