"""The course of training from scratch: its rate, where it ends, where it over-fits."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...config import IMAGE_SIZES
from ...experiments.labels import look
from ...experiments.record import Run
from ...published.read import published_backbones, published_curve
from ..curves import PAIR, Runs, overfitting
from ..figures import WIDTH, percent_axis


def best_by_size(init: str, runs_by_size: Mapping[int, Mapping[str, Run | None]]) -> Figure:
    """Draw the best validation accuracy by image size: the published thin, ours strong."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.75, 3.4), layout="constrained")
    places = range(len(IMAGE_SIZES))
    for name in published_backbones():
        best = [published_curve(name, size, init).valid_accuracy.max() for size in IMAGE_SIZES]
        axis.plot(places, best, fillstyle="none", linewidth=1, label=name, **look(name))
    for size, runs in runs_by_size.items():
        for name, run in runs.items():
            if run:
                best = run.history.valid_accuracy.max()
                place = IMAGE_SIZES.index(size)
                axis.plot(place, best, markersize=9, **look(name, list(runs)))
    axis.set(xticks=places, xticklabels=IMAGE_SIZES, xlim=(-0.3, 2.3))
    axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
    axis.set(xlabel="image size (px)", ylabel="best validation accuracy")
    percent_axis(axis.yaxis)
    axis.legend(fontsize=8, title="hollow: published · filled: ours", title_fontsize=8)
    return figure


def learning_rates(schedules: Mapping[str, Sequence[float] | np.ndarray]) -> Figure:
    """Draw learning rate by epoch, one line a named schedule."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.6, 2.6), layout="constrained")
    for name, rates in schedules.items():
        axis.plot(range(1, len(rates) + 1), rates, marker=".", label=name)
    axis.set(xlabel="epoch", ylabel="learning rate")
    axis.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axis.legend()
    return figure


def overfitting_table(runs_by_size: Mapping[int, Runs]) -> pd.DataFrame:
    """Return where validation loss was lowest and the last gap, from scratch: published (ours).

    A row a published backbone, two columns a size: the epoch, and train - valid accuracy in points.
    """
    rows = {}
    for name in published_backbones():
        row = {}
        for image_size, runs in runs_by_size.items():
            theirs = overfitting(published_curve(name, image_size, "scratch"))
            epoch = f"{theirs['epoch']}"
            gap = f"{theirs['gap']:.1f}"
            run = runs.get(name)
            if run:
                ours = overfitting(run.history)
                epoch += f" ({ours['epoch']})"
                gap += f" ({ours['gap']:.1f})"
            row[f"{image_size} px: 輪 epoch"] = epoch
            row[f"{image_size} px: 差距 gap"] = gap
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def pairs_of_ends(runs_by_size: Mapping[int, Runs]) -> pd.DataFrame:
    """Return training (first) and validation accuracy (second) after the last epoch from scratch.

    For pairs_figure: image_size, backbone, whose, first, second (fractions).
    """
    rows = []
    for image_size, runs in runs_by_size.items():
        for name in published_backbones():
            theirs = overfitting(published_curve(name, image_size, "scratch"))
            rows.append([image_size, name, "published", theirs["train"], theirs["valid"]])
            run = runs.get(name)
            if run:
                ours = overfitting(run.history)
                rows.append([image_size, name, "ours", ours["train"], ours["valid"]])
    return pd.DataFrame(rows, columns=PAIR)
