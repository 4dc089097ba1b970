"""How sure a score is: against validation, by its interval, by seeds, with other views."""

from collections.abc import Iterable
from itertools import combinations
from math import sqrt
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...evaluation.metrics import mcnemar, wilson_interval
from ...experiments.labels import look, run_label
from ...experiments.record import Run
from ...published.read import published_curve
from ..figures import WIDTH, percent_axis
from .rows import GREY, key, legend, rows_of

SURE = 1.96  # standard deviations on either side that hold 95% of a normal distribution
BAND = "#bbbbbb"


def validation_gaps(runs: Iterable[Run]) -> pd.DataFrame:
    """Return how far test lies from the best validation accuracy, a row a run.

    Columns: backbone, test, valid (fractions), gap (test - valid, points), band (points: 95% of
    the gaps are smaller where both are samples of the same pictures and nothing was picked).
    """
    runs = list(runs)
    rows = []
    for run in runs:
        counts = run.provenance["data"]["counts"]
        valid = float(run.history.valid_accuracy.max())
        test = run.test["accuracy"]
        variance = valid * (1 - valid) / counts["valid"] + test * (1 - test) / counts["test"]
        rows.append(
            {
                "valid": valid,
                "gap": 100 * (test - valid),
                "band": 100 * SURE * sqrt(variance),
            }
        )
    return _table(runs, rows)


def gaps_figure(gaps: pd.DataFrame) -> Figure:
    """Draw test - validation of each run of validation_gaps as a dot, and the 95% band behind."""
    figure, axis = rows_of(gaps)
    row: Any
    for place, row in enumerate(gaps.itertuples()):
        axis.barh(place, 2 * row.band, left=-row.band, height=0.7, color=BAND, alpha=0.45)
        axis.plot(row.gap, place, linestyle="", markersize=7, **look(row.backbone))
    axis.axvline(0, color=GREY, linewidth=0.8)
    axis.set_xlabel("test − validation accuracy (points)")
    band = Patch(color=BAND, alpha=0.45, label="95% of gaps by chance")
    legend(figure, [band, *key(gaps)])
    return figure


def score_intervals(runs: Iterable[Run]) -> pd.DataFrame:
    """Return each run's test accuracy with its 95% Wilson interval.

    Columns: backbone, test, low, high (fractions).
    """
    runs = list(runs)
    rows = []
    for run in runs:
        n_test = run.provenance["data"]["counts"]["test"]
        low, high = wilson_interval(round(run.test["accuracy"] * n_test), n_test)
        rows.append({"low": low, "high": high})
    return _table(runs, rows)


def intervals_figure(intervals: pd.DataFrame) -> Figure:
    """Draw the test accuracy of each run of score_intervals with its interval."""
    figure, axis = rows_of(intervals)
    row: Any
    for place, row in enumerate(intervals.itertuples()):
        sides = [[row.test - row.low], [row.high - row.test]]
        axis.errorbar(
            row.test,
            place,
            xerr=sides,
            capsize=3,
            linestyle="",
            markersize=4,
            **look(row.backbone),
        )
    axis.set_xlabel("test accuracy, with its 95% Wilson interval")
    percent_axis(axis.xaxis)
    legend(figure, key(intervals))
    return figure


def seed_pairs(runs: Iterable[Run]) -> pd.DataFrame:
    """Return every two of some runs of one experiment that differ in their seed alone, a row each.

    Columns: only_first, only_second (test pictures that one alone gets right), gap (first - second,
    points), p (of McNemar's test).
    """
    rows = {}
    for one, other in combinations(runs, 2):
        first, second = one.correct(), other.correct()
        rows[f"{one.experiment.seed} / {other.experiment.seed}"] = {
            "only_first": int((first & ~second).sum()),
            "only_second": int((second & ~first).sum()),
            "gap": 100 * float(first.mean() - second.mean()),
            "p": mcnemar(first, second),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def seeds_figure(runs: Iterable[Run]) -> Figure:
    """Draw validation loss and accuracy by epoch of runs that differ in their seed alone.

    The published curve of their cell is drawn too, dotted, where there is one.
    """
    runs = list(runs)
    asked = runs[0].experiment
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3), layout="constrained")
    published = published_curve(asked.backbone, asked.image_size, asked.init).reset_index()
    colors = plt.get_cmap("viridis")(np.linspace(0.1, 0.8, len(runs)))
    for axis, measure in zip(axes, ("loss", "accuracy"), strict=True):
        for run, color in zip(runs, colors, strict=True):
            axis.plot(
                run.history.epoch,
                run.history[f"valid_{measure}"],
                color=color,
                linewidth=1.1,
                label=f"ours, seed {run.experiment.seed}",
            )
        if not published.empty:
            axis.plot(
                published.epoch,
                published[f"valid_{measure}"],
                color="black",
                linewidth=0.8,
                linestyle=":",
                label="published",
            )
        axis.set_xlabel("epoch")
    axes[0].set_ylabel("validation cross entropy (nats)")
    axes[1].set_ylabel("validation accuracy")
    percent_axis(axes[1].yaxis)
    axes[1].legend(fontsize=8)
    return figure


def tta_gains(runs: Iterable[Run]) -> pd.DataFrame:
    """Return what test-time augmentation buys, a row a run.

    Columns: backbone, init, test, fixed (with the fixed views), low, middle, high (of ten rounds of
    random flips; all fractions), p (of McNemar's test between as is and the fixed views).
    """
    runs = list(runs)
    rows = []
    for run in runs:
        answers = run.predictions()
        rounds = run.test["random_tta_accuracies"]
        rows.append(
            {
                "init": run.experiment.init,
                "fixed": run.test["tta_accuracy"],
                "low": min(rounds),
                "middle": float(np.mean(rounds)),
                "high": max(rounds),
                "p": mcnemar(run.correct(), answers["tta"] == answers["labels"]),
            }
        )
    return _table(runs, rows)


def tta_figure(gains: pd.DataFrame) -> Figure:
    """Draw for each run of tta_gains what fixed views (marks) and random rounds (bars) gain."""
    figure, axis = rows_of(gains)
    row: Any
    for place, row in enumerate(gains.itertuples()):
        style = look(row.backbone)
        low, high = 100 * (row.low - row.test), 100 * (row.high - row.test)
        axis.hlines(place, low, high, color=style["color"], linewidth=6, alpha=0.4)
        gain = 100 * (row.fixed - row.test)
        axis.plot(gain, place, linestyle="", markersize=6, **style)
    axis.axvline(0, color=GREY, linewidth=0.8)
    axis.set_xlabel("gain over the picture as it is (points)")
    handles = [
        Line2D([], [], color=GREY, linewidth=6, alpha=0.4, label="ten random rounds"),
        *key(gains),
    ]
    legend(figure, handles)
    return figure


def _table(runs: Iterable[Run], rows: list[dict]) -> pd.DataFrame:
    """Return a row a run under its name, with its backbone, the best on test first."""
    facts = []
    for run, row in zip(runs, rows, strict=True):
        facts.append({"backbone": run.experiment.backbone, "test": run.test["accuracy"]} | row)
    table = pd.DataFrame(facts, index=[run_label(run) for run in runs])
    return table.sort_values("test", ascending=False, kind="stable")
