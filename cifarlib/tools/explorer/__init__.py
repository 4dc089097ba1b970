"""The explorer: one page with every curve, score, answer and test image."""

from .write import explorer_frame, write_explorer

__all__ = ["explorer_frame", "write_explorer"]
