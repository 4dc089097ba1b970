"""What can be wrong with a record: damage, slips, and numbers that cannot be."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ..config import BUDGETS, ENGINES, HISTORY, RECIPES, Recipe, images_of_parts
from ..data import facts
from ..experiments.record import ROUNDED, UNKNOWN, Run, digest_of, is_kind, read_record
from ..utils.files import file_digest

TOLERANCE = 1e-6  # between a recorded number and the same one worked out again
ROUNDING = 0.01  # of five recorded probabilities, which have three decimals each, over 1
FRACTIONS = ("train_accuracy", "valid_accuracy")
# what is said of how a run was made, and of which kind it is
MADE: dict[str, Any] = {"versions": dict, "seconds": int | float, "device": str, "precision": str}
# what format 2 says besides
MADE_IN_2: dict[str, Any] = {
    "settings": dict,
    "engine": str,
    "determinism": dict,
    "system": str,
    "code": dict,
    "command": str,
    "started": str,
    "ended": str,
    "seconds_valid": bool,
    "runs_side_by_side": int,
    "cores_of_others": int | float,
    "peak_memory_gb": int | float,
    "final_weights_sha256": str,
}
SETTINGS = ("epochs", "lr", "pictures", "recipe", "policy_steps", "network", "weights")
# how a folder on somebody's machine or an e-mail's address is recognised
PRIVATE = re.compile(r"(^|[\s='\"(:,])(/|~|\.\./|[A-Za-z]:[\\/])\w|\\\\\w|file://|\w@[\w-]+\.\w")
PRECISIONS = ("float32", "bfloat16", "float16")
YEAR = 366 * 24 * 60 * 60  # seconds
PARTS = ("train", "valid", "test")
TEST_FRACTIONS = ("accuracy", "top5", "tta_accuracy")


def check_record(path: str | Path) -> list[str]:
    """Return what is wrong with a record, as a list of lines: empty if nothing is seen.

    Seen are accidents and slips: files that are damaged or do not belong together, parts that are
    not there, numbers that cannot be or do not fit each other, other pictures or labels than
    CIFAR-100's under its name. Whoever writes a false record with care is not caught: a digest
    without a key can be made by anybody, and only doing the run again proves it.
    """
    try:
        run = read_record(path)
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        problems = [
            *_digest_problems(run, record),
            *_name_problems(run),
            *_history_problems(run),
            *_provenance_problems(run),
            *_data_problems(run),
        ]
        if run.published and run.has_weights:
            run.load_model()  # which compares the weights' hash with the record's
        predictions = run.predictions()
        shape_problems = _shape_problems(run, predictions)
        if shape_problems:
            return [*problems, *shape_problems]
        return [
            *problems,
            *_prediction_problems(run, predictions),
            *_accuracy_problems(run, predictions),
        ]
    except Exception as error:  # json, numpy, zip and zlib raise a dozen kinds for a damaged file
        return [f"{type(error).__name__}: {error}"]


# --- the files ------------------------------------------------------------------------------------


def _digest_problems(run: Run, record: dict[str, Any]) -> list[str]:
    problems = []
    stated_digest = record.pop("digest", None)
    if stated_digest != digest_of(record):
        problems.append("its digest does not fit its content: it was edited")
    sha256 = file_digest(run.predictions_path, hashlib.sha256)
    if sha256 != run.provenance["predictions_sha256"]:
        problems.append("its predictions are not those it was written with")
    return problems


def _name_problems(run: Run) -> list[str]:
    named = run.id.partition("@")[0]
    if named != run.experiment.id:
        return [f"its name is {named}'s, its content {run.experiment.id}'s"]
    return []


# --- the training ---------------------------------------------------------------------------------


def _history_problems(run: Run) -> list[str]:
    history = run.history
    epochs = run.settings.get("epochs", run.experiment.epochs)
    if tuple(history.columns) != HISTORY:
        return [f"its history has columns {', '.join(history.columns)}"]
    if list(history.epoch) != list(range(1, epochs + 1)):
        return [f"its history is not {epochs} epochs"]
    numbers = history.to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        return ["its history has numbers that are not finite"]
    problems = []
    if (numbers < 0).any():
        problems.append("its history has numbers below nought")
    for column in FRACTIONS:
        if (history[column] > 1).any():
            problems.append(f"its {column} is above 1")
    return problems + _rate_problems(run)


def _rate_problems(run: Run) -> list[str]:
    from ..training.optim import cosine  # torch takes seconds

    recipe = RECIPES[run.experiment.recipe]
    if "recipe" in run.settings:  # as it was then
        recipe = Recipe(**run.settings["recipe"])
    highest = run.settings.get("lr", run.experiment.learning_rate)
    rates = run.history.lr.to_numpy(dtype=np.float64)
    if recipe.schedule == "cosine":
        expected = cosine(highest, len(rates), min_lr=recipe.min_lr)
        if not np.allclose(rates, expected, rtol=1e-4, atol=0):
            return [f"its learning rates are not the cosine's from {highest:g}"]
    elif (rates <= 0).any() or (rates > highest * (1 + TOLERANCE)).any():
        return [f"its learning rates are not within 0 to {highest:g}"]
    return []


# --- how it was made ------------------------------------------------------------------------------


def _provenance_problems(run: Run) -> list[str]:
    problems = []
    provenance = run.provenance
    for key, kind in MADE.items():
        if provenance[key] in (None, "", {}):
            problems.append(f"its provenance is incomplete: no {key}")
        elif not isinstance(provenance[key], kind):
            problems.append(f"its {key} is {type(provenance[key]).__name__}")
    # a small run's epochs take milliseconds, which round to nothing
    if isinstance(provenance["seconds"], int | float) and not 0 <= provenance["seconds"] < YEAR:
        problems.append(f"its seconds are {provenance['seconds']}")
    if provenance["precision"] not in PRECISIONS:
        problems.append(f"its precision is {provenance['precision']!r}")
    weights = provenance["weights"]
    if run.experiment.init == "scratch" and weights is not None:
        problems.append("it began from scratch and names weights")
    if run.experiment.init == "imagenet" and not (weights and weights.get("sha256")):
        problems.append("it began from ImageNet weights and does not name them")
    if run.format >= 2:
        problems += _problems_in_2(run)
    return problems


def _problems_in_2(run: Run) -> list[str]:
    """Return what is wrong with what format 2 says besides format 1."""
    problems = []
    for name, kind in MADE_IN_2.items():
        if name not in run.provenance:
            problems.append(f"its provenance is incomplete: no {name}")
        elif not is_kind(run.provenance[name], kind):
            problems.append(f"its {name} is {type(run.provenance[name]).__name__}")
    for name in SETTINGS:
        if name not in run.settings:
            problems.append(f"its settings are incomplete: no {name}")
    if problems or not isinstance(run.provenance["seconds"], int | float):
        return problems
    return [*_value_problems(run), *_time_problems(run)]


def _value_problems(run: Run) -> list[str]:
    problems = []
    provenance = run.provenance
    if provenance["engine"] not in ENGINES:
        problems.append(f"its engine is {provenance['engine']!r}")
    commit = provenance["code"].get("commit")
    if commit != UNKNOWN and not re.fullmatch("[0-9a-f]{40}", str(commit)):
        problems.append(f"its commit is {commit!r}")
    if not re.fullmatch("[0-9a-f]{64}", provenance["final_weights_sha256"]):
        problems.append("the hash of its final weights is none")
    if run.experiment.lr not in (None, run.settings["lr"]):
        problems.append(f"it was asked for lr {run.experiment.lr}, its settings have another")
    rounded = provenance.get(ROUNDED)  # records before December 2026 have none
    if rounded is not None and not re.fullmatch("[0-9a-f]{64}", str(rounded)):
        problems.append("the hash of its rounded weights is none")
    names: dict[str, list] = {
        "class_names": []
    }  # a folder's names are the user's own, and no published record's
    for text in _texts(provenance | {"data": provenance["data"] | names}):
        if PRIVATE.search(text):
            problems.append(f"it tells of somebody's machine: {text!r}")
    return problems


def _texts(value: Any) -> Iterator[str]:
    """Yield every text within dicts and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _time_problems(run: Run) -> list[str]:
    provenance = run.provenance
    try:
        started = datetime.fromisoformat(provenance["started"])
        ended = datetime.fromisoformat(provenance["ended"])
    except ValueError:
        return ["its times are no times"]
    if started.utcoffset() != timedelta(0) or ended.utcoffset() != timedelta(0):
        return ["its times are not in UTC"]
    if ended < started:
        return ["it ended before it started"]
    problems = []
    passed = (ended - started).total_seconds()
    # both are told to the second, and a clock may be set meanwhile
    if provenance["seconds"] > 1.1 * passed + 60:
        problems.append(f"it trained for {provenance['seconds']} s within {passed:.0f} s")
    if provenance["runs_side_by_side"] < 1 or provenance["cores_of_others"] < 0:
        problems.append("what ran beside it cannot be counted so")
    if provenance["peak_memory_gb"] <= 0:
        problems.append("it took no memory")
    return problems


def _data_problems(run: Run) -> list[str]:
    data = run.provenance["data"]
    problems = []
    for name in ("counts", "fingerprints"):
        if set(data[name]) != set(PARTS):
            problems.append(f"its {name} are of {', '.join(data[name]) or 'no part'}")
    if data["cifar100"] != (run.data_id == ""):
        problems.append("its name and its data disagree on whether it is on CIFAR-100")
    if data["cifar100"] != (data["name"] == "CIFAR-100"):
        problems.append(f"its data are called {data['name']}")
    if problems or not data["cifar100"]:
        return problems
    expected = _pictures(run)
    if data["counts"] != expected:
        problems.append(f"its parts are {data['counts']}, expected {expected}")
    if data["classes"] != len(facts.CLASSES):
        problems.append(f"it has {data['classes']} classes, expected {len(facts.CLASSES)}")
    for part, fingerprint in data["fingerprints"].items():
        # of a budget of one's own nobody knows the fingerprint without the images
        known = facts.PART_FINGERPRINTS[part].get(str(data["counts"][part]))
        if known is not None and fingerprint != known:
            problems.append(f"its {part} pictures are not CIFAR-100's")
    return problems


def _pictures(run: Run) -> dict[str, int]:
    """Return how many pictures of CIFAR-100 each part must have had."""
    told = run.settings.get("pictures")
    if told is None:
        return BUDGETS[run.experiment.budget].pictures
    return images_of_parts(told)


# --- the test -------------------------------------------------------------------------------------


def _shape_problems(run: Run, predictions: dict[str, np.ndarray]) -> list[str]:
    n = run.provenance["data"]["counts"]["test"]
    k = min(5, run.provenance["data"]["classes"])
    expected = {"labels": (n,), "classes": (n, k), "tta": (n,), "probabilities": (n, k)}
    problems = []
    for name, shape in expected.items():
        if name not in predictions:
            problems.append(f"its predictions have no {name}")
        elif predictions[name].shape != shape:
            problems.append(f"its {name} have shape {predictions[name].shape}, expected {shape}")
    return problems


def _prediction_problems(run: Run, predictions: dict[str, np.ndarray]) -> list[str]:
    data = run.provenance["data"]
    problems = []
    for name in ("labels", "classes", "tta"):
        if predictions[name].max() >= data["classes"]:
            problems.append(f"its {name} name more than {data['classes']} classes")
    in_order = np.sort(predictions["classes"], axis=1)
    if (in_order[:, 1:] == in_order[:, :-1]).any():
        problems.append("its likeliest classes name one twice")
    probabilities = predictions["probabilities"].astype(np.float64)
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        problems.append("its probabilities are not all numbers from 0 on")
    elif (probabilities.sum(axis=1) > 1 + ROUNDING).any():
        problems.append("its probabilities sum to more than 1")
    elif (np.diff(probabilities, axis=1) > 0).any():
        problems.append("its probabilities are not in order")
    if data["cifar100"]:
        labels = predictions["labels"].astype("<u2").tobytes()
        known = facts.TEST_LABELS_SHA256.get(str(len(predictions["labels"])))
        if known is not None and hashlib.sha256(labels).hexdigest() != known:
            problems.append("its labels are not those of CIFAR-100's test pictures")
    return problems


def _accuracy_problems(run: Run, predictions: dict[str, np.ndarray]) -> list[str]:
    """Compare each recorded accuracy with the one that the recorded predictions have."""
    labels = predictions["labels"]
    hits = predictions["classes"] == labels[:, None]  # (N, 5)
    measured = {
        "accuracy": hits[:, 0].mean(),
        "top5": hits.any(axis=1).mean(),
        "tta_accuracy": (predictions["tta"] == labels).mean(),
    }
    problems = []
    for name in TEST_FRACTIONS:
        if not abs(measured[name] - run.test[name]) < TOLERANCE:  # nothing holds for NaN
            problems.append(f"its {name} is not that of its predictions")
    if not _are_fractions(run.test["random_tta_accuracies"]):
        problems.append("its random_tta_accuracies are not fractions")
    return problems


def _are_fractions(values: Iterable[float]) -> bool:
    return all(0 <= value <= 1 for value in values)
