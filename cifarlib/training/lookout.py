"""A net's look at each new shape of batches, for what its layers alone do not tell."""

import threading

import torch
from torch import nn

from ..models.anatomy import outgrows_its_maps
from ..utils.errors import first_line, lacks_memory
from ..utils.progress import say


class Lookout:
    """Two hooks of a net that fit it and its batches to each other, in any loop that feeds it.

    - Where a convolution's stride or padding is wider than the map it is given, bfloat16's gradient
      of its weights reads memory that nobody wrote, on a CPU (see CONTRIBUTING). There the net is
      taken out of autocast, and so learns in float32.
    - Where a net cannot take channels-last tensors, because it calls `.view` on a map say, it and
      its batches are made contiguous.

    Each is said in one line.
    """

    def __init__(self) -> None:
        self.outgrown: dict[tuple[int, ...], bool] = {}  # by the shape (C, H, W) of an image
        self.contiguous = False
        self.left_autocast: set[int] = set()  # the threads that are to go back into it

    def before(self, model: nn.Module, inputs: tuple) -> tuple | None:
        """Look at a batch whose shape is new, and do what its shape needs; a forward pre-hook."""
        images = inputs[0] if inputs else None
        if not isinstance(images, torch.Tensor) or images.dim() != 4:
            return None
        shape = _shape_of_one(images)
        if shape not in self.outgrown:
            self._look(model, images)
        if self.outgrown[shape] and _learns_in_bfloat16(images):
            torch.set_autocast_enabled("cpu", False)
            self.left_autocast.add(threading.get_ident())
        if self.contiguous:
            return (images.contiguous(), *inputs[1:])
        return None

    def after(self, model: nn.Module, inputs: tuple, output: object) -> None:
        """Go back into autocast; a forward hook, called after an error too."""
        thread = threading.get_ident()
        if thread in self.left_autocast:
            self.left_autocast.remove(thread)
            torch.set_autocast_enabled("cpu", True)

    def _look(self, model: nn.Module, images: torch.Tensor) -> None:
        """Let a batch go through the net once, and keep what is seen."""
        shape = _shape_of_one(images)
        try:
            self.outgrown[shape] = outgrows_its_maps(model, images)
        except RuntimeError as error:
            if lacks_memory(error):
                raise
            self.outgrown[shape] = self._look_again(model, images, first_line(error))
        except Exception:  # a net of somebody's own may want more than images: it raises this again
            self.outgrown[shape] = False
        if self.outgrown[shape] and _learns_in_bfloat16(images):
            height, width = shape[1:]
            say(
                f"{type(model).__name__} learns from {height}×{width} images in float32: a stride"
                " or a padding in it is wider than the map it meets"
            )

    def _look_again(self, model: nn.Module, images: torch.Tensor, problem: str) -> bool:
        """Look with contiguous tensors, which the net keeps to if it can take them."""
        model.to(memory_format=torch.contiguous_format)
        try:
            outgrown = outgrows_its_maps(model, images.contiguous())
        except RuntimeError:  # not for how tensors lie in memory: the net raises this again
            return False
        self.contiguous = True
        say(f"{type(model).__name__} takes contiguous tensors only, no channels-last: {problem}")
        return outgrown


def watch(model: nn.Module) -> None:
    """Give a net its lookout, unless it has one, or is a torch.jit script, which takes no hook."""
    if hasattr(model, "lookout") or isinstance(model, torch.jit.ScriptModule):
        return
    lookout = Lookout()
    model.lookout = lookout  # type: ignore[assignment]
    model.register_forward_pre_hook(lookout.before)
    model.register_forward_hook(lookout.after, always_call=True)


def _shape_of_one(images: torch.Tensor) -> tuple[int, ...]:
    """Return the shape (C, H, W) of an image in a batch, in plain numbers also in a trace."""
    return tuple(int(side) for side in images.shape[1:])


def _learns_in_bfloat16(images: torch.Tensor) -> bool:
    """Return whether the pass that is about to begin is one of autocast's that gradients follow."""
    return (
        images.device.type == "cpu"
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )
