"""The explorer: one page with every curve, score, answer and test image."""
