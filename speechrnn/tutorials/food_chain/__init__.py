"""A food chain: what feedback lets a network remember."""

__all__: list[str] = []  # import its modules
