"""The command line: recipes, overrides, help pages and Tab completion."""
