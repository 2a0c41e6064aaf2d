"""Error rates, perplexity and significance of the results of recognition and language models."""
