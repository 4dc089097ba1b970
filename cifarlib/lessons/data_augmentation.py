"""What 02 shows: what augmentation does to images, to classes and to the curves."""

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..config import IMAGE_SIZES
from ..data.seeded import seeded
from ..data.transforms import A, policy_steps
from ..experiments.labels import SPARE_COLORS
from ..experiments.record import Run
from .curves import overfitting
from .figures import WIDTH, percent_axis, picture_grid, use_style
from .widgets import MISSING, image_tag

__all__ = [  # what the notebook uses
    "augmentation_explorer",
    "flips_figure",
    "overfitting",
    "picture_grid",
    "policy_curves",
    "use_style",
]

POLICY_COLORS = {"none": "#636363", "writeup": "#8c6d31", "natural": "#7b4173"}
ALL = "all"  # the whole policy, each step with its own probability
EXPLORED = ("writeup", "natural")
TOGETHER = ("Pad", "RandomCrop")  # one without the other changes the size
MOST_SEEDS = 50


def policy_curves(runs: Mapping[str, Run]) -> Figure:
    """Draw training and validation accuracy by epoch, a line an augmentation policy."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharey=True, layout="constrained")
    for axis, part in zip(axes, ("train", "valid"), strict=True):
        for policy, run in runs.items():
            axis.plot(
                run.history.epoch,
                run.history[f"{part}_accuracy"],
                color=POLICY_COLORS.get(policy, SPARE_COLORS[-1]),
                linewidth=2.6,
                label=policy,
            )
        axis.set_xlabel("epoch")
    axes[0].set(title="training (augmented pictures)", ylabel="accuracy", ylim=(0, 1))
    axes[1].set_title("validation (pictures as they are)")
    axes[1].legend(title="policy")
    percent_axis(axes[0].yaxis)
    return figure


def flips_figure(changes: pd.DataFrame, named: Iterable[str]) -> Figure:
    """Draw for each class how far two flips change its mean picture, on logarithmic axes.

    changes: a row a class, with columns HorizontalFlip and VerticalFlip in levels of 255. named:
    the classes whose names are written.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 4.2), layout="constrained")
    color = SPARE_COLORS[0]
    axis.scatter(
        changes.HorizontalFlip,
        changes.VerticalFlip,
        s=16,
        color=color,
        alpha=0.35,
        linewidth=0,
    )
    axis.axline((1, 1), (10, 10), color="0.5", linestyle="--", linewidth=1)
    behind = {"boxstyle": "square,pad=0.1", "facecolor": "w", "edgecolor": "none", "alpha": 0.8}
    by_class = dict(zip(changes.index, changes.to_numpy(float), strict=True))
    for name in named:
        x, y = by_class[name]
        axis.plot(x, y, "o", markersize=4, color=color)
        offset = (5, 3)
        if y < 1.5 * x:
            offset = (5, -10)  # off the dashed line
        axis.annotate(
            name.replace("_", " "),
            (x, y),
            offset,
            textcoords="offset points",
            fontsize=8,
            bbox=behind,
        )
    axis.set(xscale="log", yscale="log", xlim=(0.7, 11), ylim=(1.4, 95))
    axis.set(xticks=[1, 2, 5, 10], yticks=[2, 5, 10, 20, 50])
    axis.set_xlabel("change of the mean picture, mirrored (levels of 255)")
    axis.set_ylabel("the same, upside down (levels of 255)")
    axis.xaxis.set_major_formatter("{x:.0f}")
    axis.yaxis.set_major_formatter("{x:.0f}")
    axis.minorticks_off()
    return figure


def augmentation_explorer(pictures: Sequence[np.ndarray]) -> Any:
    """Return controls for policy, step, size and seed, with the pictures that they make."""
    if importlib.util.find_spec("ipywidgets") is None:
        return MISSING
    from ipywidgets import HTML as Screen
    from ipywidgets import Dropdown, HBox, IntSlider, VBox

    names = [ALL]
    for policy in EXPLORED:
        names += policy_steps(32, policy)
    policy = Dropdown(options=EXPLORED, description="policy")
    step = Dropdown(options=list(dict.fromkeys(names)), description="step")
    size = Dropdown(options=IMAGE_SIZES, description="size (px)")
    seed = IntSlider(max=MOST_SEEDS, description="seed")
    screen = Screen()

    def redraw(_change: Any = None) -> None:
        title = f"{policy.value}: {step.value}"
        if step.value not in (ALL, *policy_steps(size.value, policy.value)):
            title = f"{step.value} is not in {policy.value}: the pictures stay as they are"
        strip = augmented_strip(pictures, policy.value, step.value, size.value, seed.value)
        screen.value = f"<b>{title}</b><br>{image_tag(strip, width=800)}"

    controls = [policy, step, size, seed]
    for control in controls:
        control.observe(redraw, names="value")
    redraw()
    return VBox([HBox(controls[:2]), HBox(controls[2:]), screen])


def augmented_strip(
    pictures: Sequence[np.ndarray],
    policy: str,
    step: str,
    size: int,
    seed: int,
) -> np.ndarray:
    """Return pictures side by side, uint8 (size, N * size, 3), after a policy or one of its steps.

    step: "all" for the policy as in training, else the step that is applied every time; one that
    the policy lacks changes nothing.
    """
    steps = []
    for name, one in policy_steps(size, policy).items():
        if step == ALL or name == step or (name in TOGETHER and step in TOGETHER):
            steps.append(one)
    pipeline = seeded(steps, seed, always=step != ALL)
    shrink = A.Resize(size, size, interpolation=cv2.INTER_LINEAR)
    changed = [pipeline(image=shrink(image=picture)["image"])["image"] for picture in pictures]
    return np.hstack(changed)
