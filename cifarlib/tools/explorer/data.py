"""What the explorer shows, as plain data: names, curves, scores and every test answer."""

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...config import HISTORY, IMAGE_SIZES, INITS
from ...data.facts import CLASSES, SUPERCLASS_OF, SUPERCLASSES
from ...experiments.labels import SCALE, STARTS, look, run_label
from ...experiments.record import Run
from ...experiments.store import load_runs
from ...published.read import published_curves, published_table
from ...utils.files import PACKAGE

PAGE = PACKAGE / "tools" / "explorer" / "page"
SHOWN_BUDGETS = (SCALE, "short")
MEASURES = [name for name in HISTORY if name.endswith(("_loss", "_accuracy"))]
PUBLISHED_SCORES = {"scratch": "accuracy_scratch", "imagenet": "accuracy_pretrained"}
DECIMALS = 5  # of curves, finer than a pixel
# the page's two grounds, as its style sheet has them, and how far a line must stand out (WCAG 2.2)
GROUNDS = {"light": "#ffffff", "dark": "#1b1f27"}
LEAST_CONTRAST = 3.2
MOST_CLASSES = 256  # an answer is one byte


def explored_runs() -> list[Run]:
    """Return the runs that the explorer shows: on CIFAR-100, of its budgets, best on test first."""
    runs = []
    for budget in SHOWN_BUDGETS:
        for run in load_runs(budget=budget, any_data=True):
            if run.data_id == "":
                runs.append(run)
    return sorted(runs, key=lambda run: -run.test["accuracy"])


def explorer_data(runs: Sequence[Run]) -> dict[str, Any]:
    """Return all that the page shows but the pictures, ready for JSON.

    Losses are in nats, accuracies fractions, curves rounded to DECIMALS. `truth` and each run's
    `said` (the likeliest class) and `sure` (its probability in percent) are a byte a test picture
    in canonical order: see packed. Raises ValueError where runs were tested on different pictures.
    """
    truth = _common_labels(runs)
    curves = published_curves()
    backbones = dict.fromkeys([*curves.backbone, *(run.experiment.backbone for run in runs)])
    return {
        "classes": _class_facts(),
        "superclasses": _superclass_facts(),
        "backbones": [_backbone_facts(name, list(backbones)) for name in backbones],
        "sizes": sorted({*IMAGE_SIZES, *(run.experiment.image_size for run in runs)}),
        "starts": [{"init": init, "name": STARTS[init]} for init in INITS],
        "published": _published_panels(curves),
        "scores": _published_scores(),
        "runs": [_run_facts(run) for run in runs],
        "truth": packed(truth),
        "n": len(truth),
    }


# --- bytes in JSON --------------------------------------------------------------------------------


def packed(values: np.ndarray) -> str:
    """Return whole numbers of 0 to 255 as text: a byte each, zlib's deflate, base64.

    Raises ValueError for others.
    """
    values = np.asarray(values)
    if values.size and not 0 <= values.min() <= values.max() < MOST_CLASSES:
        raise ValueError(
            f"got numbers of {values.min()} to {values.max()}, expected 0 to {MOST_CLASSES - 1}"
        )
    return base64.b64encode(zlib.compress(values.astype(np.uint8).tobytes(), 9)).decode()


def unpacked(text: str) -> np.ndarray:
    """Return the numbers that packed() made a text of, uint8 (N,)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


# --- names and colours ----------------------------------------------------------------------------


def _class_facts() -> list[dict[str, Any]]:
    chinese = _chinese_names()
    families = list(SUPERCLASSES)
    facts = []
    for name in CLASSES:
        facts.append(
            {
                "en": _readable(name),
                "zh": chinese[name],
                "family": families.index(SUPERCLASS_OF[name]),
            }
        )
    return facts


def _superclass_facts() -> list[dict[str, str]]:
    chinese = _chinese_names()
    return [{"en": _readable(name), "zh": chinese[name]} for name in SUPERCLASSES]


def _chinese_names() -> dict[str, str]:
    return json.loads((PAGE / "names.json").read_text(encoding="utf-8"))


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _backbone_facts(name: str, among: Sequence[str]) -> dict[str, str]:
    """Return a backbone's name, its marker and its colour on each ground."""
    style = look(name, among)
    facts = {"name": name, "marker": style["marker"]}
    for theme, ground in GROUNDS.items():
        facts[theme] = readable_color(style["color"], ground)
    return facts


def readable_color(color: str, ground: str, least: float = LEAST_CONTRAST) -> str:
    """Return a colour, "#rrggbb", moved towards black or white until it stands out from a ground.

    least: the contrast ratio, as WCAG 2.2 defines it, 1 to 21.
    """
    away = np.full(3, 255.0)
    if _luminance(_channels(ground)) > 0.5:
        away = np.zeros(3)
    channels = _channels(color)
    for step in np.linspace(0, 1, 51):
        moved = (1 - step) * channels + step * away
        if contrast(_hex(moved), ground) >= least:
            return _hex(moved)
    return _hex(away)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio between two colours, 1 to 21 (WCAG 2.2)."""
    dark, light = sorted((_luminance(_channels(one)), _luminance(_channels(other))))
    return (light + 0.05) / (dark + 0.05)


def _luminance(channels: np.ndarray) -> float:
    """Return the relative luminance, 0 to 1, of sRGB channels of 0 to 255 (WCAG 2.2)."""
    share = channels / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _channels(color: str) -> np.ndarray:
    return np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)], float)


def _hex(channels: np.ndarray) -> str:
    return "#" + "".join(f"{round(channel):02x}" for channel in channels)


# --- curves and scores ----------------------------------------------------------------------------


def _published_panels(curves: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the published curves, one a backbone, size and start."""
    panels = []
    key: Any
    place = ["backbone", "image_size", "init"]
    for key, curve in curves.groupby(place, sort=False):
        backbone, size, init = key
        panels.append(
            {
                "backbone": backbone,
                "size": int(size),
                "init": init,
                "history": _history(curve),
            }
        )
    return panels


def _history(table: pd.DataFrame) -> dict[str, list]:
    """Return a curve's columns; None where a reading is missing."""
    columns: dict[str, list] = {"epoch": [int(epoch) for epoch in table.epoch]}
    for measure in MEASURES:
        columns[measure] = _rounded(table[measure])
    return columns


def _rounded(values: Iterable[float]) -> list[float | None]:
    rounded: list[float | None] = []
    for value in values:
        if np.isfinite(value):
            rounded.append(round(float(value), DECIMALS))
        else:
            rounded.append(None)  # JSON knows no NaN
    return rounded


def _published_scores() -> list[dict[str, Any]]:
    """Return the published test accuracies, one a backbone, size and start."""
    scores = []
    row: Any
    for row in published_table().itertuples():
        for init, column in PUBLISHED_SCORES.items():
            tta = None
            if init == "imagenet":
                tta = row.accuracy_pretrained_tta3
            scores.append(
                {
                    "backbone": row.backbone,
                    "size": row.image_size,
                    "init": init,
                    "accuracy": getattr(row, column),
                    "tta": tta,
                }
            )
    return scores


# --- runs -----------------------------------------------------------------------------------------


def _run_facts(run: Run) -> dict[str, Any]:
    """Return one run: what was asked, its curve, its scores and its answers."""
    asked = run.experiment
    answers = run.predictions()
    percent = np.round(100 * answers["probabilities"][:, 0].astype(float))
    return {
        "id": run.id,
        "label": run_label(run),
        "backbone": asked.backbone,
        "size": asked.image_size,
        "init": asked.init,
        "is_plain": _is_plain(run),
        "is_held_back": run.is_held_back,
        "history": _history(run.history),
        "best_epoch": run.best_epoch,
        "accuracy": run.test["accuracy"],
        "tta": run.test["tta_accuracy"],
        "said": packed(answers["classes"][:, 0]),
        "sure": packed(percent),
    }


def _is_plain(run: Run) -> bool:
    """Return whether a run is its cell of the comparison: the write-up's way, by the usual seed."""
    asked = run.experiment
    way = (asked.budget, asked.recipe, asked.policy, asked.stem)
    is_its_way = way == (SCALE, "writeup", "writeup", "imagenet") and asked.lr is None
    return is_its_way and asked.seed == 42


def _common_labels(runs: Sequence[Run]) -> np.ndarray:
    """Return the true classes (N,) of the pictures that all runs were tested on."""
    if not runs:
        return np.zeros(0, np.uint8)
    labels = runs[0].predictions()["labels"]
    for run in runs[1:]:
        if not np.array_equal(run.predictions()["labels"], labels):
            raise ValueError(
                f"{run.id} was tested on other pictures than {runs[0].id}:"
                " expected runs on the same ones"
            )
    return labels
