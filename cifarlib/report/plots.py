"""Every figure of the series, in one style, with one colour and marker a backbone."""

import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..config import BACKBONES, IMAGE_SIZES
from ..runs.record import Run
from ..utils.files import ensure_folder, repository_root

if TYPE_CHECKING:
    from IPython.display import Code

COLORS = dict(zip(BACKBONES, ("#c0392b", "#e69f00", "#0072b2", "#56b4e9", "#cc79a7"), strict=True))
MARKERS = dict(zip(BACKBONES, "so^Dv", strict=True))
# for other backbones than the series'
SPARE_COLORS = ("#009e73", "#7b4173", "#8c6d31", "#636363", "#17becf")
SPARE_MARKERS = "PX*<>"
WIDTH = 8  # inches, the width of a notebook's column
MARKERS_ON_A_LINE = 10  # about; more would hide it

# fonts with Chinese characters, by the systems they come with; for classes of one's own
CHINESE_FONTS = (
    "Noto Sans CJK TC",
    "Noto Sans TC",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans TC",
    "Microsoft JhengHei",
    "Microsoft YaHei",
    "PingFang TC",
    "PingFang HK",
    "Heiti TC",
    "Arial Unicode MS",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "AR PL UMing TW",
)

# where a paper's name stands beside its point, in points of type, so that none covers another
RIGHT = (6, -3)
LEFT = (-5, 2)
BELOW = (5, -10)
LABEL_OFFSETS = {
    "Network in Network": (-5, 3),
    "Spatially-sparse CNN": (-5, -10),
    "Wide ResNet": BELOW,
    "DenseNet-BC (L190 k40)": (-5, 4),
    "PyramidNet + ShakeDrop + AutoAugment": LEFT,
    "GPipe (AmoebaNet)": BELOW,
    "BiT-L (ResNet-152x4)": LEFT,
    "EffNet-L2 (SAM)": LEFT,
}


def use_style() -> None:
    """Set the one style of the series for the figures that follow.

    Chinese names, of one's own classes say, are drawn with the first of CHINESE_FONTS that is
    installed; where none is they are boxes, and matplotlib does not warn of each.
    """
    settings = {
        "figure.dpi": 90,
        "savefig.dpi": 90,
        "axes.titlesize": 11,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
    }
    sns.set_theme(style="whitegrid", context="notebook", font_scale=0.85, rc=settings)
    chinese = _chinese_font()
    if chinese:
        # a second family is asked for what the first lacks
        plt.rcParams["font.family"] = ["sans-serif", chinese]
    else:
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")


def _chinese_font() -> str | None:
    """Return the first of CHINESE_FONTS that is installed, or None."""
    installed = set(font_manager.get_font_names())
    for name in CHINESE_FONTS:
        if name in installed:
            return name
    return None


def save(figure: Figure, name: str) -> None:
    """Write a figure to images/<name>.png if CIFARLIB_SAVE_FIGURES=1 asks for it."""
    if os.environ.get("CIFARLIB_SAVE_FIGURES") == "1":
        folder = ensure_folder(repository_root() / "images")
        figure.savefig(folder / f"{name}.png", bbox_inches="tight", dpi=110)


def show_source(thing: object) -> "Code":
    """Return the source of a function or class, for a notebook to show with colours."""
    from IPython.display import Code  # only notebooks need it

    return Code(inspect.getsource(thing), language="python")  # type: ignore[arg-type]


def look(backbone: str, among: Sequence[str] = ()) -> dict[str, Any]:
    """Return a backbone's colour and marker; others than the series' get spare ones, in order."""
    if backbone in COLORS:
        return {"color": COLORS[backbone], "marker": MARKERS[backbone]}
    others = [name for name in among if name not in COLORS]
    place = 0
    if backbone in others:
        place = others.index(backbone) % len(SPARE_COLORS)
    return {"color": SPARE_COLORS[place], "marker": SPARE_MARKERS[place]}


def picture_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 10,
    row_labels: Sequence[str] | None = None,
    size: float | None = None,
) -> Figure:
    """Show pictures (H, W, 3), uint8 or floats on 0-1, row by row.

    row_labels: one left of each row. size: of a picture, in inches; by default the pictures fill
    the width.
    """
    rows = -(-len(images) // columns)  # rounded up
    size = size or WIDTH / columns
    row_height = 1.04 * size
    gap = 0.06  # of a picture's height
    if titles is not None:
        row_height = 1.28 * size
        gap = 0.3
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(size * columns, row_height * rows),
        squeeze=False,
        subplot_kw={"xticks": [], "yticks": []},
    )
    for axis in axes.flat[len(images) :]:
        axis.set_visible(False)
    for place, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(image, interpolation="nearest")
        if titles is not None:
            axis.set_title(titles[place], fontsize=7, pad=2)
        if row_labels is not None and place % columns == 0:
            label = row_labels[place // columns]
            axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    figure.subplots_adjust(wspace=0.06, hspace=gap)
    return figure


def marked(name: str, run: Run | None) -> str:
    """Return a run's name for a legend, with its pictures where those are not CIFAR-100's."""
    if run is None or run.data_mark == "":
        return name
    return f"{name}, {run.data_mark}"


def legend_lines(runs: Mapping[str, Run | None]) -> Figure:
    """Draw the key to the curves: each backbone's line, and which are open."""
    figure, axis = plt.subplots(figsize=(WIDTH, 0.5))
    for name, run in runs.items():
        label = marked(name, run)
        linestyle = "-"
        if run is None:
            label = f"{name} (open)"
            linestyle = ":"
        axis.plot([], [], label=label, linestyle=linestyle, **look(name, list(runs)))
    axis.legend(
        loc="center",
        ncols=min(5, len(runs)),
        frameon=False,
        columnspacing=1.2,
        handlelength=1.8,
    )
    axis.axis("off")
    return figure


def curves(runs: Mapping[str, Run | None], measure: str, *, title: str = "") -> Figure:
    """Draw "loss" or "accuracy" by epoch, training beside validation, a line a backbone."""
    done = {name: run for name, run in runs.items() if run}
    budgets = sorted({run.experiment.budget for run in done.values()})
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True, layout="constrained")
    for axis, part, heading in zip(
        axes, ("train", "valid"), ("training", "validation"), strict=True
    ):
        for name, run in done.items():
            label = marked(name, run)
            if len(budgets) > 1:
                label = f"{label} ({run.experiment.budget})"
            axis.plot(
                run.history.epoch,
                run.history[f"{part}_{measure}"],
                label=label,
                markevery=max(1, len(run.history) // MARKERS_ON_A_LINE),
                **look(name, list(runs)),
            )
        axis.set(title=heading, xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if measure == "loss":
        axes[0].set_ylabel("cross entropy (nats)")
    else:
        axes[0].set_ylabel("accuracy")
        axes[0].yaxis.set_major_formatter(PercentFormatter(1))  # as many decimals as the ticks need
        axes[1].yaxis.set_major_formatter(PercentFormatter(1))
    # longer names need the room of three columns
    columns = 5
    if len(budgets) > 1 or any(run.data_mark for run in done.values()):
        columns = 3
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=8,
    )
    heading = f"budget: {', '.join(budgets) or 'open'}"
    if title:
        heading = f"{title} · {heading}"
    figure.suptitle(heading, fontsize=11)
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


def results_figure(cells: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw test accuracy by image size, a panel a kind: ours filled, the published hollow.

    cells: kind, image_size, backbone, ours, published (fractions or NaN), budget (its first letter
    is shown if there are several).
    """
    kinds = cells.kind.unique()
    budgets = list(cells[cells.ours.notna()].budget.unique())
    figure, axes = plt.subplots(
        1,
        len(kinds),
        figsize=(WIDTH, 4),
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for axis, kind in zip(axes[0], kinds, strict=True):
        _draw_results(axis, cells[cells.kind == kind], show_budgets=len(budgets) > 1)
        axis.set_title(kind)
    axes[0, 0].set(ylabel="test accuracy", ylim=(0, None))
    meaning = ", ".join(f"{name[0]}: {name}" for name in budgets) or "open"
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        title=f"filled: ours ({meaning}) · hollow: published",
        loc="outside lower center",
        ncols=5,
        frameon=False,
    )
    figure.suptitle(title, fontsize=10)
    return figure


def _draw_results(axis: Axes, cells: pd.DataFrame, *, show_budgets: bool) -> None:
    """Draw one panel of results_figure: the backbones of a size side by side."""
    middle = len(BACKBONES) // 2
    for number, backbone in enumerate(BACKBONES):
        rows = cells[cells.backbone == backbone]
        x = rows.image_size.map(IMAGE_SIZES.index) + 0.13 * (number - middle)
        style = look(backbone)
        axis.plot(x, rows.published, linestyle="", fillstyle="none", alpha=0.9, **style)
        axis.plot(x, rows.ours, linestyle="", label=backbone, **style)
        if show_budgets:
            for place, ours, budget in zip(x, rows.ours, rows.budget, strict=True):
                if not np.isnan(ours):
                    axis.annotate(
                        budget[0],
                        (place, ours),
                        xytext=(0, -9),
                        textcoords="offset points",
                        ha="center",
                        fontsize=6,
                    )
    axis.set(xlabel="image size (px)", xticks=range(len(IMAGE_SIZES)), xticklabels=IMAGE_SIZES)
    axis.grid(axis="x", visible=False)
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw a confusion matrix (C, C) as shares of each true class, in %."""
    # a class without pictures is divided by one, not by nought
    per_class = np.maximum(counts.sum(1, keepdims=True), 1)
    labels = [name.replace("_", " ") for name in names]
    figure, axis = plt.subplots(figsize=(WIDTH, WIDTH * 0.8), layout="constrained")
    sns.heatmap(
        100 * counts / per_class,
        ax=axis,
        cmap="rocket_r",
        xticklabels=labels,
        yticklabels=labels,
        square=True,
        linewidths=0.3,
        cbar_kws={"label": "share of the true superclass (%)", "shrink": 0.7},
    )
    axis.set(xlabel="predicted", ylabel="true")
    axis.tick_params(labelsize=7)
    return figure


def literature_line(papers: pd.DataFrame, marks: Mapping[str, float]) -> Figure:
    """Draw top-1 (%) of papers by date, and horizontal `marks` (name: top-1 %)."""
    palette = {"none": "#0072b2", "ImageNet": "#009e73", "JFT-300M": "#cc79a7"}
    mark_colors = ("#c0392b", "#555555", "#e69f00")
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2), layout="constrained")
    for extra, group in papers.groupby("extra_data", sort=False):
        axis.scatter(
            group.published,
            group.top1_percent,
            color=palette[str(extra)],
            label=f"extra data: {extra}",
            zorder=3,
        )
    for paper in papers.itertuples():
        offset = LABEL_OFFSETS.get(str(paper.method), RIGHT)
        alignment = "left"
        if offset[0] < 0:
            alignment = "right"
        axis.annotate(
            str(paper.method),
            (paper.published, paper.top1_percent),
            xytext=offset,
            textcoords="offset points",
            ha=alignment,
            fontsize=6.5,
        )
    record = papers[papers.record == "yes"].sort_values(["published", "top1_percent"])
    axis.plot(record.published, record.top1_percent, color="#bbbbbb", linewidth=1, zorder=1)
    for number, (name, top1) in enumerate(marks.items()):
        axis.axhline(
            top1,
            color=mark_colors[number % len(mark_colors)],
            linestyle="--",
            linewidth=1.2,
            label=f"{name}: {top1:.2f} %",
        )
    axis.set(xlabel="published", ylabel="CIFAR-100 top-1 (%)")
    axis.margins(x=0.12)
    figure.legend(fontsize=7.5, loc="outside lower center", ncols=2, frameon=False)
    return figure
