"""Where a net fails: families seen closely, how sure it is, and what it says of one picture."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...data.facts import CLASSES, SUPERCLASSES
from ...experiments.labels import look
from ..figures import WIDTH, percent_axis

ELSEWHERE = "elsewhere"
TITLE_LETTERS = 36  # of a line above a panel of top5_chart
LINES = ("-", "--", ":", "-.")  # of runs that share a colour
DARKEST = 25  # % of a class at which the colour ends


def families_figure(
    labels: np.ndarray,
    predicted: np.ndarray,
    families: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Draw who is taken for whom within superclasses, a panel each, as shares of each true class.

    labels, predicted: class numbers (N,). The last column of a panel is all that is taken for a
    class of another family; that, and what is right, is written but not coloured.
    """
    rows = -(-len(families) // 2)
    figure, axes = plt.subplots(
        rows,
        2,
        figsize=(WIDTH, 3.3 * rows),
        layout="constrained",
        squeeze=False,
    )
    for axis in axes.flat[len(families) :]:
        axis.set_visible(False)
    for axis, family in zip(axes.flat, families, strict=False):
        _draw_family(axis, labels, predicted, SUPERCLASSES[family])
        axis.set_title(family.replace("_", " "))
    figure.supxlabel("predicted", fontsize=9)
    figure.supylabel("true", fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def _draw_family(axis: Axes, labels: np.ndarray, predicted: np.ndarray, names: list[str]) -> None:
    shares = family_shares(labels, predicted, names)
    n = len(names)
    plain = np.eye(n, n + 1, dtype=bool)
    plain[:, -1] = True
    words = [name.replace("_", " ") for name in names]
    # drawn twice: the mistakes within the family with their colours, all else without
    for mask, colors in ((plain, "rocket_r"), (~plain, ["#eeeeee"])):
        sns.heatmap(
            shares,
            mask=mask,
            ax=axis,
            cmap=colors,
            vmin=0,
            vmax=DARKEST,
            annot=True,
            fmt=".0f",
            annot_kws={"fontsize": 8},
            xticklabels=[*words, ELSEWHERE],
            yticklabels=words,
            linewidths=0.5,
            cbar=False,
        )
    axis.axvline(n, color="black", linewidth=1)
    axis.tick_params(axis="x", labelsize=7.5, rotation=25)
    axis.tick_params(axis="y", labelsize=7.5, rotation=0)


def family_shares(labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return for C classes where each one's pictures go, in %: (C, C + 1), the last elsewhere."""
    numbers = [CLASSES.index(name) for name in names]
    shares = np.zeros((len(names), len(names) + 1))
    for row, number in enumerate(numbers):
        said = predicted[labels == number]
        for column, other in enumerate(numbers):
            shares[row, column] = np.sum(said == other)
        shares[row, -1] = len(said) - shares[row].sum()
        shares[row] *= 100 / max(len(said), 1)
    return shares


def calibration_figure(
    answers: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    backbone: str,
    bins: int = 10,
    title: str = "",
) -> Figure:
    """Draw the share that is right against confidence, a line a run (a reliability diagram).

    answers: name to (right or not, bool (N,); probability of the predicted class (N,)). A point is
    one of `bins` equal parts of 0-1, as large as it holds pictures; parts of under 20 are left out.
    backbone: of all the runs, whose colour they have; their lines differ.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 4.2), layout="constrained")
    axis.plot([0, 1], [0, 1], color="#888888", linestyle="-", linewidth=1, label="as sure as right")
    color = look(backbone)["color"]
    for line, (name, (correct, confidence)) in zip(LINES, answers.items(), strict=False):
        place = np.minimum((confidence * bins).astype(int), bins - 1)
        counts = np.bincount(place, minlength=bins)
        kept = counts >= 20
        sure = np.bincount(place, confidence, bins)[kept] / counts[kept]
        right = np.bincount(place, correct, bins)[kept] / counts[kept]
        label = f"{name}: {np.mean(confidence):.0%} sure, {np.mean(correct):.0%} right"
        axis.plot(sure, right, line, color=color, linewidth=1.6, label=label)
        axis.scatter(sure, right, s=counts[kept] / counts.sum() * 600, color=color)
    axis.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    percent_axis(axis.xaxis)
    percent_axis(axis.yaxis)
    figure.legend(loc="outside lower center", frameon=False, fontsize=8)
    axis.set_title(title)
    return figure


def evidence_figure(
    pictures: np.ndarray,
    rows: Mapping[str, np.ndarray],
    titles: Sequence[str],
) -> Figure:
    """Show pictures (N, H, W, 3) and below each where a net finds evidence, a row a question.

    rows: what is asked, to maps (N, S, S) from 0 to 1; the brighter a place, the more it speaks for
    the class. titles: one a picture.
    """
    n = len(pictures)
    figure, axes = plt.subplots(
        1 + len(rows),
        n,
        figsize=(WIDTH, 0.35 + WIDTH / n * (1 + len(rows))),
        layout="constrained",
        squeeze=False,
    )
    height, width = pictures.shape[1:3]
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for column, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        axes[0, column].imshow(picture, interpolation="nearest")
        axes[0, column].set_title(title, fontsize=7.5)
        for row, maps in enumerate(rows.values(), start=1):
            grey = picture.mean(axis=-1)
            axes[row, column].imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes[row, column].imshow(
                maps[column],
                cmap="inferno",
                vmin=0,
                vmax=1,
                alpha=0.6,
                extent=(-0.5, width - 0.5, height - 0.5, -0.5),
            )
    for row, question in enumerate(["picture", *rows]):
        axes[row, 0].set_ylabel(question, fontsize=8)
    return figure


def top5_chart(
    picture: np.ndarray,
    guesses: Mapping[str, tuple[Sequence[str], np.ndarray]],
    *,
    title: str = "",
) -> Figure:
    """Show a picture (H, W, 3), and beside it the five likeliest classes that each run names.

    guesses: name to (classes, probabilities), the likeliest first.
    """
    figure, axes = plt.subplots(
        1,
        1 + len(guesses),
        figsize=(WIDTH, 2.1),
        width_ratios=[0.8] + [1.0] * len(guesses),
        layout="constrained",
    )
    axes[0].imshow(picture, interpolation="nearest")
    axes[0].set_axis_off()
    for axis, (name, (classes, probabilities)) in zip(axes[1:], guesses.items(), strict=True):
        drawn = axis.barh(range(len(classes)), probabilities, color="#636363")
        axis.bar_label(drawn, [f"{share:.0%}" for share in probabilities], padding=2, fontsize=7)
        words = [word.replace("_", " ") for word in classes]
        axis.set_yticks(range(len(classes)), words, fontsize=8)
        axis.set_title(textwrap.fill(name, TITLE_LETTERS, break_on_hyphens=False), fontsize=8)
        axis.set(xlim=(0, 1.12), xlabel="probability")
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="x", labelsize=7)
        percent_axis(axis.xaxis)
    figure.suptitle(title, fontsize=9)
    return figure
