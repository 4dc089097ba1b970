"""Every figure of the series, in one style, with one colour and marker a backbone."""

import inspect
import os
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Code
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from .experiments import IMAGE_SIZES
from .files import ensure_folder, repository_root
from .models import BACKBONES
from .records import Run

COLORS = dict(zip(BACKBONES, ("#c0392b", "#e69f00", "#0072b2", "#56b4e9", "#cc79a7"), strict=False))
MARKERS = dict(zip(COLORS, "so^Dv", strict=True))
SPARE_COLORS, SPARE_MARKERS = ("#009e73", "#7b4173", "#8c6d31", "#636363", "#17becf"), "PX*<>"
WIDTH = 8  # inches, the width of a notebook's column


def use_style() -> None:
    """Set the one style of the series for the figures that follow."""
    sizes = {"figure.dpi": 90, "savefig.dpi": 90, "axes.titlesize": 11, "lines.linewidth": 1.8, "lines.markersize": 4.5}
    sns.set_theme(style="whitegrid", context="notebook", font_scale=0.85, rc=sizes)


def save(figure: Figure, name: str) -> None:
    """Write a figure to images/<name>.png if CIFARLIB_SAVE_FIGURES=1 asks for it."""
    if os.environ.get("CIFARLIB_SAVE_FIGURES") == "1":
        folder = ensure_folder(repository_root() / "images")
        figure.savefig(folder / f"{name}.png", bbox_inches="tight", dpi=110)


def show_source(thing: object) -> Code:
    """Return the source of a function or class, for a notebook to show with colours."""
    return Code(inspect.getsource(thing), language="python")


def look(backbone: str, among: Sequence[str] = ()) -> dict[str, str]:
    """Return a backbone's colour and marker; the ones not of the series get spare ones, in order of `among`."""
    others = [name for name in among if name not in COLORS]
    place = (others.index(backbone) if backbone in others else 0) % len(SPARE_COLORS)
    color, marker = COLORS.get(backbone, SPARE_COLORS[place]), MARKERS.get(backbone, SPARE_MARKERS[place])
    return {"color": color, "marker": marker}


def picture_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 10,
    row_labels: Sequence[str] | None = None,
    size: float | None = None,
) -> Figure:
    """Show pictures (H, W, 3), uint8 or floats on 0-1, row by row; row_labels stand left of each row."""
    rows = -(-len(images) // columns)
    size = size or WIDTH / columns
    shape = (size * columns, size * rows * (1.28 if titles is not None else 1.04))
    figure, axes = plt.subplots(rows, columns, figsize=shape, squeeze=False, subplot_kw={"xticks": [], "yticks": []})
    for axis in axes.flat[len(images) :]:
        axis.set_visible(False)
    for place, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(image, interpolation="nearest")
        if titles is not None:
            axis.set_title(titles[place], fontsize=7, pad=2)
        if row_labels is not None and place % columns == 0:
            axis.set_ylabel(row_labels[place // columns], rotation=0, ha="right", va="center", fontsize=8)
    figure.subplots_adjust(wspace=0.06, hspace=0.3 if titles is not None else 0.06)
    return figure


def legend_lines(runs: Mapping[str, Run | None]) -> Figure:
    """Draw the key to the curves: each backbone's line, and which are open."""
    figure, axis = plt.subplots(figsize=(WIDTH, 0.5))
    for name, run in runs.items():
        label = name if run else f"{name} (open)"
        axis.plot([], [], label=label, linestyle="-" if run else ":", **look(name, list(runs)))
    axis.legend(loc="center", ncols=min(5, len(runs)), frameon=False, columnspacing=1.2, handlelength=1.8)
    axis.axis("off")
    return figure


def curves(runs: Mapping[str, Run | None], measure: str, *, title: str = "") -> Figure:
    """Draw "loss" or "accuracy" by epoch, training beside validation, a line a backbone; says budgets that differ."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True, layout="constrained")
    done = {name: run for name, run in runs.items() if run}
    budgets = {run.experiment.budget for run in done.values()}
    for axis, (part, called) in zip(axes, (("train", "training"), ("valid", "validation")), strict=True):
        for name, run in done.items():
            label = name if len(budgets) == 1 else f"{name} ({run.experiment.budget})"
            style = {"label": label, "markevery": max(1, len(run.history) // 10), **look(name, list(runs))}
            axis.plot(run.history.epoch, run.history[f"{part}_{measure}"], **style)
        axis.set(title=called, xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if measure == "accuracy":
            axis.yaxis.set_major_formatter(PercentFormatter(1))  # as many decimals as the ticks need
    axes[0].set_ylabel("cross entropy (nats)" if measure == "loss" else "accuracy")
    key = axes[0].get_legend_handles_labels()
    figure.legend(*key, loc="outside lower center", ncols=3 if len(budgets) > 1 else 5, frameon=False, fontsize=8)
    said = f"{title} · " if title else ""
    figure.suptitle(f"{said}budget: {', '.join(sorted(budgets)) or 'open'}", fontsize=11)
    return figure


def learning_rates(schedules: Mapping[str, Sequence[float]]) -> Figure:
    """Draw learning rate by epoch, one line a named schedule."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.6, 2.6), layout="constrained")
    for name, rates in schedules.items():
        axis.plot(range(1, len(rates) + 1), rates, marker=".", label=name)
    axis.set(xlabel="epoch", ylabel="learning rate")
    axis.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axis.legend()
    return figure


def results_figure(cells: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw test accuracy by image size, a panel a kind: ours filled, the published hollow.

    cells: kind, image_size, backbone, ours, published (fractions or NaN), budget (its first letter shown if several).
    """
    kinds, budgets = cells.kind.unique(), cells[cells.ours.notna()].budget.unique()
    figure, axes = plt.subplots(1, len(kinds), figsize=(WIDTH, 4), sharey=True, layout="constrained", squeeze=False)
    for axis, kind in zip(axes[0], kinds, strict=True):
        for number, backbone in enumerate(BACKBONES):
            rows = cells[(cells.kind == kind) & (cells.backbone == backbone)]
            rows = rows.assign(x=rows.image_size.map(IMAGE_SIZES.index) + 0.13 * (number - 2))
            axis.plot(rows.x, rows.published, **look(backbone), linestyle="", fillstyle="none", alpha=0.9)
            axis.plot(rows.x, rows.ours, **look(backbone), linestyle="", label=backbone)
            for row in rows.dropna(subset="ours").itertuples() if len(budgets) > 1 else ():
                below = {"xytext": (0, -9), "textcoords": "offset points", "ha": "center", "fontsize": 6}
                axis.annotate(row.budget[0], (row.x, row.ours), **below)
        axis.set(title=kind, xlabel="image size (px)", xticks=range(len(IMAGE_SIZES)), xticklabels=IMAGE_SIZES)
        axis.grid(axis="x", visible=False)
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 0].set(ylabel="test accuracy", ylim=(0, None))
    letters = ", ".join(f"{name[0]}: {name}" for name in budgets) or "open"
    key = {"title": f"filled: ours ({letters}) · hollow: published", "loc": "outside lower center", "ncols": 5}
    figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, **key)
    figure.suptitle(title, fontsize=10)
    return figure


def confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw a confusion matrix (C, C) as shares of each true class, in %."""
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axis = plt.subplots(figsize=(WIDTH, WIDTH * 0.8), layout="constrained")
    labels = [name.replace("_", " ") for name in names]
    sns.heatmap(shares, ax=axis, cmap="rocket_r", xticklabels=labels, yticklabels=labels, square=True, linewidths=0.3,
                cbar_kws={"label": "share of the true superclass (%)", "shrink": 0.7})  # fmt: skip
    axis.set(xlabel="predicted", ylabel="true")
    axis.tick_params(labelsize=7)
    return figure


def literature_line(papers: pd.DataFrame, marks: Mapping[str, float]) -> Figure:
    """Draw top-1 (%) of papers by date, extra data in another colour, and horizontal `marks` (name: top-1 %)."""
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2), layout="constrained")
    palette = {"none": "#0072b2", "ImageNet": "#009e73", "JFT-300M": "#cc79a7"}
    for extra, group in papers.groupby("extra_data", sort=False):
        axis.scatter(group.published, group.top1_percent, color=palette[extra], label=f"extra data: {extra}", zorder=3)
    for number, paper in enumerate(papers.itertuples()):
        place, offset = (paper.published, paper.top1_percent), (5, -11 if number % 2 else 5)
        axis.annotate(paper.method, place, offset, textcoords="offset points", fontsize=6.5)
    for number, (name, top1) in enumerate(marks.items()):
        color = ("#c0392b", "#555555", "#e69f00")[number % 3]
        axis.axhline(top1, color=color, linestyle="--", linewidth=1.2, label=f"{name}: {top1:.2f} %")
    axis.set(xlabel="published", ylabel="CIFAR-100 top-1 (%)")
    axis.margins(x=0.12)
    figure.legend(fontsize=7.5, loc="outside lower center", ncols=2, frameon=False)
    return figure
