"""Records of runs: what was asked, every epoch, the test results, and how it was made."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..config import BUDGETS, RECIPES, Experiment
from ..utils.files import atomic_path, file_digest, write_json

if TYPE_CHECKING:  # reading a record must not take the seconds that torch does
    from torch import nn

FORMAT = 1
RECORD = "record.json"
PREDICTIONS = "predictions.npz"
BEST = "best.safetensors"
TOLERANCE = 1e-6  # between a recorded accuracy and that of the recorded predictions

# budgets that once named a learning rate -> (budget, learning rate) of today
OLD_BUDGETS = {
    "writeup_1e-3": ("writeup", 1e-3),
    "three_1e-3": ("three", 1e-3),
    "three_1e-4": ("three", 1e-4),
}


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, read from its record.

    history: DataFrame, a row an epoch (epoch, lr, train_loss, train_accuracy, valid_loss,
    valid_accuracy, seconds). test: accuracy, top5, tta_accuracy, tta_views, random_tta_accuracies
    (fractions). provenance: data, weights, device, precision, versions, seconds. path: its JSON
    file.
    """

    experiment: Experiment
    history: pd.DataFrame  # a row an epoch: see HISTORY in training/trainer.py
    test: dict[str, Any]  # accuracies on the test split, fractions
    provenance: dict[str, Any]  # how the run was made
    path: Path  # the record's JSON file

    @property
    def published(self) -> bool:
        """Whether the record came with the package; one's own lie in a folder each."""
        return self.path.name != RECORD

    @property
    def id(self) -> str:
        """The experiment's id; on other pictures than CIFAR-100's a fingerprint follows it."""
        if self.published:
            return todays_id(self.path.stem)
        return todays_id(self.path.parent.name)

    @property
    def data_id(self) -> str:
        """Which pictures the run is about: "" for CIFAR-100, else eight hex digits."""
        return self.id.partition("@")[2]

    @property
    def data_mark(self) -> str:
        """What a figure or table must say beside the run: "", or which pictures but CIFAR-100's."""
        if self.data_id == "":
            return ""
        return self.provenance["data"]["name"]

    @property
    def predictions_path(self) -> Path:
        """The .npz file beside the record."""
        if self.published:
            return self.path.with_suffix(".npz")
        return self.path.with_name(PREDICTIONS)

    @property
    def best_epoch(self) -> int:
        """The epoch with the best validation accuracy, whose weights were tested."""
        place = int(self.history.valid_accuracy.to_numpy().argmax())
        return int(self.history.epoch.iloc[place])

    def predictions(self) -> dict[str, np.ndarray]:
        """Return the test predictions, pictures in canonical order.

        labels (N,), classes (N, 5) the five likeliest, probabilities float16 (N, 5) to three
        decimals, tta (N,).
        """
        # opened here, for numpy leaves a damaged file open
        with (
            open(self.predictions_path, "rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            return dict(arrays)

    def correct(self) -> np.ndarray:
        """Return for each test picture, bool (N,), whether the likeliest class is the true one."""
        answers = self.predictions()
        return answers["classes"][:, 0] == answers["labels"]

    def load_model(self) -> "nn.Module":
        """Return the trained model; ValueError for any but one's own runs, which keep weights."""
        from safetensors.torch import load_file

        from ..models.backbones import create_model

        path = self.path.with_name(BEST)
        if self.published or not path.exists():
            raise ValueError(
                f"{self.experiment.id} has no weights here:"
                " train it with run(experiment, retrain=True)"
            )
        model = create_model(
            self.experiment.backbone,
            self.provenance["data"]["classes"],
            stem=self.experiment.stem,
            image_size=self.experiment.image_size,
        )
        model.load_state_dict(load_file(path))
        return model.eval()


def write_record(
    folder: Path,
    experiment: Experiment,
    history: pd.DataFrame,
    *,
    test: dict[str, Any],
    provenance: dict[str, Any],
    predictions: dict[str, np.ndarray],
) -> Run:
    """Write a finished run into `folder`: predictions first, so that a record never lacks them."""
    with atomic_path(folder / PREDICTIONS) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **predictions)  # type: ignore[arg-type]
    sha256 = file_digest(folder / PREDICTIONS, hashlib.sha256)
    record = {
        "format": FORMAT,
        "experiment": asdict(experiment),
        "history": history.to_dict(orient="list"),
        "test": test,
        "provenance": provenance | {"predictions_sha256": sha256},
    }
    write_json(folder / RECORD, record | {"digest": digest_of(record)})
    return read_record(folder / RECORD)


def read_record(path: str | Path) -> Run:
    """Return the run recorded in a JSON file; ValueError for a damaged one or another format."""
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']}, expected {FORMAT}")
        return Run(
            experiment=recorded_experiment(record["experiment"]),
            history=pd.DataFrame(record["history"]),
            test=record["test"],
            provenance=record["provenance"],
            path=path,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"cannot read record {path}: {error}") from None


def digest_of(record: dict[str, Any]) -> str:
    """Return the SHA-256 (hex) of a record's content without its digest."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


# --- older names ----------------------------------------------------------------------------------


def recorded_experiment(fields: dict[str, Any]) -> Experiment:
    """Return the experiment that a record names, under today's names."""
    fields = dict(fields)
    if fields["budget"] in OLD_BUDGETS:
        fields["budget"], lr = OLD_BUDGETS[fields["budget"]]
        # a recipe with a rate of its own never took the budget's
        if RECIPES[fields.get("recipe", "writeup")].lr is None:
            fields["lr"] = lr
    # the backbone's name was checked before it was trained, and asking timm takes seconds
    return Experiment(**fields, check_backbone=False)


def todays_id(run_id: str) -> str:
    """Return a run's id under today's names: "…-writeup_1e-3" is now "…-writeup-lr_0.001"."""
    experiment_id, at, fingerprint = run_id.partition("@")
    for old_budget, (budget, lr) in OLD_BUDGETS.items():
        for init, default_lr in BUDGETS[budget].lr.items():
            old_part = f"-{init}-{old_budget}"
            if old_part in experiment_id:
                experiment_id = experiment_id.replace(old_part, f"-{init}-{budget}")
                if lr != default_lr and not _has_own_rate(experiment_id):
                    experiment_id += f"-lr_{lr}"
    return experiment_id + at + fingerprint


def _has_own_rate(experiment_id: str) -> bool:
    """Say whether an id names a recipe with a learning rate of its own."""
    for name, recipe in RECIPES.items():
        if recipe.lr is not None and f"-recipe_{name}" in experiment_id:
            return True
    return False


# --- what can be wrong with a record --------------------------------------------------------------


def check_record(path: str | Path) -> list[str]:
    """Return what is wrong with a record, as a list of lines: empty if it can be trusted."""
    try:
        run = read_record(path)
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        return [
            *_digest_problems(run, record),
            *_history_problems(run),
            *_provenance_problems(run),
            *_accuracy_problems(run),
        ]
    except Exception as error:  # json, numpy, zip and zlib raise a dozen kinds for a damaged file
        return [f"{type(error).__name__}: {error}"]


def _digest_problems(run: Run, record: dict[str, Any]) -> list[str]:
    problems = []
    stated_digest = record.pop("digest", None)
    if stated_digest != digest_of(record):
        problems.append("its digest does not fit its content: it was edited")
    sha256 = file_digest(run.predictions_path, hashlib.sha256)
    if sha256 != run.provenance["predictions_sha256"]:
        problems.append("its predictions are not those it was written with")
    return problems


def _history_problems(run: Run) -> list[str]:
    epochs = run.experiment.epochs
    if list(run.history.epoch) != list(range(1, epochs + 1)):
        return [f"its history is not {epochs} epochs"]
    return []


def _provenance_problems(run: Run) -> list[str]:
    problems = []
    data = run.provenance["data"]
    expected = BUDGETS[run.experiment.budget].pictures
    if data["cifar100"] and data["counts"] != expected:
        problems.append(f"its parts are {data['counts']}, expected {expected}")
    for key in ("versions", "seconds", "device"):
        if not run.provenance[key]:
            problems.append(f"its provenance is incomplete: no {key}")
    return problems


def _accuracy_problems(run: Run) -> list[str]:
    """Compare each recorded accuracy with the one that the recorded predictions have."""
    predictions = run.predictions()
    labels = predictions["labels"]
    hits = predictions["classes"] == labels[:, None]  # (N, 5)
    measured = {
        "accuracy": hits[:, 0].mean(),
        "top5": hits.any(axis=1).mean(),
        "tta_accuracy": (predictions["tta"] == labels).mean(),
    }
    problems = []
    for name, value in measured.items():
        if abs(value - run.test[name]) >= TOLERANCE:
            problems.append(f"its {name} is not that of its predictions")
    return problems
