"""Tables: the write-up's published numbers and the literature's as data, and ours beside them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..config import BACKBONES, IMAGE_SIZES
from ..runs.record import Run
from ..runs.store import largest_run
from ..utils.files import PACKAGE

TABLES = PACKAGE / "published" / "tables"

# our table's parts: init, measure in Run.test, column of the published table
KINDS = {
    "scratch": ("scratch", "accuracy", "accuracy_scratch"),
    "fine-tuned": ("imagenet", "accuracy", "accuracy_pretrained"),
    "fine-tuned + TTA": ("imagenet", "tta_accuracy", "accuracy_pretrained_tta3"),
}


def published_table() -> pd.DataFrame:
    """Return the write-up's test accuracies, a row a size and backbone, as fractions.

    Columns: image_size, backbone, accuracy_scratch, accuracy_pretrained, accuracy_pretrained_tta3.
    """
    return pd.read_csv(TABLES / "test_accuracy.csv")


def literature() -> pd.DataFrame:
    """Return CIFAR-100 results of 2013-2020, a row a paper.

    Columns: published (date), method, top1_percent, extra_data, record, reference.
    """
    return pd.read_csv(TABLES / "literature.csv", keep_default_na=False, parse_dates=["published"])


def measured_speeds() -> pd.DataFrame:
    """Return the training speed of `benchmark`'s whole loop, a row a backbone, size and stem.

    Columns: backbone, image_size (px), stem, images_per_second, device.
    """
    return pd.read_csv(TABLES / "speed.csv")


def measured_batch_norm() -> pd.DataFrame:
    """Return what other BatchNorm statistics make of trained nets (scripts/batch_norm.py).

    Columns: run, statistics, valid_loss (nats), valid_accuracy (a fraction).
    """
    return pd.read_csv(TABLES / "batch_norm.csv")


def summary(runs: Mapping[str, Run | None]) -> pd.DataFrame:
    """Return the rounded numbers behind the curves, a row a backbone; no test score.

    Columns: the budget, the last epoch's losses (nats) and accuracies, the best validation
    accuracy and its epoch, minutes; the pictures, where one run's are not CIFAR-100's.
    """
    rows = [_summary_row(run) for run in runs.values()]
    table = pd.DataFrame(rows, index=pd.Index(runs, name="backbone")).fillna("")
    marks = [run.data_mark if run else "" for run in runs.values()]
    if any(marks):
        table["pictures"] = [mark or "CIFAR-100" for mark in marks]
    return table


def _summary_row(run: Run | None) -> dict[str, str]:
    if run is None:
        return {"budget": "open"}
    last = run.history.iloc[-1]
    return {
        "budget": run.experiment.budget,
        "epochs": str(len(run.history)),
        "train_loss": f"{last.train_loss:.2f}",
        "valid_loss": f"{last.valid_loss:.2f}",
        "train_accuracy": f"{last.train_accuracy:.1%}",
        "valid_accuracy": f"{last.valid_accuracy:.1%}",
        "best_valid": f"{run.history.valid_accuracy.max():.1%}",
        "best_epoch": str(run.best_epoch),
        "minutes": f"{run.history.seconds.sum() / 60:.1f}",
    }


def comparison() -> pd.DataFrame:
    """Return the write-up's test table with ours beside it: a row for each size and backbone.

    Columns: KINDS × (ours, budget, published), in %; "open" where no run is recorded, "–" where
    none was published. Ours are on CIFAR-100, as the published are.
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
    return [f"{run.test[measure]:.1%}", run.experiment.budget]


def _published_in_words(accuracy: float) -> str:
    if np.isnan(accuracy):
        return "–"
    return f"{accuracy:.1%}"
