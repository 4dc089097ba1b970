"""The training loop: as plain as it can be, and with what a long run needs besides."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from ..models.modes import begin_training, evaluating
from .device import Device
from .lookout import watch

# (logits (N, C), labels (N,)) in, their mean loss out
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def train_one_epoch_plainly(model: nn.Module, batches: Iterable, optimizer: Optimizer) -> float:
    """Show the model every batch once and return the mean loss over all pictures seen.

    batches: (images float (N, 3, S, S), labels int64 (N,)), on the model's device.
    """
    model.train()
    total_loss = 0.0
    seen = 0
    for images, labels in batches:
        logits = model(images)  # (N, 100)
        loss = cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(labels)
        seen += len(labels)
    return total_loss / seen


def train_epoch(
    model: nn.Module,
    batches: Iterable,
    *,
    optimizer: Optimizer,
    device: Device,
    loss: Loss = cross_entropy,
    clip_norm: float | None = None,
    scaler: torch.amp.GradScaler | None = None,
    micro_batches: int = 1,
) -> tuple[float, float]:
    """Show the model every batch once and return (mean loss, accuracy) over all pictures seen.

    The plain loop, with what a long run needs besides. batches: (images uint8 or float (N, 3, S,
    S), labels int64 (N,)). loss: the mean over a batch. clip_norm: the longest gradient; None is no
    limit. scaler: float16's, kept from epoch to epoch; a new one by default. micro_batches: parts
    in which a batch goes through the model. Parts that were put into evaluation mode stay in it.
    Raises FloatingPointError that names the first step, and its rate, whose loss was not finite;
    ValueError for labels of another shape or kind, and for no batch.
    """
    # maps that are too small for bfloat16, and nets that take contiguous tensors only
    watch(model)
    # parts that somebody froze by .eval() stay frozen
    begin_training(model)
    scaler = scaler or device.make_scaler()
    losses = []
    rates = []
    correct = torch.zeros((), dtype=torch.int64, device=device.torch_device)
    seen = 0
    for images, labels in batches:
        # uint8 travels four times lighter than float32, so pictures are normalised on the device
        images = device.prepare(images)
        labels = device.prepare_labels(labels)
        optimizer.zero_grad()
        batch_loss = torch.zeros((), device=device.torch_device)
        # where memory is short a batch goes through in parts; BatchNorm needs two pictures in each
        parts = min(micro_batches, len(labels) // 2 or 1)
        for some_images, some_labels in zip(
            images.tensor_split(parts),
            labels.tensor_split(parts),
            strict=True,
        ):
            # half the bits where that is safe and faster
            with device.autocast():
                logits = model(some_images)
                mean_loss = _mean(loss, logits, some_labels)
            # the parts' gradients add up to the whole batch's
            # the scaler keeps float16 from rounding small ones to zero
            share = len(some_labels) / len(labels)
            scaler.scale(mean_loss * share).backward()
            # sums stay on the device: asking a GPU for a number at each step would stall it
            batch_loss += mean_loss.detach() * len(some_labels)
            correct += (logits.detach().argmax(1) == some_labels).sum()

        if clip_norm is not None:  # a gradient longer than that is shortened
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        scaler.step(optimizer)
        scaler.update()
        losses.append(batch_loss)
        rates.append(optimizer.param_groups[0]["lr"])
        seen += len(labels)
    totals = _total_losses(losses)
    _check_finite(totals, rates)
    return float(totals.sum() / seen), int(correct) / seen


def evaluate(
    model: nn.Module,
    batches: Iterable,
    *,
    device: Device,
    loss: Loss = cross_entropy,
    micro_batches: int = 1,
) -> tuple[float, float]:
    """Return (mean loss, accuracy) over all pictures, without learning from them.

    batches: as train_epoch takes them. The net's modes are as before. Raises ValueError for labels
    of another shape or kind, and for no batch.
    """
    watch(model)
    losses = []
    correct = torch.zeros((), dtype=torch.int64, device=device.torch_device)
    seen = 0
    with evaluating(model), torch.inference_mode():
        for images, labels in batches:
            images = device.prepare(images)
            labels = device.prepare_labels(labels)
            logits = logits_of(model, images, device=device, micro_batches=micro_batches).float()
            losses.append(_summed(loss, logits, labels))
            correct += (logits.argmax(1) == labels).sum()
            seen += len(labels)
    totals = _total_losses(losses)
    return float(sum(totals)) / seen, int(correct) / seen


def logits_of(
    model: nn.Module,
    images: torch.Tensor,
    *,
    device: Device,
    micro_batches: int = 1,
) -> torch.Tensor:
    """Return the logits (N, C) of prepared images, which go through the model in so many parts."""
    parts = images.tensor_split(min(micro_batches, len(images)))
    with device.autocast():
        return torch.cat([model(part) for part in parts])


def _summed(loss: Loss, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss of a batch, summed over its pictures."""
    if loss is cross_entropy:  # which sums more exactly than a mean can be multiplied
        return cross_entropy(logits, labels, reduction="sum")
    return _mean(loss, logits, labels) * len(labels)


def _mean(loss: Loss, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss of a batch; ValueError for more numbers than one."""
    mean = loss(logits, labels)
    if mean.dim() > 0:
        raise ValueError(
            f"got a loss of shape {tuple(mean.shape)}, expected one number, a batch's mean"
        )
    return mean


def _total_losses(losses: list[torch.Tensor]) -> torch.Tensor:
    """Return each batch's summed loss, float64 (batches,) on the CPU; ValueError for no batch."""
    if not losses:
        raise ValueError("got no batch, expected one or more of (images, labels)")
    return torch.stack(losses).cpu().double()


def _check_finite(losses: torch.Tensor, rates: list[float]) -> None:
    # looked at once an epoch: asking a GPU each step stalls it
    bad = (~losses.isfinite()).nonzero()
    if len(bad) == 0:
        return
    first = int(bad[0])
    raise FloatingPointError(
        f"the loss is not finite from step {first + 1} of {len(losses)} on, at lr {rates[first]:g}"
    )
