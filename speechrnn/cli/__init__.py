"""The command line: recipes, overrides and help pages."""
