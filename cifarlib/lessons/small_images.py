"""What 06 shows: what each of several changes does, beside one baseline."""

from collections.abc import Iterable, Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..evaluation.metrics import mcnemar, wilson_interval
from ..experiments.labels import COLORS, SPARE_COLORS
from ..experiments.record import Run
from ..published.read import measured_speeds, published_table
from .curves import overfitting
from .figures import WIDTH, marked, p_in_words, percent_axis, picture_grid, use_style

__all__ = [  # what the notebook uses
    "COLORS",
    "WIDTH",
    "fit_table",
    "gains_figure",
    "measured_speeds",
    "percent_axis",
    "picture_grid",
    "published_table",
    "trial_curves",
    "trial_table",
    "trials_figure",
    "use_style",
]

# columns of trial_table
TRIAL = (
    "訓練 train, last",
    "驗證 valid, best",
    "測試 test",
    "95% 區間 interval",
    "差 points",
    "p",
)
# columns of fit_table
FIT = (
    "訓練 train, last",
    "驗證 valid, last",
    "差 points",
    "最低 lowest loss, epoch",
    "回升 rise, nats",
)
LINES = ("-", "--", ":")


def trial_table(trials: Mapping[str, Run | None]) -> pd.DataFrame:
    """Return a row a trial, the baseline first: accuracies, and how far its test is from the first.

    trials: name to run, or None where none is recorded ("open"). The interval is Wilson's; p is
    McNemar's, on the same test pictures as the baseline's.
    """
    base = next(iter(trials.values()))
    rows = {}
    for name, run in trials.items():
        row = dict.fromkeys(TRIAL, "")
        row["測試 test"] = "open"
        if run:
            correct = run.correct()
            low, high = wilson_interval(int(correct.sum()), len(correct))
            row["訓練 train, last"] = f"{run.history.train_accuracy.iloc[-1]:.1%}"
            row["驗證 valid, best"] = f"{run.history.valid_accuracy.max():.1%}"
            row["測試 test"] = f"{run.test['accuracy']:.1%}"
            row["95% 區間 interval"] = f"{low:.1%} – {high:.1%}"
        if run and base and run is not base:
            row["差 points"] = f"{points_over(run, base):+.1f}"
            row["p"] = p_in_words(mcnemar(run.correct(), base.correct()))
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def points_over(run: Run, base: Run) -> float:
    """Return how much better a run's test accuracy is than another's, in points."""
    return 100 * (run.test["accuracy"] - base.test["accuracy"])


def trials_figure(
    trials: Mapping[str, Run | None],
    *,
    reference: tuple[str, float] | None = None,
    title: str = "",
) -> Figure:
    """Draw each trial's validation accuracy by epoch, and its test accuracy as a bar beside it.

    trials: name to run, the baseline first; what is not recorded is left out. reference: name and
    test accuracy (a fraction) of what all are measured by, a dashed line across the bars.
    """
    figure, (curves, bars) = plt.subplots(
        1,
        2,
        figsize=(WIDTH, 3.3),
        width_ratios=[1, 1.1],
        layout="constrained",
    )
    for name, run in trials.items():
        if run is None:
            continue
        color = _color(name, trials)
        accuracy = run.test["accuracy"]
        curves.plot(run.history.epoch, run.history.valid_accuracy, color=color)
        drawn = bars.barh(marked(name, run), accuracy, color=color)
        label = bars.bar_label(drawn, [f"{accuracy:.1%}"], padding=3, fontsize=8)[0]
        # the dashed line must not run through a number
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
    if reference:
        name, accuracy = reference
        bars.axvline(accuracy, color="black", linestyle="--", linewidth=1, label=name)
        figure.legend(loc="outside lower center", frameon=False, fontsize=8)
    curves.set(
        title="validation (colours of the bars)", xlabel="epoch", ylabel="accuracy", ylim=(0, None)
    )
    curves.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    percent_axis(curves.yaxis)
    bars.set(title="test", xlabel="accuracy", xlim=(0, 0.9))
    bars.invert_yaxis()
    bars.grid(axis="y", visible=False)
    percent_axis(bars.xaxis)
    figure.suptitle(title, fontsize=11)
    return figure


def _color(name: str, trials: Mapping[str, Run | None]) -> str:
    """Return a trial's colour: the first has ResNet18's, the others spare ones in order."""
    place = list(trials).index(name)
    if place == 0:
        return COLORS["ResNet18"]
    return SPARE_COLORS[(place - 1) % len(SPARE_COLORS)]


def trial_curves(trials: Mapping[str, Run | None], *, title: str = "") -> Figure:
    """Draw training beside validation accuracy by epoch, a line style a trial, all in one colour.

    trials: name to run, up to three; what is not recorded is left out.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.3), sharey=True, layout="constrained")
    for axis, part in zip(axes, ("train", "valid"), strict=True):
        for (name, run), line in zip(trials.items(), LINES, strict=False):
            if run is None:
                continue
            axis.plot(
                run.history.epoch,
                run.history[f"{part}_accuracy"],
                color=COLORS["ResNet18"],
                linestyle=line,
                label=marked(name, run),
            )
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes[0].set(title="training", ylabel="accuracy", ylim=(0, 1.02))
    axes[1].set_title("validation")
    percent_axis(axes[0].yaxis)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(title, fontsize=11)
    return figure


def fit_table(trials: Mapping[str, Run | None]) -> pd.DataFrame:
    """Return a row a trial: how training and validation end, and what the validation loss did.

    trials: name to run, or None where none is recorded ("open"). See overfitting.
    """
    rows = {}
    for name, run in trials.items():
        row = dict.fromkeys(FIT, "")
        row["驗證 valid, last"] = "open"
        if run:
            told = overfitting(run.history)
            row["訓練 train, last"] = f"{told['train']:.1%}"
            row["驗證 valid, last"] = f"{told['valid']:.1%}"
            row["差 points"] = f"{told['gap']:.1f}"
            row["最低 lowest loss, epoch"] = f"{told['epoch']:.0f}"
            row["回升 rise, nats"] = f"{told['rise']:.2f}"
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def gains_figure(
    trials: Mapping[str, Mapping[str, Run | None]],
    *,
    title: str = "",
) -> Figure:
    """Draw what each change gains on test at two budgets, in points over each one's baseline.

    trials: budget to (name to run), the baseline first, the same names in both. Where two lines
    cross, the budgets rank the two changes otherwise.
    """
    budgets = list(trials)
    names = list(trials[budgets[0]])
    figure, axis = plt.subplots(figsize=(WIDTH * 0.75, 3.8), layout="constrained")
    for name in names[1:]:
        gains = _gains(name, trials.values())
        if not gains:
            continue
        color = _color(name, trials[budgets[0]])
        axis.plot(range(len(budgets)), gains, marker="o", color=color)
        axis.annotate(
            f"{gains[0]:+.1f}",
            (0, gains[0]),
            (-8, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
            color=color,
        )
        axis.annotate(
            f"{gains[-1]:+.1f}  {name}",
            (len(budgets) - 1, gains[-1]),
            (8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=color,
        )
    axis.axhline(0, color="black", linewidth=0.8)
    axis.margins(y=0.12)
    axis.set_xticks(range(len(budgets)), budgets)
    axis.set(xlim=(-0.35, len(budgets) - 0.2), ylabel="over the baseline, test (points)")
    axis.grid(axis="x", visible=False)
    figure.suptitle(title, fontsize=11)
    return figure


def _gains(name: str, budgets: Iterable[Mapping[str, Run | None]]) -> list[float]:
    """Return a trial's points over the first at each budget; [] where one is not recorded."""
    gains = []
    for trials in budgets:
        base = next(iter(trials.values()))
        run = trials[name]
        if run is None or base is None:
            return []
        gains.append(points_over(run, base))
    return gains
