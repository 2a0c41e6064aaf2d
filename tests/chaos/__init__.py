"""Jobs that are killed at random moments and given again: `make chaos DISTURBANCES=200`."""
