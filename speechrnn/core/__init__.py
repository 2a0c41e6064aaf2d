"""Checked options, errors, files, devices and progress: used by every other folder."""
