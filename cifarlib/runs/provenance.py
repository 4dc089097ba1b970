"""How a run is made: its settings written out, its data, weights, device and versions."""

import contextlib
import importlib.metadata
import platform
from dataclasses import asdict
from typing import Any

import cv2

from ..config import BUDGETS, RECIPES, Experiment, timm_name
from ..models.weights import MissingWeights, Weights, find_weights
from ..training.device import Device, describe_device
from .parts import Parts
from .record import Run

LIBRARIES = ("torch", "torchvision", "timm", "albumentations", "numpy")


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
        "weights": None,
    }
    if weights:
        settings["weights"] = weights.tensors_sha256
    return settings


def check_same_settings(found: Run, experiment: Experiment) -> None:
    """Raise ValueError if one's own run was made otherwise than it would be made now.

    Where no weights are at hand, none of them were put in the place of the run's.
    """
    recorded = found.provenance.get("settings")
    if recorded is None:  # written before records told it
        return
    weights = None
    if experiment.init == "imagenet":
        with contextlib.suppress(MissingWeights):
            weights = find_weights(timm_name(experiment.backbone), download=False)
    today = settings_of(experiment, weights)
    if weights is None:
        today["weights"] = recorded["weights"]
    different = [name for name in today if today[name] != recorded.get(name)]
    if different:
        raise ValueError(
            f"the run {found.id} in {found.path.parent.parent} was made with another"
            f" {' and another '.join(different)} than now:"
            f" put the old back, or train anew with --retrain (retrain=True) or another --runs-dir"
        )


def provenance_of(
    experiment: Experiment,
    parts: Parts,
    weights: Weights | None,
    device: Device,
) -> dict[str, Any]:
    """Return how a run is made, for its record."""
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
        "data": {
            "name": parts.train.name,
            "source": parts.train.source,
            "cifar100": parts.train.is_cifar100,
            "classes": len(parts.train.classes),
            "side": parts.train.images.shape[1],  # pixels, as the pictures were read
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
        },
        "weights": weights_said,
        "settings": settings_of(experiment, weights),
        "device": describe_device(device.torch_device),
        "precision": device.precision,
        "versions": _versions(),
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
