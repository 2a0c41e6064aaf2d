"""Experiments: the folder of a run, and the stages of speech to text and text prediction."""
