"""The command line: recipes, overrides, help pages and Tab completion."""

__all__: list[str] = []  # import its modules
