"""The table of recorded runs, and how one is chosen from it."""

import contextlib
from collections.abc import Iterable
from dataclasses import asdict
from numbers import Real
from typing import Any

import pandas as pd

from ..experiments.record import Run
from ..utils.errors import unknown

# plain facts of how a run was made, by which it can be chosen
TOLD = ("device", "seconds", "seconds_valid", "system", "started", "peak_memory_gb")


def runs_table(runs: Iterable[Run]) -> pd.DataFrame:
    """Return recorded runs, a row each.

    Columns: run (its id), epochs, valid (the best), accuracy, top5, tta_accuracy (fractions),
    engine, precision and data ("unknown" where a record does not say).
    """
    rows = []
    for run in runs:
        rows.append(
            {
                "run": run.id,
                "epochs": len(run.history),
                "valid": run.history.valid_accuracy.max(),
                "accuracy": run.test["accuracy"],
                "top5": run.test["top5"],
                "tta_accuracy": run.test["tta_accuracy"],
                "engine": run.told("engine"),
                "precision": run.told("precision"),
                "data": run.provenance["data"]["name"],
            }
        )
    return pd.DataFrame(rows)


def chosen_runs(
    runs: Iterable[Run],
    *,
    wanted: Iterable[str] = (),
    sort: str | None = None,
) -> list[Run]:
    """Return the runs of which all that is `wanted` holds, in the order of one of their columns.

    wanted: "backbone=ResNet18", say: a field of the experiment, a column of runs_table or another
    fact that Run.told knows, and its value. sort: one of these too; numbers come largest first.
    Raises ValueError for a name that there is not, or a value that no run has.
    """
    described = [(run, _described(run)) for run in runs]
    if not described:
        return []
    names = sorted({name for _, facts in described for name in facts})
    for wish in wanted:
        name, equals, value = wish.partition("=")
        if not equals:
            raise ValueError(f"got filter {wish!r}, expected name=value, such as backbone=ResNet18")
        if name not in names:
            raise unknown("filter", name, names)
        chosen = [(run, facts) for run, facts in described if _is(facts.get(name), value)]
        if not chosen:
            raise unknown(name, value, sorted({str(facts.get(name)) for _, facts in described}))
        described = chosen
    if sort is not None:
        if sort not in names:
            raise unknown("column", sort, names)
        described.sort(key=lambda one: _place(one[1].get(sort)))
    return [run for run, _ in described]


def _described(run: Run) -> dict[str, Any]:
    """Return what runs can be chosen by: plain values by name."""
    facts = asdict(run.experiment) | {"lr": run.experiment.learning_rate, "format": run.format}
    facts |= {name: run.told(name) for name in TOLD}
    row = runs_table([run]).iloc[0]
    return facts | {str(name): value for name, value in row.items()}


def _is(value: Any, text: str) -> bool:
    """Return whether a value is what a text names: "1e-3" is 0.001."""
    if isinstance(value, Real) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            return float(text) == value
    return str(value) == text


def _place(value: Any) -> tuple:
    """Return a key that puts numbers first, the largest before others, then words by the letter."""
    if isinstance(value, Real):
        return (0, -value, "")
    return (1, 0, str(value))
