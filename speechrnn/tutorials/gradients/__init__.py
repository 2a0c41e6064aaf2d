"""Vanishing and exploding gradients, measured."""
