"""Text from a language model, many prompts at once: what `speechrnn.generate` is made of."""
