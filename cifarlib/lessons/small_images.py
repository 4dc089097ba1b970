"""Tables of trials: what each of several changes does, beside one baseline."""

from collections.abc import Mapping

import pandas as pd

from ..evaluation.metrics import mcnemar, wilson_interval
from ..experiments.labels import p_in_words
from ..experiments.record import Run
from ..report.curve_tables import overfitting

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
