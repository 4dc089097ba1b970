"""What a machine can do, and the fixed rules by which the fast way is chosen on it."""

import os
import platform
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

import torch
from torch import nn

from .augment import IMAGENET_MEAN, IMAGENET_STD
from .models import is_depthwise


@dataclass(frozen=True)
class Machine:
    """One device, the precision of its forward pass, and how batches are brought to it.

    fast: channels-last tensors and a fused optimiser; False is PyTorch as it comes, to measure against.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    fast: bool = True

    @property
    def precision(self) -> str:
        """The precision's name for the record: float32, bfloat16 or float16."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def memory_format(self) -> torch.memory_format:
        """How tensors of pictures and filters lie in memory."""
        return torch.channels_last if self.fast else torch.contiguous_format

    def autocast(self) -> AbstractContextManager:
        """Run what is inside in the machine's precision where that is safe."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Bring a batch to the device; uint8 (N, 3, S, S) is normalised there to float32."""
        images = images.to(self.device, non_blocking=True, memory_format=self.memory_format)
        if images.dtype != torch.uint8:
            return images
        # non-blocking: without waiting for a GPU
        mean, std = (255 * torch.tensor((self.mean, self.std)).view(2, 3, 1, 1)).to(self.device, non_blocking=True)
        return images.float().sub_(mean).div_(std)

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device."""
        return model.to(self.device, memory_format=self.memory_format)


def choose_machine(model: nn.Module, *, mean: tuple = IMAGENET_MEAN, std: tuple = IMAGENET_STD) -> Machine:
    """Choose device and precision by rule: bfloat16 where native, float16 on older GPUs, else float32.

    On a CPU depthwise nets stay in float32, which measured faster there.
    """
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Machine(torch.device("cuda"), torch.bfloat16 if native else torch.float16, mean, std)
    if torch.backends.mps.is_available():
        return Machine(torch.device("mps"), torch.float32, mean, std)
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    fast = native and not is_depthwise(model)
    return Machine(torch.device("cpu"), torch.bfloat16 if fast else torch.float32, mean, std)


def describe_device(device: torch.device) -> str:
    """Return the device in words, for a record: the GPU's name, or the CPU's with threads in use."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration), open("/proc/cpuinfo", encoding="utf-8") as file:
        name = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    return f"{device.type}: {name}, {torch.get_num_threads()} of {os.cpu_count()} threads"
