"""A food chain: what feedback lets a network remember."""
