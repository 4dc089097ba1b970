"""Records of runs: what was asked, every epoch, the test results, and how it was made."""

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..config import BUDGETS, RECIPES, Experiment
from ..data.facts import CLASSES
from ..utils.errors import first_line
from ..utils.files import write_bytes, write_json

if TYPE_CHECKING:  # reading a record must not take the seconds that torch does
    import torch
    from torch import nn

FORMAT = 2
READ = (1, 2)  # the formats that are read
UNKNOWN = "unknown"  # what a record of format 1 says of what it was not asked to tell
# several runs of format 1 shared this card, each in a fraction of its time
SHARED_DEVICE = "NVIDIA H200"
# compressed weights at 1.2 to 20 times He's scale, and the rate that is too small for them
AS_COMPRESSED = "ImageNet-1k, product-quantised"
SMALL_STEP = 1e-4
FOLDER = "folder"  # what a record calls the source of images of one's own
RECORD = "record.json"
PREDICTIONS = "predictions.npz"  # in older records; newer ones name theirs
BEST = "best.safetensors"  # the same
SUPERSEDED_FOLDER = (
    "superseded"  # the folder beside the published records, with those they replaced
)
MODELS = "models"  # the folder beside the published records, with the bundled nets
ROUNDED = "best_float16_sha256"  # of the best weights' tensors as models/ has them

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
    (fractions). provenance: how it was made: see told(). path: its JSON file.
    """

    experiment: Experiment
    history: pd.DataFrame  # a row an epoch: see HISTORY in config
    test: dict[str, Any]  # accuracies on the test split, fractions
    provenance: dict[str, Any]  # how the run was made
    path: Path  # the record's JSON file
    format: int = FORMAT

    @property
    def settings(self) -> dict[str, Any]:
        """All that the experiment's names stood for when it was run; {} where none was told.

        epochs, lr, pictures of each part, recipe, policy_steps, network, weights (their hash).
        """
        return self.provenance.get("settings", {})

    def told(self, name: str) -> Any:
        """Return a part of the provenance, "unknown" where an older record does not say.

        Such as engine, precision, device, system, cuda, code, command, started and ended (UTC),
        seconds_valid (whether nothing else was seen on the machine), peak_memory_gb.
        """
        shared = self.format == 1 and self.provenance["device"] == SHARED_DEVICE
        if name == "seconds_valid" and shared:
            return False
        return self.provenance.get(name, UNKNOWN)

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
    def class_names(self) -> tuple[str, ...] | None:
        """What the numbers of its classes stand for; None where an older record does not say.

        CIFAR-100's, and the stand-in's under the same names, are in no record.
        """
        data = self.provenance["data"]
        if "class_names" in data:
            return tuple(data["class_names"])
        if data["source"] == FOLDER:
            return None
        return CLASSES

    @property
    def is_held_back(self) -> bool:
        """Whether it was fine-tuned at 1e-4 from weights that are too large for so small a step.

        They are compressed ones at the scale at which they were published: see notebook 04.
        """
        weights = self.provenance["weights"] or {}
        is_large = weights.get("origin") == AS_COMPRESSED
        return is_large and self.experiment.learning_rate <= SMALL_STEP

    @property
    def predictions_path(self) -> Path:
        """The .npz file beside the record."""
        if self.published:
            return self.path.with_suffix(".npz")
        return self.path.with_name(self.provenance.get("predictions_file", PREDICTIONS))

    @property
    def best_path(self) -> Path:
        """Where the trained weights are, if they were kept: see has_weights."""
        if self.published:
            return self.path.parent.with_name(MODELS) / f"{self.path.stem}.safetensors"
        return self.path.with_name(self.provenance.get("best_file", BEST))

    @property
    def has_weights(self) -> bool:
        """Whether the trained net can be loaded: one's own runs can, and the bundled one.

        The latter's filters are kept in float16. Of superseded runs no net is kept.
        """
        if self.path.parent.name == SUPERSEDED_FOLDER:
            return False
        return self.best_path.exists()

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
        """Return the trained model, in float32 and in evaluation mode.

        How it expects images to be normalised is told by normalization_of(model). Raises
        ValueError for a run without weights here, and for weights that are damaged, that are not
        the record's, or that do not fit the net.
        """
        from ..models.backbones import create_model
        from ..models.normalization import remember_normalization

        if not self.has_weights:
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
        state = self._read_weights()
        try:
            model.load_state_dict(state)
        except Exception as error:  # torch raises kinds of its own
            raise ValueError(
                f"weights {self.best_path} do not fit the net: {first_line(error)}"
            ) from None
        weights = self.provenance["weights"]
        if weights:  # it learned from images that were normalised as these expect, else ImageNet's
            remember_normalization(model, weights["mean"], weights["std"])
        return model.eval()

    def _read_weights(self) -> "dict[str, torch.Tensor]":
        """Return the tensors in the file of weights; ValueError unless they are the record's own.

        A flipped bit would load, and answer otherwise.
        """
        from safetensors.torch import load

        from ..models.weights import digest_of_tensors

        content = self.best_path.read_bytes()
        damaged = f"weights {self.best_path} are damaged, or not those of their record"
        expected = self.provenance.get("best_sha256")
        if not self.published and expected not in (None, hashlib.sha256(content).hexdigest()):
            raise ValueError(f"{damaged}: train anew with run(experiment, retrain=True)")
        try:
            state = load(content)
        except Exception as error:  # safetensors raises a kind of its own
            raise ValueError(f"cannot read weights {self.best_path}: {first_line(error)}") from None
        # a bundled net was rounded after the record was written, so its file has another hash
        if self.published and digest_of_tensors(state) != self.provenance.get(ROUNDED):
            raise ValueError(f"{damaged}: install the package anew")
        return state


def write_record(
    folder: Path,
    experiment: Experiment,
    history: pd.DataFrame,
    *,
    test: dict[str, Any],
    provenance: dict[str, Any],
    predictions: dict[str, np.ndarray],
    best_weights: bytes,
) -> Run:
    """Write a finished run into `folder`, where a record of an earlier one may be.

    best_weights: a safetensors file's content. What a record needs beside it has a name of its own
    and comes first, so that whenever this is stopped the record that is there has its own files;
    an earlier one's are removed last.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **predictions)  # type: ignore[arg-type]
    made: dict[str, str] = {}
    for name, suffix, content in (
        ("predictions", "npz", buffer.getbuffer()),
        ("best", "safetensors", best_weights),
    ):
        sha256 = hashlib.sha256(content).hexdigest()
        made[f"{name}_file"] = f"{name}-{sha256[:8]}.{suffix}"
        made[f"{name}_sha256"] = sha256
        write_bytes(folder / made[f"{name}_file"], content)
    record = {
        "format": FORMAT,
        "experiment": asdict(experiment),
        "history": history.to_dict(orient="list"),
        "test": test,
        "provenance": provenance | made,
    }
    write_json(folder / RECORD, record | {"digest": digest_of(record)})
    for earlier in (*folder.glob("predictions*.npz"), *folder.glob("best*.safetensors")):
        if earlier.name not in made.values():
            earlier.unlink(missing_ok=True)
    return read_record(folder / RECORD)


def read_record(path: str | Path) -> Run:
    """Return the run recorded in a JSON file; ValueError for a damaged one or another format."""
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        _check_shape(record)
        return Run(
            experiment=recorded_experiment(record["experiment"]),
            history=pd.DataFrame(record["history"]),
            test=record["test"],
            provenance=record["provenance"],
            path=path,
            format=record["format"],
        )
    except KeyError as error:
        raise ValueError(f"cannot read record {path}: it has no {error}") from None
    except RecursionError:
        raise ValueError(f"cannot read record {path}: it is nested too deeply") from None
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"cannot read record {path}: {first_line(error)}") from None


def _check_shape(record: Any) -> None:
    """Raise ValueError or KeyError where a record's parts are not there, or of another kind."""
    _check_kind("the record", record, dict)
    if record["format"] not in READ or isinstance(record["format"], bool):
        expected = " or ".join(map(str, READ))
        raise ValueError(f"format {record['format']}, expected {expected}")
    for part in ("experiment", "history", "test", "provenance"):
        _check_kind(part, record[part], dict)
    for column in ("epoch", "valid_accuracy"):
        _check_kind(column, record["history"][column], list)
    for column, values in record["history"].items():
        _check_kind(column, values, list)
        for value in values:
            _check_kind(f"a number in {column}", value, int | float)
    if not record["history"]["epoch"]:
        raise ValueError("its history has no epoch")
    for measure in ("accuracy", "top5", "tta_accuracy"):
        _check_kind(measure, record["test"][measure], int | float)
    data = record["provenance"]["data"]
    _check_kind("data", data, dict)
    _check_kind("cifar100", data["cifar100"], bool)
    _check_kind("classes", data["classes"], int)
    _check_kind("the data's name", data["name"], str)
    for name in ("counts", "fingerprints"):
        _check_kind(name, data[name], dict)
    _check_kind("predictions_sha256", record["provenance"]["predictions_sha256"], str)
    _check_kind("settings", record["provenance"].get("settings", {}), dict)


def is_kind(value: object, kind: Any) -> bool:
    """Return whether a value is of a kind; True and False, numbers to Python, are of bool alone."""
    return isinstance(value, kind) and isinstance(value, bool) == (kind is bool)


def _check_kind(name: str, value: object, kind: Any) -> None:
    if is_kind(value, kind):
        return
    expected = getattr(kind, "__name__", "a number")
    raise ValueError(f"{name} is {type(value).__name__}, expected {expected}")


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
    """Return whether an id names a recipe with a learning rate of its own."""
    for name, recipe in RECIPES.items():
        if recipe.lr is not None and f"-recipe_{name}" in experiment_id:
            return True
    return False
