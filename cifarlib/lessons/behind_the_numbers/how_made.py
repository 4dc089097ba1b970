"""How the runs were made: on which machines, and which statistics BatchNorm used."""

from collections.abc import Iterable

import pandas as pd

from ...experiments.labels import STARTS, run_label
from ...experiments.record import Run
from ...experiments.store import find_published_run
from ...published.read import measured_batch_norm


def batch_norm_table() -> pd.DataFrame:
    """Return validation loss (accuracy) of trained nets by the statistics that BatchNorm used.

    A row a net, a column a kind of statistics, "–" where it was not measured: see
    measured_batch_norm.
    """
    measured = measured_batch_norm()
    cells = []
    for row in measured.itertuples():
        cells.append(f"{row.valid_loss:.2f} ({row.valid_accuracy:.1%})")
    table = measured.assign(cell=cells).pivot(index="run", columns="statistics", values="cell")
    table = table.loc[measured.run.unique(), measured.statistics.unique()].fillna("–")
    names = []
    for run_id in table.index:
        run = find_published_run(run_id)
        names.append(run_label(run) if run else run_id)
    return table.set_axis(names).rename_axis(columns=None)


def machines(runs: Iterable[Run]) -> pd.DataFrame:
    """Return where and how precisely runs were calculated, a row a way, the commonest first.

    Columns: device, precision, runs (how many), which (their sizes and starts), seconds (whether
    they mean anything: "no", or "unknown" where a record does not say).
    """
    ways: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        kind = str(run.told("device")).partition(":")[0].replace("cpu", "CPU")
        ways.setdefault((kind, run.told("precision")), []).append(run)
    rows = []
    for (device, precision), made in sorted(ways.items(), key=lambda way: -len(way[1])):
        cells = []
        for run in made:
            cells.append(f"{STARTS[run.experiment.init]} {run.experiment.image_size} px")
        rows.append(
            {
                "device": device,
                "precision": precision,
                "runs": len(made),
                "which": ", ".join(sorted(set(cells))),
                "seconds": _in_words({run.told("seconds_valid") for run in made}),
            }
        )
    return pd.DataFrame(rows)


def _in_words(told: set) -> str:
    """Return whether seconds mean anything, of runs that say it each."""
    words = []
    for answer, word in ((True, "yes"), (False, "no"), ("unknown", "unknown")):
        if answer in told:
            words.append(word)
    return ", ".join(words)
