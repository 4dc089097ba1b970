"""Records of runs: what was asked, every epoch, the test results, and how it was made."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file
from torch import nn

from .experiments import BUDGETS, Experiment
from .files import PACKAGE, atomic_path, file_digest, user_folder, write_json
from .models import create_model
from .trainer import HISTORY

FORMAT = 1
PUBLISHED = PACKAGE / "records"
RECORD, PREDICTIONS, BEST = "record.json", "predictions.npz", "best.safetensors"


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, read from its record.

    history: DataFrame, a row an epoch (epoch, lr, train_loss, train_accuracy, valid_loss,
    valid_accuracy, seconds). test: accuracy, top5, tta_accuracy, tta_views, random_tta_accuracies
    (fractions). provenance: data, weights, device, precision, versions, seconds. path: its JSON file.
    """

    experiment: Experiment
    history: pd.DataFrame
    test: dict[str, Any]
    provenance: dict[str, Any]
    path: Path

    @property
    def published(self) -> bool:
        """Whether the record came with the package."""
        return self.path.parent == PUBLISHED

    @property
    def id(self) -> str:
        """The experiment's id; on other pictures than CIFAR-100's with their fingerprint behind it."""
        return self.path.stem if self.published else self.path.parent.name

    @property
    def predictions_path(self) -> Path:
        """The .npz file beside the record."""
        return self.path.with_suffix(".npz") if self.published else self.path.with_name(PREDICTIONS)

    @property
    def best_epoch(self) -> int:
        """The epoch with the best validation accuracy, whose weights were tested."""
        return int(self.history.epoch[self.history.valid_accuracy.idxmax()])

    def predictions(self) -> dict[str, np.ndarray]:
        """Return the test predictions, pictures in canonical order.

        labels (N,), classes (N, 5) the five likeliest, probabilities float16 (N, 5) to three decimals, tta (N,).
        """
        with np.load(self.predictions_path, allow_pickle=False) as arrays:
            return dict(arrays)

    def load_model(self) -> nn.Module:
        """Return the trained model; only one's own runs keep their weights, others raise ValueError."""
        asked, path = self.experiment, self.path.with_name(BEST)
        if self.published or not path.exists():
            raise ValueError(f"{asked.id} has no weights here: train it with run(experiment, retrain=True)")
        classes = self.provenance["data"]["classes"]
        model = create_model(asked.backbone, classes, stem=asked.stem, image_size=asked.image_size)
        model.load_state_dict(load_file(path))
        return model.eval()


def write_record(
    folder: Path, experiment: Experiment, history: list[dict], *, test: dict, provenance: dict, predictions: dict
) -> Run:
    """Write a finished run into `folder`: predictions first, so that a record never lacks them."""
    with atomic_path(folder / PREDICTIONS) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **predictions)
    columns = {name: [row[name] for row in history] for name in HISTORY}
    record = {"format": FORMAT, "experiment": asdict(experiment), "history": columns, "test": test}
    record["provenance"] = provenance | {"predictions_sha256": file_digest(folder / PREDICTIONS, hashlib.sha256)}
    write_json(folder / RECORD, {**record, "digest": _digest(record)})
    return read_record(folder / RECORD)


def read_record(path: str | Path) -> Run:
    """Return the run recorded in a JSON file; ValueError for one that is damaged or of another format."""
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']}, expected {FORMAT}")
        history = pd.DataFrame(record["history"])
        return Run(Experiment(**record["experiment"]), history, record["test"], record["provenance"], path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"cannot read record {path}: {error}") from None


def check_record(path: str | Path) -> list[str]:
    """Return what is wrong with a record, as a list of lines: empty if it can be trusted."""
    try:
        run, record = read_record(path), json.loads(Path(path).read_text(encoding="utf-8"))
        found, made, epochs = run.predictions(), run.provenance, run.experiment.epochs
        budget, counts = BUDGETS[run.experiment.budget], made["data"]["counts"]
        asked = {"train": budget.n_train or 40_000, "valid": budget.n_valid or 10_000, "test": budget.n_test or 10_000}
        hits, sha256 = found["classes"] == found["labels"][:, None], file_digest(run.predictions_path, hashlib.sha256)
        right = {"accuracy": hits[:, 0], "top5": hits.any(1), "tta_accuracy": found["tta"] == found["labels"]}
        off = {name: abs(each.mean() - run.test[name]) for name, each in right.items()}
        checks = {
            "its digest does not fit its content: it was edited": record.pop("digest", None) == _digest(record),
            "its predictions are not those it was written with": made["predictions_sha256"] == sha256,
            f"its history is not {epochs} epochs": [*run.history.epoch] == [*range(1, epochs + 1)],
            f"its parts are {counts}, expected {asked}": not made["data"]["cifar100"] or counts == asked,
            "its provenance is incomplete": all(made[key] for key in ("versions", "seconds", "device")),
            **{f"its {name} is not that of its predictions": far < 1e-6 for name, far in off.items()},
        }
    except Exception as error:  # json, numpy, zip and zlib raise a dozen kinds for a damaged file
        return [f"{type(error).__name__}: {error}"]
    return [line for line, good in checks.items() if not good]


def find_record(run_id: str, *, runs_dir: str | Path | None = None, published: str | None = None) -> Run | None:
    """Return one's own run of that id if there is one, else the published one, else None.

    published: the published run's id, if another; "" passes over published runs.
    """
    own = own_folder(runs_dir) / run_id / RECORD
    if own.is_file():
        return read_record(own)
    shipped = PUBLISHED / f"{run_id if published is None else published}.json"
    return read_record(shipped) if shipped.is_file() and _show_published() else None


def load_runs(*, runs_dir: str | Path | None = None, any_data: bool = False, **wanted: Any) -> list[Run]:
    """Return all recorded runs whose experiment matches, one's own before published ones.

    any_data: with those of one's own on other pictures than CIFAR-100's. wanted: any of Experiment's
    fields, e.g. load_runs(budget="quick", image_size=32).
    """
    runs = map(read_record, record_paths(runs_dir).values())
    runs = [run for run in runs if any_data or run.provenance["data"]["cifar100"]]
    return [run for run in runs if all(getattr(run.experiment, name) == value for name, value in wanted.items())]


def record_paths(runs_dir: str | Path | None = None) -> dict[str, Path]:
    """Return where each recorded run is, by its id: one's own before published ones."""
    paths = {path.stem: path for path in PUBLISHED.glob("*.json")} if _show_published() else {}
    paths |= {path.parent.name: path for path in own_folder(runs_dir).glob(f"*/{RECORD}")}
    return dict(sorted(paths.items()))


def own_folder(runs_dir: str | Path | None = None) -> Path:
    """Return the folder of one's own runs: the argument, else CIFARLIB_RUNS, else runs/ in the repository."""
    return Path(runs_dir).expanduser() if runs_dir is not None else user_folder("CIFARLIB_RUNS", "runs")


def publish(source: str | Path) -> list[Path]:
    """Copy the records below `source` into the package; ValueError, and nothing copied, if one fails its check."""
    runs = [read_record(path) for path in sorted(Path(source).glob(f"**/{RECORD}"))]
    if not runs:
        raise ValueError(f"{source} holds no {RECORD}: expected a folder of runs")
    for run in runs:
        wrong = check_record(run.path)
        wrong += [] if run.provenance["data"]["cifar100"] else ["it was not trained on CIFAR-100"]
        if wrong:
            raise ValueError(f"cannot publish {run.path}: {'; '.join(wrong)}")
    targets = [PUBLISHED / f"{run.experiment.id}.json" for run in runs]
    for run, target in zip(runs, targets, strict=True):
        for old, new in ((run.predictions_path, target.with_suffix(".npz")), (run.path, target)):
            with atomic_path(new) as temporary:
                temporary.write_bytes(old.read_bytes())
    return targets


def _show_published() -> bool:
    return os.environ.get("CIFARLIB_RECORDS") != "none"


def _digest(record: dict) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
