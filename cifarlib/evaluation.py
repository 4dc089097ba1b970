"""What a trained model says of pictures it has not seen, and the measures of it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, confusion_matrix
from torch import nn

from .files import unknown
from .machine import Machine
from .training import in_pieces

VIEWS = {"as is": (), "horizontal flip": (3,), "vertical flip": (2,), "both flips": (2, 3)}
TTA_VIEWS = {
    "writeup": ("as is", "horizontal flip", "vertical flip"),
    "natural": ("as is", "horizontal flip"),
    "none": ("as is",),
}


def predict(
    model: nn.Module, batches: Iterable, *, machine: Machine, views: Iterable[str] = ("as is",), pieces: int = 1
) -> np.ndarray:
    """Return class probabilities, float32 (V, N, C): the softmax of the logits for each of V views.

    A view is the picture flipped along fixed axes: see VIEWS. pieces: parts in which a batch goes through the
    model, where the memory is short. Raises ValueError for an unknown view.
    """
    views = list(views)
    if strange := [view for view in views if view not in VIEWS]:
        raise unknown("view", strange[0], VIEWS)
    model.eval()
    rows = []
    with torch.inference_mode():
        for images, _ in batches:
            images = machine.prepare(images)
            flipped = [images.flip(VIEWS[view]) if VIEWS[view] else images for view in views]
            logits = [in_pieces(model, view, pieces, machine=machine) for view in flipped]
            rows.append(torch.stack(logits).float().softmax(-1).cpu())
    return torch.cat(rows, dim=1).numpy()


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return top-1 accuracy, a fraction, of probabilities (N, C) against labels (N,)."""
    return float(accuracy_score(labels, probabilities.argmax(1)))


def likeliest(probabilities: np.ndarray, k: int = 5) -> np.ndarray:
    """Return the k likeliest classes (N, k), best first; of equally likely ones the lower number comes first."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :k]


def top5(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of pictures whose label is among the five likeliest classes.

    Not scikit-learn's top_k_accuracy_score: bfloat16 logits tie, and there the last of tied classes comes first.
    """
    return float((likeliest(probabilities) == np.asarray(labels)[:, None]).any(axis=1).mean())


def tta(probabilities: np.ndarray) -> np.ndarray:
    """Return the mean over views: test-time augmentation, (V, N, C) in, (N, C) out."""
    return probabilities.mean(axis=0)


def random_tta_accuracies(by_flip: np.ndarray, labels: np.ndarray, *, draws: int = 10, seed: int = 42) -> list[float]:
    """Return the accuracies of `draws` repetitions of the write-up's random test-time augmentation.

    by_flip: probabilities (4, N, C) of the views in VIEWS, in that order. The write-up sums three
    passes, each flipping each way with probability one half; those flips pick among the four views,
    so that drawing views is the same as running the model again.
    """
    random = np.random.default_rng(seed)
    pictures = np.arange(len(labels))
    results = []
    for _ in range(draws):
        passes = [by_flip[random.integers(0, 4, len(labels)), pictures] for _ in range(3)]
        results.append(accuracy(np.sum(passes, axis=0), labels))
    return results


def score(
    model: nn.Module, batches: Iterable, labels: np.ndarray, *, machine: Machine, policy: str, pieces: int = 1
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return (results, predictions) on the test pictures, for a record: see Run.test and Run.predictions."""
    by_flip = predict(model, batches, machine=machine, views=VIEWS, pieces=pieces)
    plain, fixed = by_flip[0], tta(by_flip[[list(VIEWS).index(view) for view in TTA_VIEWS[policy]]])
    results = {
        "accuracy": accuracy(plain, labels),
        "top5": top5(plain, labels),
        "tta_accuracy": accuracy(fixed, labels),
        "tta_views": list(TTA_VIEWS[policy]),
        "random_tta_accuracies": random_tta_accuracies(by_flip, labels),
    }
    classes = likeliest(plain)
    predictions = {"labels": labels, "classes": classes, "tta": fixed.argmax(1)}
    predictions = {name: numbers.astype(np.uint16) for name, numbers in predictions.items()}
    # three decimals are all that is read off them, and pack into half the bytes
    probabilities = np.take_along_axis(plain, classes, axis=1).round(3).astype(np.float16)
    return results, {**predictions, "probabilities": probabilities}


def calibration_error(correct: np.ndarray, confidence: np.ndarray, *, bins: int = 15) -> float:
    """Return the expected calibration error, a fraction (Naeini et al. 2015; Guo et al. 2017).

    correct: bool (N,), right or not; confidence: the probability (N,) of the predicted class. Of `bins` equal
    parts of 0-1, the distance between the share that is right and the mean confidence, weighted by pictures.
    """
    correct, confidence = np.asarray(correct, float), np.asarray(confidence, float)
    if correct.shape != confidence.shape or not len(correct):
        raise ValueError(f"got {correct.shape} and {confidence.shape}, expected the same pictures twice, one or more")
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(place, correct - confidence)).sum() / len(correct))


def superclass_confusion(labels: np.ndarray, predicted: np.ndarray, coarse_of: np.ndarray) -> np.ndarray:
    """Return counts (20, 20), true superclass by row; coarse_of maps class to superclass, int (C,)."""
    return confusion_matrix(coarse_of[labels], coarse_of[predicted], labels=np.arange(coarse_of.max() + 1))


def most_confused(labels: np.ndarray, predicted: np.ndarray, n: int = 10) -> list[tuple[int, int, int]]:
    """Return the pairs of classes most often mistaken for each other, at most n unordered (a, b, count)."""
    counts = confusion_matrix(labels, predicted)
    present = np.union1d(labels, predicted)
    both = np.triu(counts + counts.T, k=1)
    best = np.argsort(-both, axis=None, kind="stable")[:n]
    pairs = zip(*np.unravel_index(best, both.shape), strict=True)
    return [(int(present[a]), int(present[b]), int(both[a, b])) for a, b in pairs if both[a, b]]
