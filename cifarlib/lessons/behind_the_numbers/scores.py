"""Tables for whoever doubts: how sure the numbers are, and what they rest on."""

from collections.abc import Iterable
from itertools import combinations
from math import sqrt

import numpy as np
import pandas as pd

from ...evaluation.metrics import mcnemar, wilson_interval
from ...experiments.labels import STARTS, cell_label, run_label
from ...experiments.record import Run
from ...experiments.store import find_published_run, load_runs
from ...published.read import measured_batch_norm

SURE = 1.96  # standard deviations on either side that hold 95% of a normal distribution


def _table(runs: Iterable[Run], rows: list[dict]) -> pd.DataFrame:
    """Return a row a run under its name, with its backbone, the best on test first."""
    facts = []
    for run, row in zip(runs, rows, strict=True):
        facts.append({"backbone": run.experiment.backbone, "test": run.test["accuracy"]} | row)
    table = pd.DataFrame(facts, index=[run_label(run) for run in runs])
    return table.sort_values("test", ascending=False, kind="stable")


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


# --- what seeing a test picture's twin is worth ---------------------------------------------------


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
    """Say whether a run is the comparison's own way."""
    return run.experiment.recipe == run.experiment.policy == "writeup" and (
        run.experiment.stem == "imagenet"
    )


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


# --- how they were made ---------------------------------------------------------------------------


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
