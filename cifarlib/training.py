"""The training loop, in plain PyTorch, as the notebooks show it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from .machine import Machine


@dataclass(frozen=True)
class Recipe:
    """How the weights are moved."""

    name: str = "writeup"
    batch_size: int = 64
    weight_decay: float = 1e-6
    label_smoothing: float = 0.0
    lr: float | None = None  # None: the budget's
    lr_end: float = 1e-6  # where the cosine ends
    clip_norm: float = 1000.0  # the write-up's; it never bites


RECIPES = {
    "writeup": Recipe(),
    "onecycle": Recipe("onecycle", batch_size=128, weight_decay=5e-4, label_smoothing=0.1, lr=0.1),
}


def train_epoch(
    model: nn.Module,
    batches: Iterable,
    *,
    optimizer: torch.optim.Optimizer,
    machine: Machine,
    scaler: torch.amp.GradScaler,
    recipe: Recipe = RECIPES["writeup"],
    pieces: int = 1,
    after_step: Callable[[], object] = lambda: None,
) -> tuple[float, float]:
    """Show the model every batch once and return (mean loss, accuracy) over all pictures seen.

    pieces: parts in which a batch goes through the model, where the memory is short; their gradients add up.
    Raises FloatingPointError that names the first step and its rate, if a loss was not finite.
    """
    model.train()
    losses, rates, correct, seen = [], [], 0, 0
    for images, labels in batches:
        images, labels = machine.prepare(images), labels.to(machine.device, non_blocking=True)
        optimizer.zero_grad()
        batch_loss = 0.0
        n = min(pieces, len(labels) // 2 or 1)  # BatchNorm needs two pictures in each
        for some, wanted in zip(images.tensor_split(n), labels.tensor_split(n), strict=True):
            with machine.autocast():
                logits = model(some)
                loss = cross_entropy(logits, wanted, label_smoothing=recipe.label_smoothing)
            scaler.scale(loss * (len(wanted) / len(labels))).backward()
            batch_loss += loss.detach() * len(wanted)
            correct += (logits.detach().argmax(1) == wanted).sum()

        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        losses.append(batch_loss)
        rates.append(optimizer.param_groups[0]["lr"])
        after_step()
        seen += len(labels)
    losses = torch.stack(losses).cpu().double()
    _check_finite(losses, rates)
    return float(losses.sum() / seen), int(correct) / seen


def evaluate(model: nn.Module, batches: Iterable, *, machine: Machine, pieces: int = 1) -> tuple[float, float]:
    """Return (mean cross entropy, accuracy) over all pictures, without learning from them; pieces: see train_epoch."""
    model.eval()
    losses, correct, seen = [], 0, 0
    with torch.inference_mode():
        for images, labels in batches:
            images, labels = machine.prepare(images), labels.to(machine.device, non_blocking=True)
            logits = in_pieces(model, images, pieces, machine=machine).float()
            losses.append(cross_entropy(logits, labels, reduction="sum"))
            correct += (logits.argmax(1) == labels).sum()
            seen += len(labels)
    return float(sum(torch.stack(losses).cpu().double()) / seen), int(correct) / seen


def in_pieces(model: nn.Module, images: torch.Tensor, pieces: int, *, machine: Machine) -> torch.Tensor:
    """Return the logits (N, C) of prepared images, seen in so many pieces."""
    with machine.autocast():
        return torch.cat([model(some) for some in images.tensor_split(min(pieces, len(images)))])


def _check_finite(losses: torch.Tensor, rates: list[float]) -> None:
    bad = (~losses.isfinite()).nonzero()  # looked at once an epoch: asking a GPU each step stalls it
    if len(bad):
        step, lr = int(bad[0]) + 1, rates[int(bad[0])]
        raise FloatingPointError(f"the loss is not finite from step {step} of {len(losses)} on, at lr {lr:g}")
