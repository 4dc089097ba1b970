"""How sure a difference in accuracy is."""

import numpy as np
from scipy.stats import binomtest


def wilson_interval(correct: int, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval (fractions) for an accuracy of `correct` out of `total` (Wilson 1927).

    Raises ValueError unless 0 <= correct <= total and total is 1 or more.
    """
    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"got {correct} correct of {total}, expected 0 to {total} of 1 or more")
    interval = binomtest(int(correct), int(total)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(first_correct: np.ndarray, second_correct: np.ndarray) -> float:
    """Return the p-value of McNemar's exact test between two models on the same pictures.

    Both: bool (N,), right or not; only pictures that one got right and the other wrong count (McNemar 1947).
    ValueError for two lengths.
    """
    first, second = np.asarray(first_correct, bool), np.asarray(second_correct, bool)
    if first.shape != second.shape:
        raise ValueError(f"got {first.shape} and {second.shape}, expected the same pictures twice")
    decisive = first[first != second]
    return float(binomtest(int(decisive.sum()), len(decisive)).pvalue) if len(decisive) else 1.0
