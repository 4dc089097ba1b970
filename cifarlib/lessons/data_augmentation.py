"""The figures of 01 and 02: the data, its spectrum, and what augmentation does to it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..experiments.record import Run
from ..report.plots.pictures import picture_grid
from .figures import SPARE_COLORS, WIDTH, percent_axis

if TYPE_CHECKING:  # a figure of records must not load what pictures need
    from ..data.cifar100 import ImageSet

POLICY_COLORS = {"none": "#636363", "writeup": "#8c6d31", "natural": "#7b4173"}
LEAST_POWER = 1e-9  # so that nothing has a logarithm


def class_wall(images: "ImageSet") -> Figure:
    """Show the first picture of each class, two superclasses a row with their names above."""
    assert images.superclasses is not None
    assert images.coarse_labels is not None
    places = []
    for family in range(len(images.superclasses)):
        inside = np.flatnonzero(images.coarse_labels == family)
        _, first = np.unique(images.labels[inside], return_index=True)
        places += list(inside[first])
    names = [images.classes[label].replace("_", "\n") for label in images.labels[places]]
    figure = picture_grid(list(images.images[places]), names, size=0.72)
    figure.set(figheight=12.6, dpi=80)
    figure.subplots_adjust(hspace=1.0)
    # the middle one of each five carries the heading
    for axis, name in zip(figure.axes[2::5], images.superclasses, strict=True):
        axis.annotate(
            name.replace("_", " "),
            (0.5, 1.5),
            xycoords="axes fraction",
            ha="center",
            weight="bold",
            fontsize=8,
        )
    return figure


def quiz_figure(questions: "ImageSet", choices: Sequence[Sequence[str]]) -> Figure:
    """Show numbered pictures, four a row, with the class names to choose from under each."""
    rows = -(-len(questions) // 4)  # rounded up
    figure, axes = plt.subplots(
        rows,
        4,
        figsize=(7, 2.6 * rows),
        layout="constrained",
        squeeze=False,
        subplot_kw={"xticks": [], "yticks": []},
    )
    figure.get_layout_engine().set(hspace=0.08)  # type: ignore[union-attr, call-arg]
    for axis in axes.flat[len(questions) :]:
        axis.set_visible(False)
    for number, axis in enumerate(axes.flat[: len(questions)]):
        axis.imshow(questions.images[number], interpolation="nearest")
        axis.set_title(number + 1)
        names = [name.replace("_", " ") for name in choices[number]]
        axis.set_xlabel("\n".join(names), fontsize=8)
        axis.grid(False)
    return figure


def spectra_figure(
    pictures: Mapping[int, np.ndarray],
    spectra: Mapping[int, np.ndarray],
) -> Figure:
    """Draw a picture at some sizes, and under each the mean power of its frequencies.

    Both by size in pixels; a spectrum is (size, size), its lowest frequency in the middle. A dashed
    square holds what 32×32 pixels can carry.
    """
    figure, axes = plt.subplots(2, len(pictures), figsize=(7, 4.6), layout="compressed")
    colors = plt.get_cmap("magma", 13)  # a step is half a power of ten
    for (above, below), (size, picture) in zip(axes.T, pictures.items(), strict=True):
        above.imshow(picture, interpolation="nearest")
        above.set(title=f"{size} × {size} pixels", xticks=[], yticks=[])
        ticks = [-size / 2, 0, size / 2]
        drawn = below.imshow(
            np.log10(spectra[size] + LEAST_POWER),
            colors,
            extent=(-size / 2, size / 2, -size / 2, size / 2),
            vmin=-5,
            vmax=1.5,
        )
        below.add_patch(Rectangle((-16, -16), 32, 32, fill=False, edgecolor="w", linestyle="--"))
        below.set(xlabel="cycles per picture", xticks=ticks, yticks=ticks)
    axes[1, 0].set_ylabel("cycles per picture")
    figure.colorbar(drawn, ax=axes[1], label="mean power (log10)")
    for axis in axes.flat:
        axis.grid(False)
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
