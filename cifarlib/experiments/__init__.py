"""Experiments: run, recorded, found again, and their trained nets asked."""
