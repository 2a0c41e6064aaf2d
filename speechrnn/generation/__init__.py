"""Text from a language model, many prompts at once: what `speechrnn.generation.predictor` is made of."""
