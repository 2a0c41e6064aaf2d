"""Corpora, texts, and the datasets and token files made of them."""
