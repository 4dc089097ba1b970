"""How good predictions are, and how sure a difference in accuracy is."""

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix

from ..data.arrays import check_labels


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return top-1 accuracy, a fraction, of probabilities (N, C) against labels (N,).

    Raises ValueError for probabilities or labels of another shape or kind, such as a row a label,
    for no image, and for probabilities that are not numbers.
    """
    probabilities, labels = _checked(probabilities, labels)
    return float(accuracy_score(labels, probabilities.argmax(1)))


def _checked(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (probabilities (N, C), labels int64 (N,)); ValueError for others, or none."""
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or probabilities.size == 0:
        raise ValueError(
            f"got probabilities {probabilities.shape}, expected (N, C): of each image, each class's"
        )
    if np.isnan(probabilities).any():
        raise ValueError("got probabilities that are not numbers (nan)")
    return probabilities, check_labels(labels, *probabilities.shape)


def likeliest(probabilities: np.ndarray, k: int = 5) -> np.ndarray:
    """Return the k likeliest classes (N, k), best first; of equals the lower number comes first."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :k]


def top5(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of pictures whose label is among the five likeliest classes.

    Not scikit-learn's top_k_accuracy_score: bfloat16 logits tie, and there the last of tied classes
    comes first. Raises ValueError as accuracy does.
    """
    probabilities, labels = _checked(probabilities, labels)
    hits = likeliest(probabilities) == labels[:, None]
    return float(hits.any(axis=1).mean())


def calibration_error(correct: np.ndarray, confidence: np.ndarray, *, bins: int = 15) -> float:
    """Return the expected calibration error, a fraction (Naeini et al. 2015; Guo et al. 2017).

    correct: bool (N,), right or not; confidence: the probability (N,) of the predicted class. Of
    `bins` equal parts of 0-1, the distance between the share that is right and the mean confidence,
    weighted by pictures. Raises ValueError for two lengths, no picture, or a confidence that is no
    fraction.
    """
    correct = np.asarray(correct, float)
    confidence = np.asarray(confidence, float)
    if correct.shape != confidence.shape or len(correct) == 0:
        raise ValueError(
            f"got {correct.shape} and {confidence.shape},"
            " expected the same pictures twice, one or more"
        )
    if not (confidence.min() >= 0 and confidence.max() <= 1):  # no comparison holds for nan
        raise ValueError(
            f"got confidences of {confidence.min():g} to {confidence.max():g}, expected 0 to 1"
        )
    place = (confidence * bins).astype(int)
    place = np.minimum(place, bins - 1)  # a confidence of 1 belongs to the last part
    # pictures × (share that is right - mean confidence) is a plain sum over the part's pictures
    distance_by_bin = np.bincount(place, weights=correct - confidence)
    return float(np.abs(distance_by_bin).sum() / len(correct))


def superclass_confusion(
    labels: np.ndarray,
    predicted: np.ndarray,
    coarse_of: np.ndarray,
) -> np.ndarray:
    """Return counts (20, 20), true superclass by row; coarse_of: int (C,), class to superclass."""
    superclasses = np.arange(coarse_of.max() + 1)
    return confusion_matrix(coarse_of[labels], coarse_of[predicted], labels=superclasses)


def most_confused(
    labels: np.ndarray,
    predicted: np.ndarray,
    n: int = 10,
) -> list[tuple[int, int, int]]:
    """Return the pairs of classes most often mistaken for each other, at most n (a, b, count)."""
    counts = confusion_matrix(labels, predicted)
    present = np.union1d(labels, predicted)  # the classes that the matrix is about
    both_ways = np.triu(counts + counts.T, k=1)
    pairs = []
    for place in np.argsort(-both_ways, axis=None, kind="stable")[:n]:
        a, b = np.unravel_index(place, both_ways.shape)
        count = int(both_ways[a, b])
        if count > 0:
            pairs.append((int(present[a]), int(present[b]), count))
    return pairs


def wilson_interval(correct: int, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval (fractions) for an accuracy of `correct` out of `total`.

    Source: Wilson 1927. Raises ValueError unless 0 <= correct <= total and total is 1 or more.
    """
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"got {correct} correct of {total}, expected 0 to {total} of 1 or more")
    interval = binomtest(int(correct), int(total)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(first_correct: np.ndarray, second_correct: np.ndarray) -> float:
    """Return the p-value of McNemar's exact test between two models on the same pictures.

    Both: bool (N,), right or not; only pictures that one got right and the other wrong count
    (McNemar 1947). Raises ValueError for two lengths, and for what is not bool, such as classes.
    """
    first = np.asarray(first_correct)
    second = np.asarray(second_correct)
    for answers in (first, second):
        if answers.dtype != bool:
            raise ValueError(
                f"got {answers.dtype}, expected bool (N,): predicted == labels of each picture"
            )
    if first.shape != second.shape:
        raise ValueError(f"got {first.shape} and {second.shape}, expected the same pictures twice")
    # were both models equally good, each would win such a picture with probability one half
    decisive = first[first != second]
    if len(decisive) == 0:
        return 1.0
    return float(binomtest(int(decisive.sum()), len(decisive)).pvalue)
