"""The spelling of a character language model in the course of its training."""
