"""Training and evaluation mode, so that looking at a net leaves it as it was."""

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a net into evaluation mode, and at the end each of its modules back into its own."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def begin_training(model: nn.Module) -> None:
    """Put a net into training mode, unless it is; parts that were put into evaluation mode stay.

    So BatchNorm's statistics stay where somebody froze them with `.eval()`. A net that is in
    evaluation mode as a whole, as after loading, is put into training mode as a whole.
    """
    if not model.training:
        model.train()
