"""Resumable jobs over many inputs: journal, inputs, outputs, workers and executors."""
