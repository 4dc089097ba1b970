"""How a run is made: its settings written out, its data, weights, device and versions."""

import contextlib
import importlib.metadata
import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import cv2
import pandas as pd
import torch

from ..config import BUDGETS, RECIPES, Experiment, timm_name
from ..data import facts
from ..data.transforms import policy_settings
from ..models.weights import MissingWeights, Weights, find_weights
from ..training.callbacks import Callback, Training
from ..training.device import Device, describe_device, peak_memory
from ..training.sharing import MachineLoad
from ..utils.files import PACKAGE
from .parts import Parts
from .record import FOLDER, UNKNOWN, Run

LIBRARIES = ("torch", "torchvision", "timm", "albumentations", "numpy")
# what is told of a run that goes on elsewhere, for each stretch of its epochs
SURROUNDINGS = ("device", "precision", "system", "code", "versions")
PATIENCE = 10  # seconds, for another program's answer


def settings_of(experiment: Experiment, weights: Weights | None) -> dict[str, Any]:
    """Return what makes a run besides its names: all that a name can stand for, written out.

    A budget or a recipe can be edited, and other weights put in the place of the first.
    """
    budget = BUDGETS[experiment.budget]
    settings = {
        "epochs": experiment.epochs,
        "lr": experiment.learning_rate,
        "pictures": [budget.n_train, budget.n_valid, budget.n_test],
        "recipe": asdict(RECIPES[experiment.recipe]),
        "policy_steps": policy_settings(experiment.image_size, experiment.policy),
        "network": timm_name(experiment.backbone),
        "weights": None,
    }
    if weights:
        settings["weights"] = weights.tensors_sha256
    return settings


def check_same_settings(found: Run, experiment: Experiment) -> None:
    """Raise ValueError if one's own run was made otherwise than it would be made now."""
    if not found.settings:  # written before records told them
        return
    different = different_settings(found, experiment)
    if different:
        raise ValueError(
            f"the run {found.id} in {found.path.parent.parent} was made with another"
            f" {' and another '.join(different)} than now:"
            f" put the old back, or train anew with --retrain (retrain=True) or another --runs-dir"
        )


def different_settings(found: Run, experiment: Experiment) -> list[str]:
    """Return which settings of a run are not what they would be now, in words.

    Where no weights are at hand, none of them were put in the place of the run's.
    """
    weights = None
    if experiment.init == "imagenet":
        with contextlib.suppress(MissingWeights):
            weights = find_weights(timm_name(experiment.backbone), download=False)
    recorded = found.settings
    if not recorded:  # format 1 tells of no more than the weights' file
        file_then = (found.provenance["weights"] or {}).get("sha256")
        if weights is not None and weights.sha256 != file_then:
            return ["weights"]
        return []
    today = settings_of(experiment, weights)
    if weights is None:
        today["weights"] = recorded["weights"]
    different = []
    for name, value in recorded.items():
        # another version of a library may know more parameters: only what both say is compared
        if not _agree(value, today[name]):
            different.append(name.replace("_", " "))
    return different


def _agree(one: Any, other: Any) -> bool:
    """Return whether two settings are the same wherever both say something."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_agree(one[name], other[name]) for name in one.keys() & other.keys())
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return False
        return all(_agree(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def provenance_of(
    experiment: Experiment,
    parts: Parts,
    weights: Weights | None,
    device: Device,
    *,
    command: str | None = None,
) -> dict[str, Any]:
    """Return how a run is made, as far as that is known before it.

    command: the command line, without folders; None: see
    called_from. No name of a machine or a user, no folder and no address is among it.
    """
    weights_said = None
    if weights:
        weights_said = {
            "origin": weights.origin,
            "sha256": weights.sha256,
            "tensors_sha256": weights.tensors_sha256,
            "mean": weights.mean,
            "std": weights.std,
        }
    return {
        "data": _data_of(parts),
        "weights": weights_said,
        "settings": settings_of(experiment, weights),
        "device": describe_device(device.torch_device),
        "precision": device.precision,
        "system": _system(),
        "cuda": _cuda(),
        "code": code_version(),
        "command": command or called_from(),
        "versions": _versions(),
    }


def _data_of(parts: Parts) -> dict[str, Any]:
    """Return on which images a run is made, and what must be known to show its net others."""
    train = parts.train
    data: dict[str, Any] = {
        "name": parts.name,
        "source": train.source,
        "cifar100": parts.cifar100,
        "classes": len(train.classes),
        "side": min(train.images.shape[1:3]),  # pixels, as the images were read
        "counts": {
            "train": len(parts.train),
            "valid": len(parts.valid),
            "test": len(parts.test),
        },
        "fingerprints": {
            "train": parts.train.fingerprint,
            "valid": parts.valid.fingerprint,
            "test": parts.test.fingerprint,
        },
    }
    if train.classes != facts.CLASSES or train.source == FOLDER:
        data["class_names"] = list(train.classes)
    whites = train.whites or parts.test.whites
    if whites is not None:
        data["whites"] = {"integers": whites.integers, "floats": whites.floats}
    return data


class RunLog(Callback):
    """What drove a run's epochs and on what they were trained, also where it was stopped between.

    surroundings: device, precision, versions, code; they are told for each stretch of epochs.
    """

    def __init__(self, surroundings: dict[str, Any]) -> None:
        self.surroundings = surroundings
        self.stretches: list[dict[str, Any]] = []  # several where the surroundings changed
        self.engines: list[str] = []  # that have driven epochs, in the order of their first
        self.micro_batches = 1  # parts in which batches went through the model in the end

    def on_epoch_begin(self, training: Training) -> None:
        """Begin a stretch, unless this epoch goes on like the one before it."""
        before = self.stretches[-1] if self.stretches else {}
        if any(before.get(name) != value for name, value in self.surroundings.items()):
            first = {"from_epoch": len(training.history) + 1, "started": utc_now()}
            self.stretches.append(first | self.surroundings)

    def on_epoch_end(self, training: Training) -> None:
        """Note what drove the epoch."""
        self.micro_batches = training.micro_batches
        if training.engine.used not in self.engines:
            self.engines.append(training.engine.used)

    def state_dict(self) -> dict[str, Any]:
        """Return the stretches and engines so far."""
        return {"stretches": self.stretches, "engines": self.engines}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from those of a run that was stopped."""
        self.stretches = state["stretches"]
        self.engines = state["engines"]


def provenance_after(
    experiment: Experiment,
    history: pd.DataFrame,
    log: RunLog,
    load: MachineLoad,
) -> dict[str, Any]:
    """Return what is known of how a run was made once it has been trained and tested."""
    started = log.stretches[0]["started"]
    seconds = round(history.seconds.sum(), 1)
    made: dict[str, Any] = {
        "determinism": _determinism(experiment),
        "engine": log.engines[-1],
        "batch_pieces": log.micro_batches,
        "started": started,
        "ended": _end_after(started, seconds),
        "seconds": seconds,
        "seconds_valid": load.seconds_valid,
        "runs_side_by_side": load.runs,
        "cores_of_others": round(load.others_cores, 2),
        "peak_memory_gb": float(f"{peak_memory():.3g}"),
    }
    if len(log.engines) > 1:
        made["engines"] = log.engines
    if len(log.stretches) > 1:
        made["stretches"] = log.stretches
    return made


def utc_now() -> str:
    """Return the time in UTC, to the second: "2026-11-28T09:30:00+00:00"."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _end_after(started: str, seconds: float) -> str:
    """Return the time in UTC, which is at least so many seconds of training after the start.

    A clock may have been set back meanwhile, or the run have gone on where another clock is.
    """
    earliest = datetime.fromisoformat(started) + timedelta(seconds=seconds)
    now = datetime.fromisoformat(utc_now())
    return max(now, earliest).isoformat(timespec="seconds")


def called_from() -> str:
    """Return "notebook" in one, else "script": what called a run, if no command line did."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        return "notebook"
    return "script"


@cache
def code_version() -> dict[str, Any]:
    """Return the clone's commit, and whether the package was changed since; "unknown" elsewhere.

    As it was when this process first asked: its code may be edited while it runs.
    """
    unknown = {"commit": UNKNOWN, "dirty": UNKNOWN}
    if not (PACKAGE.parent / ".git").exists():  # installed, perhaps within another project's clone
        return unknown
    commit = _answer("git", "rev-parse", "HEAD")
    # published records are no code: a run's own may be among them before the next one begins
    records = [f":!published/{folder}" for folder in ("records", "superseded", "models")]
    changes = _answer("git", "status", "--porcelain", "--", ".", *records)
    if commit is None or changes is None:
        return unknown
    return {"commit": commit, "dirty": changes != ""}


def _answer(*command: str) -> str | None:
    """Return what another program says, asked in the package's folder, or None if it fails."""
    try:
        asked = subprocess.run(
            command,
            cwd=PACKAGE,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip()


def _determinism(experiment: Experiment) -> dict[str, Any]:
    """Return what decides whether the same run gives the same numbers again."""
    return {
        "seed": experiment.seed,
        "threads": torch.get_num_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "float32_matmul": torch.get_float32_matmul_precision(),
    }


def _system() -> str:
    """Return the operating system and the machine's kind: "Linux 6.1.0 x86_64"."""
    # what follows the numbers of a release is whoever built it
    release = platform.release().partition("-")[0]
    return f"{platform.system()} {release} {platform.machine()}"


def _cuda() -> dict[str, Any] | None:
    """Return the versions of what is between torch and an NVIDIA GPU; None without one."""
    if not torch.cuda.is_available():
        return None
    driver = _answer("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return {
        "runtime": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": (driver or UNKNOWN).partition("\n")[0],
    }


def _versions() -> dict[str, str]:
    from .. import __version__

    versions = {
        "python": platform.python_version(),
        "cifarlib": __version__,
        "opencv": cv2.__version__,  # which comes in several distributions
    }
    for library in LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:  # installed under another name
            versions[library] = "unknown"
    return versions
