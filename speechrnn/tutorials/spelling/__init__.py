"""How a character language model learns to spell."""
