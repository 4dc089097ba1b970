"""How the training step is driven: operation by operation, or replayed as one CUDA graph."""

import gc
import os

import torch
from torch import nn

from ..config import ENGINES
from ..utils.errors import first_line, unknown
from ..utils.progress import say
from .device import Device

VARIABLE = "CIFARLIB_ENGINE"
# between a replay's logits and the model's, as a share of the largest; bfloat16 keeps three digits
GRAPH_TOLERANCE = 0.01


def choose_engine(device: Device) -> str:
    """Choose by rule: "graph" on an NVIDIA GPU, else "eager"; CIFARLIB_ENGINE decides otherwise.

    A GPU is done with a batch of 64 small pictures before a CPU has launched its operations one by
    one; a graph launches all at once. A device that is to be as PyTorch comes is eager. Raises
    ValueError where CIFARLIB_ENGINE names no engine.
    """
    asked = os.environ.get(VARIABLE)
    if asked:
        if asked not in ENGINES:
            raise unknown(VARIABLE, asked, ENGINES)
        return asked
    if device.torch_device.type == "cuda" and device.fast:
        return "graph"
    return "eager"


class Driven(nn.Module):
    """A model whose forward and backward pass in training is driven by an engine.

    With "graph" the pass is captured at the first batch and replayed for all of its size; odd
    batches, parts of one, and whatever is not training go through the model as ever. Where the pass
    cannot be captured, or its replay is not the model's, one line says so and the engine is "eager"
    from there on. The weights, statistics and random state are the same before and after a capture.
    Raises ValueError for an engine that it does not know.
    """

    # its model has its hooks, and says what stays in evaluation mode
    watched = True
    said_what_stays = True

    def __init__(self, model: nn.Module, device: Device, engine: str) -> None:
        super().__init__()
        if engine not in ENGINES:
            raise unknown("engine", engine, ENGINES)
        self.model = model
        self.device = device
        self.engine = engine
        self.batch_size = 0  # pictures of the first batch
        self._replays: dict[torch.Size, nn.Module] = {}  # by the shape of the batch

    @property
    def used(self) -> str:
        """The engine that whole batches have been driven by so far."""
        if self._replays:
            return "graph"
        return "eager"

    def stop(self) -> None:
        """Go on eagerly, and give the memory of captured passes back."""
        self.engine = "eager"
        self._replays.clear()
        if self.device.torch_device.type == "cuda":
            gc.collect()  # a captured pass holds itself
            torch.cuda.empty_cache()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, C) of prepared images."""
        if self.engine == "eager" or not self.training:
            return self.model(images)
        self.batch_size = self.batch_size or len(images)
        if len(images) != self.batch_size:
            return self.model(images)
        if images.shape not in self._replays:
            problem = ""
            try:
                self._replays[images.shape] = capture(self.model, images, self.device)
            # torch says in several ways that a pass cannot be captured; TypeError: an older torch
            except (RuntimeError, ValueError, TypeError, AssertionError) as error:
                problem = first_line(error)
            if problem:  # no longer within the except, which would keep what the capture allocated
                say(f"no CUDA graph ({problem}): this net is trained eagerly")
                self.stop()
                return self.model(images)
        return self._replays[images.shape](images)


class _Holder(nn.Module):
    """A model within a module whose forward can be replaced, while the model keeps its own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images)


def capture(model: nn.Module, images: torch.Tensor, device: Device) -> nn.Module:
    """Return a module that replays a model's forward and backward pass on batches like `images`.

    The model's weights and statistics and torch's random state are as before. Raises what torch
    raises where the pass cannot be captured, and RuntimeError where the replay's logits differ from
    the model's. Source: torch.cuda.make_graphed_callables.
    """
    # the passes that warm up and capture move BatchNorm's statistics and draw random numbers
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state = torch.cuda.get_rng_state()

    def back_to_before() -> None:
        model.load_state_dict(state)  # in place: the graph knows where each tensor lies
        torch.cuda.set_rng_state(random_state)

    replay = _Holder(model)
    try:
        # a cache of weights in lower precision would outlive the pass that it was made in
        with device.autocast(cache=False):
            # thread_local, for the loader's thread pins memory meanwhile
            torch.cuda.make_graphed_callables(
                replay,
                (images.clone(),),
                capture_error_mode="thread_local",
            )
            back_to_before()
            expected = model(images).detach().float()
            back_to_before()
            got = replay(images).detach().float()
    finally:
        back_to_before()
    difference = float((got - expected).abs().max())
    # gradients arrive on another stream than they were captured on, which torch warns of
    quiet = getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", None)
    if quiet is not None:
        quiet(False)
    if not difference <= GRAPH_TOLERANCE * float(expected.abs().max()):
        raise RuntimeError(f"its logits differ from the net's by {difference:.2g}")
    return replay
