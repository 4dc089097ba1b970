"""Training and evaluation mode, so that looking at a net leaves it as it was."""

import contextlib
from collections.abc import Iterator

from torch import nn

from ..utils.progress import say


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

    So BatchNorm's statistics stay where somebody froze them with `.eval()`, and one line says so. A
    net that is in evaluation mode as a whole, as after loading, is put into training mode as a
    whole, and one with a `train()` of its own is asked to do what that does.
    """
    has_own_way = any(type(module).train is not nn.Module.train for module in model.modules())
    if has_own_way or not model.training:
        model.train()
        return
    staying = sum(not module.training for module in model.modules())
    if staying > 0 and not hasattr(model, "said_what_stays"):
        model.said_what_stays = True  # type: ignore[assignment]
        say(
            f"{staying} parts of {type(model).__name__} are in evaluation mode and stay so:"
            " call .train() on the net to train them as well"
        )
