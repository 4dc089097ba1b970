"""Experiments carried out: run, recorded, found again, checked, published."""
