"""Mutation fuzzing of every file that somebody else may have made: `make fuzz COUNT=2000`."""
