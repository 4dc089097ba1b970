"""Hooks that keep a net's numbers sure and its tensors fit, however it is called."""

import threading
from typing import Any

import torch
from torch import nn

from ..models.modes import evaluating
from ..utils.errors import first_line, lacks_memory
from ..utils.progress import say

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


class InFloat32:
    """Two hooks of a convolution: where its gradient is not sure in bfloat16, it is in float32.

    On a CPU, bfloat16's gradient of the weights reads memory that nobody wrote where the stride or
    the padding is wider than the map (see CONTRIBUTING). There the layer is taken out of autocast.
    """

    def __init__(self) -> None:
        self.left_autocast: set[int] = set()  # the threads that are to go back into it

    def before(self, layer: Any, inputs: tuple) -> tuple | None:
        """Leave autocast for a map that the layer outgrows; a forward pre-hook."""
        images = inputs[0]
        is_sure = not outgrows(layer, images) or layer.weight.dtype != torch.float32
        if is_sure or not _learns_in_bfloat16(images):
            return None
        torch.set_autocast_enabled("cpu", False)
        self.left_autocast.add(threading.get_ident())
        return (images.float(), *inputs[1:])

    def after(self, layer: nn.Module, inputs: tuple, output: object) -> None:
        """Go back into autocast; a forward hook, called after an error too."""
        thread = threading.get_ident()
        if thread in self.left_autocast:
            self.left_autocast.remove(thread)
            torch.set_autocast_enabled("cpu", True)


class Contiguous:
    """A net's hook: where it cannot take channels-last tensors, it and its batches are made
    contiguous.

    That is where it calls `.view` on a map, say. Images of each new shape go through the net once
    before, and one line says what was seen.
    """

    def __init__(self) -> None:
        self.seen: set[tuple[int, ...]] = set()  # the shapes (C, H, W) of images
        self.needed = False

    def before(self, model: nn.Module, inputs: tuple) -> tuple | None:
        """Look at a batch whose shape is new, and hand on one that fits; a forward pre-hook."""
        images = inputs[0] if inputs else None
        if not isinstance(images, torch.Tensor) or images.dim() != 4:
            return None
        # plain numbers, also in a trace
        shape = tuple(int(side) for side in images.shape[1:])
        if shape not in self.seen and not self.needed:
            self._look(model, images)
        self.seen.add(shape)
        if self.needed:
            return (images.contiguous(), *inputs[1:])
        return None

    def _look(self, model: nn.Module, images: torch.Tensor) -> None:
        problem = _problem_of(model, images)
        if not problem:
            return
        model.to(memory_format=torch.contiguous_format)
        if _problem_of(model, images.contiguous()):
            return  # it is not for how tensors lie in memory: the net raises it again
        self.needed = True
        model.takes_contiguous = True  # type: ignore[assignment]  # also when it is placed again
        say(f"{type(model).__name__} takes contiguous tensors only, no channels-last: {problem}")


def watch(model: nn.Module) -> None:
    """Give a net and its convolutions the hooks that they lack; a torch.jit script takes none."""
    if isinstance(model, torch.jit.ScriptModule):
        return
    if not hasattr(model, "watched"):
        model.watched = True  # type: ignore[assignment]
        model.register_forward_pre_hook(Contiguous().before)
    for layer in model.modules():
        # no map is narrower than one pixel: most layers need no hooks
        may_outgrow = isinstance(layer, CONVOLUTIONS) and reach(layer) > 1
        if may_outgrow and not hasattr(layer, "in_float32"):
            hooks = InFloat32()
            layer.in_float32 = hooks  # type: ignore[assignment]
            layer.register_forward_pre_hook(hooks.before)
            layer.register_forward_hook(hooks.after, always_call=True)


def _problem_of(model: nn.Module, images: torch.Tensor) -> str:
    """Return how a net fails on images in evaluation mode, in one line, or "" where it does not."""
    try:
        look_through(model, images)
    except RuntimeError as error:
        if lacks_memory(error):
            raise
        return first_line(error)
    except Exception:  # a net of somebody's own may want more than images: it raises this again
        return ""
    return ""


def _learns_in_bfloat16(images: torch.Tensor) -> bool:
    """Return whether the pass that is under way is one of autocast's that gradients follow."""
    return (
        images.device.type == "cpu"
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )


def outgrows_its_maps(model: nn.Module, images: torch.Tensor) -> bool:
    """Return whether some convolution's stride or padding is wider than the map it is given.

    images: float (N, 3, H, W), which go through the net once: see look_through.
    """
    found = []

    def compare(layer: Any, inputs: tuple) -> None:
        if outgrows(layer, inputs[0]):
            found.append(layer)

    handles = []
    for layer in model.modules():
        if isinstance(layer, CONVOLUTIONS):
            handles.append(layer.register_forward_pre_hook(compare))
    try:
        look_through(model, images)
    finally:
        for handle in handles:
            handle.remove()
    return bool(found)


def outgrows(layer: Any, maps: torch.Tensor) -> bool:
    """Return whether a convolution's stride or padding is wider than the maps (N, C, H, W).

    A 3×3 convolution of stride 2 is so on a map of one pixel, where it sees padding and little
    else.
    """
    return min(maps.shape[-2:]) < reach(layer)


def reach(layer: Any) -> int:
    """Return the larger of a convolution's stride and padding (pixels); 0 for a 1×1 kernel."""
    if max(layer.kernel_size) == 1:
        return 0
    return max(*layer.stride, *_padding(layer))


def _padding(layer: Any) -> tuple[int, ...]:
    """Return a convolution's padding of each side in pixels, also where it is called "same"."""
    if layer.padding == "valid":
        return (0,)
    if layer.padding == "same":
        sides = zip(layer.kernel_size, layer.dilation, strict=True)
        return tuple(dilation * (side - 1) // 2 for side, dilation in sides)
    return layer.padding


def look_through(model: nn.Module, images: torch.Tensor) -> None:
    """Let images go through a net in evaluation mode; nothing of the net or of chance changes."""
    # autocast would keep the weights that it casts here, without gradients, for the step to come
    no_autocast = torch.autocast(images.device.type, enabled=False)
    devices = [images.device] if images.device.type == "cuda" else []
    # not in inference mode: what a net keeps for later must be fit to be learned from
    with evaluating(model), torch.no_grad(), no_autocast, torch.random.fork_rng(devices):
        model.forward(images)  # without the net's own hooks, one of which may have called this
