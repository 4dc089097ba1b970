"""Tables of training curves: the published and ours, where they end and how they over-fit."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..config import IMAGE_SIZES
from ..experiments.record import Run
from ..published.read import published_backbones, published_curve

Runs = Mapping[str, Run | None]  # by name; None is open
PAIR = ["image_size", "backbone", "whose", "first", "second"]
# columns of against_published
BESIDE = (
    "公布 published, last",
    "公布 published, best",
    "我們 ours, last",
    "我們 ours, best",
    "差 best, points",
)


def distance_to_published(run: Run) -> dict[str, float]:
    """Return how far a run's accuracies lie from the published curve of its cell.

    "valid" and "train": the root of the mean square over the epochs that both have, in points.
    """
    experiment = run.experiment
    published = published_curve(experiment.backbone, experiment.image_size, experiment.init)
    ours = run.history.set_index("epoch")
    distances = {}
    for part in ("valid", "train"):
        difference = 100 * (ours[f"{part}_accuracy"] - published[f"{part}_accuracy"])
        distances[part] = float(np.sqrt(np.square(difference.dropna()).mean()))
    return distances


def against_published(
    image_size: int,
    init: str,
    runs: Runs,
) -> pd.DataFrame:
    """Return validation accuracy beside the published: the last and the best epoch, a row a name.

    runs: name to run, or None where ours is open; the four published backbones come first. The
    difference is ours - published at their best, in points. A run of another budget than the
    write-up's says its own; † where Run.is_held_back.
    """
    rows = {}
    for name in dict.fromkeys([*published_backbones(), *runs]):
        theirs = published_curve(name, image_size, init).valid_accuracy
        run = runs.get(name)
        row = dict.fromkeys(BESIDE, "")
        row["公布 published, last"] = "–"
        if not theirs.empty:
            row["公布 published, last"] = f"{theirs.iloc[-1]:.1%}"
            row["公布 published, best"] = f"{theirs.max():.1%}"
        row["我們 ours, last"] = "open"
        if run:
            ours = run.history.valid_accuracy
            row["我們 ours, last"] = f"{ours.iloc[-1]:.1%}{_footnote(run)}"
            row["我們 ours, best"] = f"{ours.max():.1%}"
            if not theirs.empty and run.experiment.budget == "writeup":
                row["差 best, points"] = f"{100 * (ours.max() - theirs.max()):+.1f}"
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _footnote(run: Run) -> str:
    """Return what must stand behind a run's number: its budget, or † for its weights' scale."""
    if run.experiment.budget != "writeup":
        return f" ({run.experiment.budget})"
    if run.is_held_back:
        return " †"
    return ""


def distance_table(runs: Mapping[str, Run | None]) -> pd.DataFrame:
    """Return how runs begin and end, and how far they lie from their published curve.

    runs: label to a run, or None (left out). Accuracies after the first and the last epoch, and
    the root mean square over the epochs, in points: see distance_to_published.
    """
    rows = {}
    for label, run in runs.items():
        if run is None:
            continue
        distance = distance_to_published(run)
        history = run.history
        rows[label] = {
            "第 1 輪驗證 valid, first": f"{history.valid_accuracy.iloc[0]:.1%}",
            "最後驗證 valid, last": f"{history.valid_accuracy.iloc[-1]:.1%}",
            "最後訓練 train, last": f"{history.train_accuracy.iloc[-1]:.1%}",
            "距離：驗證 RMS, valid": f"{distance['valid']:.1f}",
            "訓練 RMS, train": f"{distance['train']:.1f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def finetuning_table() -> pd.DataFrame:
    """Return what the published fine-tuning curves say of speed and over-fitting.

    A row a backbone, two columns a size: the share of the last validation accuracy that is there
    after two epochs, and the last gap, train - valid in points.
    """
    rows = {}
    for name in published_backbones():
        row = {}
        for image_size in IMAGE_SIZES:
            curve = published_curve(name, image_size, "imagenet")
            share = curve.valid_accuracy[2] / curve.valid_accuracy.iloc[-1]
            row[f"{image_size} px: 第 2 輪 at 2"] = f"{share:.0%}"
            row[f"{image_size} px: 差距 gap"] = f"{overfitting(curve)['gap']:+.1f}"
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def overfitting(history: pd.DataFrame) -> dict[str, float]:
    """Return what a curve says of over-fitting, by its validation loss (nats) and accuracies.

    history: rows an epoch with the columns of Run.history or published_curves. "epoch": where
    validation loss was lowest; "rise": the last minus the lowest; "train", "valid": the last
    accuracies, fractions; "gap": train - valid, points.
    """
    loss = history.valid_loss.to_numpy()  # empty (NaN) where a published line leaves its panel
    lowest = int(np.nanargmin(loss))
    train = float(history.train_accuracy.iloc[-1])
    valid = float(history.valid_accuracy.iloc[-1])
    return {
        "epoch": lowest + 1,
        "rise": float(loss[-1] - loss[lowest]),
        "train": train,
        "valid": valid,
        "gap": 100 * (train - valid),
    }


def overfitting_table(runs_by_size: Mapping[int, Runs]) -> pd.DataFrame:
    """Return where validation loss was lowest and the last gap, from scratch: published (ours).

    A row a published backbone, two columns a size: the epoch, and train - valid accuracy in points.
    """
    rows = {}
    for name in published_backbones():
        row = {}
        for image_size, runs in runs_by_size.items():
            theirs = overfitting(published_curve(name, image_size, "scratch"))
            epoch = f"{theirs['epoch']}"
            gap = f"{theirs['gap']:.1f}"
            run = runs.get(name)
            if run:
                ours = overfitting(run.history)
                epoch += f" ({ours['epoch']})"
                gap += f" ({ours['gap']:.1f})"
            row[f"{image_size} px: 輪 epoch"] = epoch
            row[f"{image_size} px: 差距 gap"] = gap
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def pairs_of_ends(runs_by_size: Mapping[int, Runs]) -> pd.DataFrame:
    """Return training (first) and validation accuracy (second) after the last epoch from scratch.

    For plots.pairs_figure: image_size, backbone, whose, first, second (fractions).
    """
    rows = []
    for image_size, runs in runs_by_size.items():
        for name in published_backbones():
            theirs = overfitting(published_curve(name, image_size, "scratch"))
            rows.append([image_size, name, "published", theirs["train"], theirs["valid"]])
            run = runs.get(name)
            if run:
                ours = overfitting(run.history)
                rows.append([image_size, name, "ours", ours["train"], ours["valid"]])
    return pd.DataFrame(rows, columns=PAIR)


def pairs_of_starts(
    scratch: Mapping[int, Runs],
    tuned: Mapping[int, Runs],
) -> pd.DataFrame:
    """Return the best validation accuracy from scratch (first) and fine-tuned (second).

    For plots.pairs_figure. Ours only where both are recorded and neither Run.is_held_back.
    """
    rows = []
    for image_size in IMAGE_SIZES:
        for name in published_backbones():
            ends = [_best_published(name, image_size, init) for init in ("scratch", "imagenet")]
            rows.append([image_size, name, "published", *ends])
            before = scratch[image_size].get(name)
            after = tuned[image_size].get(name)
            if before and after and not after.is_held_back:
                ends = [run.history.valid_accuracy.max() for run in (before, after)]
                rows.append([image_size, name, "ours", *ends])
    return pd.DataFrame(rows, columns=PAIR)


def _best_published(name: str, image_size: int, init: str) -> float:
    return float(published_curve(name, image_size, init).valid_accuracy.max())
