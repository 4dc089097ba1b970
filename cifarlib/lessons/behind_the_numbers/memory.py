"""What having seen a test image's twin is worth."""

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...experiments.labels import cell_label, look
from ...experiments.record import Run
from ...experiments.store import load_runs
from .rows import GREY, key, legend, rows_of


def part_and_whole() -> list[tuple[Run, Run]]:
    """Return the cells that were run twice: (on 10,000 training pictures, on all 40,000)."""
    whole = {_cell(run): run for run in load_runs(budget="writeup")}
    pairs = []
    for run in load_runs(budget="quick"):
        if _is_plain(run) and _cell(run) in whole:
            pairs.append((run, whole[_cell(run)]))
    return pairs


def _cell(run: Run) -> tuple:
    """Return what an experiment asks for but its budget."""
    asked = run.experiment
    how = (asked.recipe, asked.policy, asked.stem, asked.lr, asked.seed)
    return (asked.backbone, asked.image_size, asked.init, *how)


def _is_plain(run: Run) -> bool:
    """Return whether a run is the comparison's own way."""
    return run.experiment.recipe == run.experiment.policy == "writeup" and (
        run.experiment.stem == "imagenet"
    )


def memory_effects(
    pairs: Iterable[tuple[Run, Run]],
    seen: np.ndarray,
    unseen: np.ndarray,
) -> pd.DataFrame:
    """Return memory_effect of each (run, control), a row a cell, the most left over first."""
    rows = {}
    for run, control in pairs:
        effect = memory_effect(run, control, seen, unseen)
        asked = run.experiment
        name = cell_label(asked.backbone, asked.image_size, asked.init)
        rows[name] = {"backbone": asked.backbone, **effect}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.sort_values("left_over", ascending=False, kind="stable")


def memory_effect(
    run: Run,
    control: Run,
    seen: np.ndarray,
    unseen: np.ndarray,
) -> dict[str, float]:
    """Return what having learned from a test picture's twin is worth to a run.

    seen, unseen: bool (N,), the test pictures whose twin the run did and did not learn from;
    `control` learned from both kinds or from neither, so that a difference of its own tells how
    easy they are. All in percent: seen, unseen, control_seen, control_unseen (accuracies),
    left_over (the run's difference - the control's, points) and its standard error.
    """
    alone = run.correct().astype(float)
    beside = control.correct().astype(float)
    more = alone - beside
    return {
        "seen": _percent(alone[seen]),
        "unseen": _percent(alone[unseen]),
        "control_seen": _percent(beside[seen]),
        "control_unseen": _percent(beside[unseen]),
        "left_over": _percent(more[seen]) - _percent(more[unseen]),
        "error": 100 * sqrt(_variance_of_mean(more[seen]) + _variance_of_mean(more[unseen])),
    }


def _percent(values: np.ndarray) -> float:
    if len(values) == 0:
        return float("nan")
    return 100 * float(values.mean())


def _variance_of_mean(values: np.ndarray) -> float:
    if len(values) == 0:
        return float("nan")
    return float(values.var()) / len(values)


def memory_figure(effects: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw what is left over of each cell of two tables of memory_effects, ± a standard error.

    effects: what the runs of a table are, in words; the first is drawn hollow, the second filled.
    """
    first, second = effects.values()
    figure, axis = rows_of(second)
    for table, fill, offset in ((first, "none", -0.17), (second, "full", 0.17)):
        row: Any
        for place, row in enumerate(table.loc[second.index].itertuples()):
            axis.errorbar(
                row.left_over,
                place + offset,
                xerr=row.error,
                capsize=2,
                linestyle="",
                linewidth=1.2,
                markersize=6,
                fillstyle=fill,
                **look(row.backbone),
            )
    axis.axvline(0, color=GREY, linewidth=0.8)
    axis.set_xlabel("left over for having seen the twin (points, ± one standard error)")
    handles = []
    for words, fill in zip(effects, ("none", "full"), strict=True):
        grey: dict[str, Any] = {"color": GREY, "linestyle": "", "fillstyle": fill}
        handles.append(Line2D([], [], marker="o", label=words, **grey))
    legend(figure, [*handles, *key(second)])
    return figure
