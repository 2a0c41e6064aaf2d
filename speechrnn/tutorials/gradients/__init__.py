"""Vanishing and exploding gradients, results."""
