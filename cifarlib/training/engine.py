"""How the training step is driven: operation by operation, or replayed as one CUDA graph."""

import torch
from torch import nn

from ..utils.errors import first_line
from ..utils.progress import say
from .device import Device

ENGINES = ("eager", "graph")
# of the eager step's largest number; bfloat16 keeps three digits
GRAPH_TOLERANCE = 0.01


def choose_engine(device: Device) -> str:
    """Choose by rule: "graph" on an NVIDIA GPU, where a step of small pictures waits for launches.

    Elsewhere, and for a device that is to be as PyTorch comes, "eager".
    """
    if device.torch_device.type == "cuda" and device.fast:
        return "graph"
    return "eager"


class GraphedForward:
    """A model's forward and backward pass in training, captured once and then replayed.

    A GPU works through a batch of 64 small pictures faster than a CPU launches its operations one
    by one; a graph launches all at once. It replays one shape of batch: others go through the
    model as ever. Raises what torch raises where a pass cannot be captured, and RuntimeError where
    the replay's logits are not the model's. The model's weights and statistics and torch's random
    state are as before afterwards. Source: torch.cuda.make_graphed_callables.
    """

    def __init__(self, model: nn.Module, images: torch.Tensor, device: Device) -> None:
        self.model = model
        self.shape = images.shape
        self.device = device
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        random_state = torch.cuda.get_rng_state()
        # it replaces the forward of what it is given: the model keeps its own for other shapes
        self._replay = _Holder(model)
        try:
            # a cache of cast weights would outlive the step that it was made in
            with device.autocast(cache=False):
                torch.cuda.make_graphed_callables(self._replay, (images.clone(),))
            model.load_state_dict(state)
            self._check(images, state)
        finally:
            # in place, for the graph knows where each tensor lies
            model.load_state_dict(state)
            model.zero_grad()
            torch.cuda.set_rng_state(random_state)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, C) of prepared images."""
        if images.shape == self.shape and self.model.training:
            return self._replay(images)
        return self.model(images)

    def _check(self, images: torch.Tensor, state: dict[str, torch.Tensor]) -> None:
        """Raise RuntimeError unless a replay gives the logits of the model itself."""
        with torch.no_grad(), self.device.autocast(cache=False):
            random_state = torch.cuda.get_rng_state()
            expected = self.model(images).float()
            self.model.load_state_dict(state)
            torch.cuda.set_rng_state(random_state)
        with self.device.autocast(cache=False):
            got = self._replay(images).detach().float()
        difference = float((got - expected).abs().max())
        if not difference <= GRAPH_TOLERANCE * float(expected.abs().max()):
            raise RuntimeError(f"its logits differ from the model's by {difference:.2g}")


class _Holder(nn.Module):
    """A model within another module, whose forward can be replaced in its stead."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images)


def graphed_or_none(
    model: nn.Module,
    images: torch.Tensor,
    device: Device,
) -> GraphedForward | None:
    """Return a model's pass as a graph, or None, with a line that says why, if that fails."""
    try:
        return GraphedForward(model, images, device)
    except (RuntimeError, ValueError, NotImplementedError, AssertionError) as error:
        say(f"no CUDA graph ({first_line(error)}): the net is trained eagerly")
        return None
