"""Tables of our runs, and of the published numbers beside them."""

import contextlib
from collections.abc import Iterable
from dataclasses import asdict
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from ..config import BACKBONES, IMAGE_SIZES
from ..runs.record import Run
from ..runs.store import largest_run
from ..utils.errors import unknown
from .published import published_table

# plain facts of how a run was made, by which it can be chosen
TOLD = ("device", "seconds", "seconds_valid", "system", "started", "peak_memory_gb")

# our table's parts: init, measure in Run.test, column of the published table
KINDS = {
    "scratch": ("scratch", "accuracy", "accuracy_scratch"),
    "fine-tuned": ("imagenet", "accuracy", "accuracy_pretrained"),
    "fine-tuned + TTA": ("imagenet", "tta_accuracy", "accuracy_pretrained_tta3"),
}


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
    """Say whether a value is what a text names: "1e-3" is 0.001."""
    if isinstance(value, Real) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            return float(text) == value
    return str(value) == text


def _place(value: Any) -> tuple:
    """Return a key that puts numbers first, the largest before others, then words by the letter."""
    if isinstance(value, Real):
        return (0, -value, "")
    return (1, 0, str(value))


def comparison() -> pd.DataFrame:
    """Return the write-up's test table with ours beside it: a row for each size and backbone.

    Columns: KINDS × (ours, budget, published), in %; "open" where no run is recorded, "–" where
    none was published; † where Run.is_held_back. Ours are on CIFAR-100, as the published are.
    """
    published = published_table().set_index(["image_size", "backbone"])
    cells = pd.MultiIndex.from_product([IMAGE_SIZES, BACKBONES], names=published.index.names)
    rows = []
    for image_size, backbone in cells:
        row = []
        for init, measure, column in KINDS.values():
            run = largest_run(backbone, image_size, init, cifar100=True)
            theirs = published[column].get((image_size, backbone), np.nan)
            row += [*_ours_in_words(run, measure), _published_in_words(theirs)]
        rows.append(row)
    columns = pd.MultiIndex.from_product([KINDS, ("ours", "budget", "published")])
    return pd.DataFrame(rows, cells, columns)


def _ours_in_words(run: Run | None, measure: str) -> list[str]:
    """Return a run's accuracy and its budget."""
    if run is None:
        return ["open", ""]
    budget = run.experiment.budget
    if run.is_held_back:
        budget += " †"
    return [f"{run.test[measure]:.1%}", budget]


def _published_in_words(accuracy: float) -> str:
    if np.isnan(accuracy):
        return "–"
    return f"{accuracy:.1%}"
