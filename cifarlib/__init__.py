"""Which backbone learns CIFAR-100's tiny pictures best? __init__.pyi lists the public names."""

import lazy_loader

# a name is imported when it is first asked for: help and records need no torch
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
