"""A fair match between two ways of training: the same pictures, the same time."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ..models.modes import begin_training, evaluating
from ..training.device import Device


def frozen_features(
    model: Any,
    batches: Iterable,
    device: Device,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a net makes of pictures before its head: float32 (N, features), labels (N,).

    batches: (images uint8 or float (N, 3, S, S), labels int64 (N,)). The net is not changed, nor
    the mode of any part of it.
    """
    device.place(model)
    features = []
    labels = []
    with evaluating(model), torch.inference_mode():
        for images, answers in batches:
            maps = model.forward_features(device.prepare(images))
            features.append(model.forward_head(maps, pre_logits=True).float())
            labels.append(device.prepare_labels(answers))
    return torch.cat(features).clone(), torch.cat(labels).clone()


def train_head(
    head: nn.Module,
    features: torch.Tensor,
    labels: torch.Tensor,
    *,
    lr: float = 1e-3,
    weight_decay: float = 1e-2,
) -> Iterator[None]:
    """Take a step of Adam on all features (N, features) each time that the next is asked for."""
    optimizer = torch.optim.Adam(head.parameters(), lr=lr, weight_decay=weight_decay)
    while True:
        loss = cross_entropy(head(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield


def train_all(
    model: nn.Module,
    batches: Iterable,
    device: Device,
    *,
    lr: float = 1e-3,
) -> Iterator[None]:
    """Take a step of Adam with every layer each time that the next is asked for, without end."""
    optimizer = torch.optim.Adam(device.place(model).parameters(), lr=lr)
    while True:
        for images, labels in batches:
            begin_training(model)
            with device.autocast():
                logits = model(device.prepare(images))
            loss = cross_entropy(logits.float(), device.prepare_labels(labels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield


def race(
    steps: Iterator[None],
    measure: Callable[[], float],
    *,
    seconds: float,
    spent: float = 0.0,
    looks: int = 6,
) -> list[tuple[float, float]]:
    """Take steps for some seconds and return (seconds so far, measure()) at even intervals.

    What measuring takes does not count. spent: seconds that were needed before the first step.
    Raises ValueError where nothing of the time is left.
    """
    if spent >= seconds:
        raise ValueError(f"got {spent:.1f} s spent of {seconds:g} s, expected some to be left")
    marks = [spent + (seconds - spent) * look / looks for look in range(1, looks + 1)]
    seen = []
    clock = spent
    for mark in marks:
        while clock < mark:
            start = time.perf_counter()
            next(steps)
            clock += time.perf_counter() - start
        seen.append((clock, measure()))
    return seen
