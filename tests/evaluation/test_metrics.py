"""Every measure against an independent calculation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from cifarlib import (
    accuracy,
    calibration_error,
    mcnemar,
    most_confused,
    superclass_confusion,
    top5,
    wilson_interval,
)


def test_accuracy_and_top5_by_a_plain_loop():
    rng = np.random.default_rng(0)
    probabilities = rng.random((500, 30))
    labels = rng.integers(0, 30, 500)
    right = 0
    among_five = 0
    for row, label in zip(probabilities, labels, strict=True):
        order = sorted(range(30), key=lambda class_number: -row[class_number])
        right += order[0] == label
        among_five += label in order[:5]
    assert accuracy(probabilities, labels) == pytest.approx(right / 500)
    assert top5(probabilities, labels) == pytest.approx(among_five / 500)
    theirs = top_k_accuracy_score(labels, probabilities, k=5)
    assert top5(probabilities, labels) == pytest.approx(theirs)


def test_of_fewer_than_five_classes_all_are_among_the_top_five():
    probabilities = np.random.default_rng(0).random((20, 4))
    assert top5(probabilities, np.arange(20) % 4) == 1.0


def test_of_equally_likely_classes_the_lower_number_comes_first():
    tied = np.ones((3, 10))
    assert top5(tied, np.array([0, 4, 5])) == pytest.approx(2 / 3)


def test_confusions_by_hand():
    labels = np.array([0, 0, 0, 1, 2, 2, 3])
    predicted = np.array([1, 1, 0, 0, 3, 2, 2])
    assert most_confused(labels, predicted, 1) == [(0, 1, 3)]
    assert most_confused(labels, predicted, 9) == [(0, 1, 3), (2, 3, 2)]
    coarse_of = np.array([0, 0, 1, 1])
    found = superclass_confusion(labels, predicted, coarse_of)
    np.testing.assert_array_equal(found, [[4, 0], [0, 3]])


def test_calibration_by_hand():
    # two bins of 15 are filled: 0.95 four times, two of them right, and 0.30 once, wrong
    correct = [1, 1, 0, 0, 0]
    confidence = [0.95, 0.95, 0.95, 0.95, 0.3]
    assert calibration_error(correct, confidence) == pytest.approx((4 * 0.45 + 0.3) / 5)
    assert calibration_error([True, True], [1.0, 1.0]) == 0
    assert calibration_error([False], [1.0]) == 1


@given(
    pairs=st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60),
    bins=st.integers(1, 20),
)
def test_calibration_by_a_plain_loop(pairs, bins):
    total = 0.0
    for number in range(bins):
        inside = [pair for pair in pairs if min(int(pair[1] * bins), bins - 1) == number]
        if inside:
            share_right = sum(correct for correct, _ in inside) / len(inside)
            mean_confidence = sum(confidence for _, confidence in inside) / len(inside)
            total += abs(share_right - mean_confidence) * len(inside) / len(pairs)
    correct, confidence = zip(*pairs, strict=True)
    found = calibration_error(correct, confidence, bins=bins)
    assert found == pytest.approx(total, abs=1e-9)


@given(total=st.integers(1, 10_000), share=st.floats(0, 1))
def test_wilson_by_its_formula(total, share):
    correct = round(share * total)
    z = 1.959963984540054
    p = correct / total
    denominator = 1 + z * z / total
    middle = (p + z * z / (2 * total)) / denominator
    half = z / denominator * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    expected = (middle - half, middle + half)
    assert wilson_interval(correct, total) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_by_counting(pairs):
    first, second = np.array(pairs).T
    only_first = sum(x and not y for x, y in pairs)
    only_second = sum(y and not x for x, y in pairs)
    n = only_first + only_second
    tail = sum(math.comb(n, k) for k in range(min(only_first, only_second) + 1)) / 2**n
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail), abs=1e-9)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="5 correct of 4"):
        wilson_interval(5, 4)
    with pytest.raises(ValueError, match="the same pictures twice"):
        calibration_error([True], [0.5, 0.5])
    with pytest.raises(ValueError, match="the same pictures twice"):
        mcnemar(np.array([True]), np.array([True, False]))


@pytest.mark.parametrize("measure", [accuracy, top5])
@pytest.mark.parametrize(
    ("probabilities", "labels", "words"),
    [
        (np.eye(3), np.eye(3, dtype=int), "of one row a label"),
        (np.eye(3), np.zeros((3, 1), int), "of one column"),
        (np.eye(3), np.array([0, 1, 3]), "got labels from 0 to 3"),
        (np.arange(3), np.arange(3), r"got probabilities \(3,\), expected \(N, C\)"),
        (np.eye(3)[None], np.arange(3), r"got probabilities \(1, 3, 3\)"),
        (np.zeros((0, 3)), np.arange(0), r"got probabilities \(0, 3\)"),
        (np.full((3, 3), np.nan), np.arange(3), "not numbers"),
    ],
)
def test_what_no_score_can_be_made_of_is_refused(measure, probabilities, labels, words):
    with pytest.raises(ValueError, match=words):
        measure(probabilities, labels)


def test_classes_are_not_taken_for_right_and_wrong():
    with pytest.raises(ValueError, match=r"expected bool \(N,\): predicted == labels"):
        mcnemar(np.array([3, 4]), np.array([3, 5]))


def test_confidences_in_per_cent_are_refused():
    with pytest.raises(ValueError, match="got confidences of 80 to 90, expected 0 to 1"):
        calibration_error(np.array([True, False]), np.array([80, 90]))
