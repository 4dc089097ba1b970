"""What a machine trains on, and the fixed rules by which the fast way is chosen there."""

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import psutil
import torch
from joblib import cpu_count
from torch import nn

from ..config import IMAGENET_MEAN, IMAGENET_STD
from ..models.normalization import Channels, normalization_of
from ..utils.checks import whole_number
from ..utils.progress import say
from .lookout import outgrows_its_maps, watch

# of the GNU C library's malloc.h: from which size a block is borrowed from the system, and how much
# may lie free at the end of the heap before it is given back
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
MOST_BYTES = 2**31 - 1
# how floats that are not normalised are told from others
MOST_NORMALISED = 10  # white is far below that, in standard deviations of whatever images
LEVEL_ROUNDING = 1e-3  # of 255 levels: what bytes ÷ 255 lose in float32
MANY = 8  # images among which some pixel is darker than the mean


@dataclass(frozen=True)
class Device:
    """A CPU or GPU, the precision of the forward pass on it, and how batches are brought there."""

    torch_device: torch.device
    dtype: torch.dtype = torch.float32  # of the forward pass; the weights stay in float32
    # of each channel on a 0-1 scale: what uint8 batches are normalised with
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    fast: bool = True  # channels-last tensors and a fused optimiser; False: PyTorch as it comes
    refuses_raw: bool = False  # whether floats that are not normalised are an error: see prepare
    _said: list[str] = field(default_factory=list, repr=False, compare=False)

    @property
    def precision(self) -> str:
        """The precision's name for the record: float32, bfloat16 or float16."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def memory_format(self) -> torch.memory_format:
        """How tensors of pictures and filters lie in memory."""
        if self.fast:
            return torch.channels_last
        return torch.contiguous_format

    def autocast(self, *, cache: bool = True) -> AbstractContextManager:
        """Run what is inside in the device's precision where that is safe.

        cache: whether weights that are cast are kept until the end, for a second use.
        """
        return torch.autocast(
            self.torch_device.type,
            self.dtype,
            enabled=self.dtype != torch.float32,
            cache_enabled=cache,
        )

    def make_scaler(self) -> torch.amp.GradScaler:
        """Return a new gradient scaler: float16 needs one, elsewhere it does nothing."""
        return torch.amp.GradScaler(self.torch_device.type, enabled=self.dtype == torch.float16)

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device, and give it the hooks of training/lookout.py."""
        if self.torch_device.type == "cuda" and self.fast:
            # cuDNN tries its algorithms on each shape that is new: all batches have one
            torch.backends.cudnn.benchmark = True
        if self.torch_device.type == "cpu":
            use_allowed_cores()
            if self.fast:
                keep_freed_memory()
        model = model.to(self.torch_device)
        if not hasattr(model, "takes_contiguous"):  # as training/lookout.py saw before
            model = model.to(memory_format=self.memory_format)
        watch(model)
        return model

    def prepare(self, images: torch.Tensor | np.ndarray) -> torch.Tensor:
        """Bring a batch to the device; uint8 (N, 3, S, S) is normalised there to float32.

        Floats are taken as they are; where they look like an image's own levels, one line says so.
        Raises ValueError for these where the net has learned from normalised images, for bytes of
        another shape, and for whole numbers of another kind.
        """
        images = torch.as_tensor(images)
        if images.dtype == torch.float64:  # NumPy's own kind: no net has weights of it
            images = images.float()
        is_bytes = images.dtype == torch.uint8 and images.dim() == 4 and images.shape[1] == 3
        if not images.is_floating_point() and not is_bytes:
            raise ValueError(
                f"got images {_kind(images)} {tuple(images.shape)}, expected uint8 (N, 3, H, W), or"
                " floats that are normalised: of channels that come last make x.permute(0, 3, 1, 2)"
            )
        if images.is_floating_point() and images.device.type == "cpu":
            self._look_at_levels(images)
        # non-blocking: without waiting for a GPU
        images = images.to(self.torch_device, non_blocking=True, memory_format=self.memory_format)
        if images.dtype != torch.uint8:
            return images
        levels = 255 * torch.tensor((self.mean, self.std)).view(2, 3, 1, 1)
        mean, std = levels.to(self.torch_device, non_blocking=True)
        return images.float().sub_(mean).div_(std)

    def _look_at_levels(self, images: torch.Tensor) -> None:
        levels = _levels_of(images)
        if not levels:
            return
        seen = f"got images of floats from {levels}, which are not normalised"
        if self.refuses_raw:
            raise ValueError(
                f"{seen}, and this net has learned from such as are: hand over uint8, or normalise"
                " with eval_transform(S, **normalization_of(model))"
            )
        if not self._said:
            self._said.append(seen)
            say(f"{seen}: uint8 is normalised on the way to the net")

    def prepare_labels(self, labels: torch.Tensor | np.ndarray | Sequence[int]) -> torch.Tensor:
        """Bring labels, whole numbers (N,) from 0, to the device as int64, or raise ValueError."""
        labels = torch.as_tensor(labels)
        is_whole = not (labels.is_floating_point() or labels.is_complex())
        if labels.dim() != 1 or not is_whole or labels.dtype == torch.bool:
            hint = ""
            if labels.dim() == 2:
                hint = ": of one row a label make y.argmax(1), of one column y[:, 0]"
            raise ValueError(
                f"got labels {_kind(labels)} {tuple(labels.shape)},"
                f" expected whole numbers (N,){hint}"
            )
        labels = labels.to(torch.int64)
        # on a GPU it would be waited for; torch passes over some of them in silence
        if labels.device.type == "cpu" and len(labels) > 0 and int(labels.min()) < 0:
            raise ValueError(f"got label {int(labels.min())}, expected whole numbers from 0")
        return labels.to(self.torch_device, non_blocking=True)


def _levels_of(images: torch.Tensor) -> str:
    """Return "0 to 1" or "0 to 255" where floats look like an image's own levels, else ""."""
    if images.numel() == 0:
        return ""
    low, high = map(float, images.aminmax())
    if low < 0 or high == 0:
        return ""
    if high > MOST_NORMALISED:
        return "0 to 255"
    if high > 1:
        return ""
    levels = 255 * images
    are_whole = bool((levels - levels.round()).abs().max() < LEVEL_ROUNDING)
    # bright bytes that were normalised with 0.5 and 0.5 are odd levels, all of them
    are_bytes = are_whole and bool((levels.round() % 2 == 0).any())
    if are_bytes or len(images) >= MANY:
        return "0 to 1"
    return ""


def _kind(tensor: torch.Tensor) -> str:
    """Return a tensor's kind as it is written: "float32"."""
    return str(tensor.dtype).removeprefix("torch.")


def use_allowed_cores() -> None:
    """Let torch take no more threads than this process may use cores.

    torch counts the machine's cores, not a container's share of them: threads above that wait for
    each other.
    """
    allowed = cpu_count()
    if torch.get_num_threads() > allowed:
        torch.set_num_threads(allowed)


def keep_freed_memory() -> bool:
    """Let this process keep what it frees for its next use, on Linux; return whether it took that.

    Each step frees and asks for hundreds of megabytes. Left to itself the GNU C library gives large
    blocks back to the system, which must clear every page that it lends again: two fifths of a
    step's time for EfficientNet_lite0 at 128 px. The price is memory, 11 and 24% more at the peak.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library, such as musl
        return False
    takes_large_blocks = mallopt(M_MMAP_THRESHOLD, MOST_BYTES)
    keeps_the_end = mallopt(M_TRIM_THRESHOLD, MOST_BYTES)
    return bool(takes_large_blocks and keeps_the_end)


def choose_device(
    model: nn.Module,
    *,
    image_size: int | None = None,
    mean: Channels | None = None,
    std: Channels | None = None,
) -> Device:
    """Choose device and precision by rule.

    The precision is bfloat16 where that is native, float16 on older GPUs, else float32. On a CPU
    depthwise nets stay in float32, which measured faster there, and so do nets with a stride or a
    padding wider than the map it meets, at `image_size` (pixels) if that is known; else those
    layers are, when such a map comes (see training/lookout.py). mean, std: of each channel on a 0-1
    scale, to normalise uint8 images with; by default what the net's weights expect
    (normalization_of).
    """
    watch(model)  # of images whose size is not known yet the precision rests on this
    expected = normalization_of(model)
    mean = tuple(map(float, expected["mean"] if mean is None else mean))
    std = tuple(map(float, expected["std"] if std is None else std))
    refuses_raw = bool(getattr(model, "has_learned", False))
    if torch.cuda.is_available():
        dtype = torch.float16
        if torch.cuda.is_bf16_supported(including_emulation=False):
            dtype = torch.bfloat16
        return Device(torch.device("cuda"), dtype, mean, std, refuses_raw=refuses_raw)
    if torch.backends.mps.is_available():
        return Device(torch.device("mps"), torch.float32, mean, std, refuses_raw=refuses_raw)
    dtype = torch.float32
    if cpu_has_bfloat16() and _can_learn_in_bfloat16(model, image_size):
        dtype = torch.bfloat16
    return Device(torch.device("cpu"), dtype, mean, std, refuses_raw=refuses_raw)


def _can_learn_in_bfloat16(model: nn.Module, image_size: int | None) -> bool:
    """Return whether a net may and should learn in bfloat16 on a CPU that has it."""
    if _is_depthwise(model):
        return False
    if image_size is None:
        return True
    size = whole_number("image_size", image_size, least=1)
    return not outgrows_its_maps(model, torch.zeros(1, 3, size, size))


def _is_depthwise(model: nn.Module) -> bool:
    """Return whether a net has depthwise convolutions, one filter a channel."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1:
            return True
    return False


def cpu_has_bfloat16() -> bool:
    """Return whether this CPU computes in bfloat16 natively."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def describe_device(torch_device: torch.device) -> str:
    """Return the device in words, for a record: the GPU's name, or the CPU's with its threads."""
    if torch_device.type == "cuda":
        return torch.cuda.get_device_name(torch_device)
    name = platform.processor() or platform.machine()
    # Linux knows the processor's full name
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                name = line.split(":")[1].strip()
                break
    return f"{torch_device.type}: {name}, {torch.get_num_threads()} of {os.cpu_count()} threads"


def peak_memory() -> float:
    """Return the most memory (GB) that this process has used, on the GPU where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e9
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "darwin":  # bytes on a Mac, KiB elsewhere
        return peak / 1e9
    return peak * 1024 / 1e9
