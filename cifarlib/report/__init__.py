"""What the notebooks show: tables and figures."""

import lazy_loader

# `from cifarlib import plots` asks this package for its module
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["plots", "published", "tables"]
)
