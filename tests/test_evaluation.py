"""Every measure against an independent calculation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score
from torch import nn

from cifarlib import (
    accuracy,
    calibration_error,
    eval_transform,
    make_loader,
    mcnemar,
    most_confused,
    predict,
    superclass_confusion,
    top5,
    tta,
    wilson_interval,
)
from cifarlib.evaluation import VIEWS, random_tta_accuracies, score
from cifarlib.machine import Machine

CPU = Machine(torch.device("cpu"))


class Looker(nn.Module):
    """A fixed linear look at the picture that no flip leaves alone."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(100, 3 * 32 * 32, generator=torch.Generator().manual_seed(0)) / 50)

    def forward(self, images):
        return images.reshape(len(images), -1) @ self.weight.T


def loader(images, batch_size: int):
    return make_loader(images, eval_transform(32, normalize=False), batch_size=batch_size, num_workers=0)


def test_views_are_flips_and_do_not_depend_on_the_batch_size(test):
    first = predict(Looker(), loader(test, 64), machine=CPU, views=VIEWS)
    np.testing.assert_allclose(first, predict(Looker(), loader(test, 7), machine=CPU, views=VIEWS), atol=1e-6)
    np.testing.assert_allclose(first.sum(-1), 1, atol=1e-5)
    flipped = {"as is": test.images, "horizontal flip": test.images[:, :, ::-1], "vertical flip": test.images[:, ::-1]}
    flipped["both flips"] = test.images[:, ::-1, ::-1]
    for place, view in enumerate(VIEWS):
        turned = type(test)(np.ascontiguousarray(flipped[view]), test.labels, test.classes)
        np.testing.assert_allclose(first[place], predict(Looker(), loader(turned, 64), machine=CPU)[0], atol=1e-5)
    np.testing.assert_allclose(tta(first), first.mean(0))
    with pytest.raises(ValueError, match="did you mean 'vertical flip'"):
        predict(Looker(), loader(test, 64), machine=CPU, views=["vertical flop"])


def test_accuracy_and_top5_by_a_plain_loop():
    random = np.random.default_rng(0)
    probabilities, labels = random.random((500, 30)), random.integers(0, 30, 500)
    hits = [
        label in sorted(range(30), key=lambda c: -row[c])[:5] for row, label in zip(probabilities, labels, strict=True)
    ]
    assert top5(probabilities, labels) == pytest.approx(np.mean(hits))
    first = [max(range(30), key=row.__getitem__) == label for row, label in zip(probabilities, labels, strict=True)]
    assert accuracy(probabilities, labels) == pytest.approx(np.mean(first))
    assert top5(probabilities, labels) == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5))
    assert top5(probabilities[:, :4], labels % 4) == 1.0
    tied = np.ones((3, 10))  # of equals the lower number comes first, as in the recorded predictions
    assert top5(tied, np.array([0, 4, 5])) == pytest.approx(2 / 3)


def test_random_tta_is_what_flipping_at_random_gives():
    random = np.random.default_rng(1)
    same = np.repeat(random.random((1, 200, 10)), 4, axis=0)
    labels = random.integers(0, 10, 200)
    assert random_tta_accuracies(same, labels) == [accuracy(same[0], labels)] * 10  # flips that change nothing
    spread = random_tta_accuracies(random.random((4, 200, 10)), labels)
    assert len(spread) == 10
    assert len(set(spread)) > 1


def test_a_score_agrees_with_its_predictions(test):
    results, found = score(Looker(), loader(test, 64), test.labels, machine=CPU, policy="writeup")
    np.testing.assert_array_equal(found["labels"], test.labels)
    assert results["accuracy"] == pytest.approx(np.mean(found["classes"][:, 0] == test.labels))
    assert results["top5"] == pytest.approx(np.mean((found["classes"] == test.labels[:, None]).any(1)))
    assert results["tta_accuracy"] == pytest.approx(np.mean(found["tta"] == test.labels))
    assert results["tta_views"] == ["as is", "horizontal flip", "vertical flip"]
    assert (np.diff(found["probabilities"].astype(float), axis=1) <= 0).all()


def test_confusions_by_hand():
    labels, predicted = np.array([0, 0, 0, 1, 2, 2, 3]), np.array([1, 1, 0, 0, 3, 2, 2])
    assert most_confused(labels, predicted, 2) == most_confused(labels, predicted, 9) == [(0, 1, 3), (2, 3, 2)]
    coarse_of = np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(superclass_confusion(labels, predicted, coarse_of), [[4, 0], [0, 3]])


def test_calibration_by_hand():
    # two bins of 15 are filled: 0.95 four times, two of them right, and 0.30 once, wrong
    assert calibration_error([1, 1, 0, 0, 0], [0.95, 0.95, 0.95, 0.95, 0.3]) == pytest.approx((4 * 0.45 + 0.3) / 5)
    assert calibration_error([True, True], [1.0, 1.0]) == 0
    assert calibration_error([False], [1.0]) == 1


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60), st.integers(1, 20))
def test_calibration_by_a_plain_loop(pairs, bins):
    total = 0.0
    for k in range(bins):
        inside = [(c, p) for c, p in pairs if (k <= p * bins < k + 1) or (k == bins - 1 and p == 1)]
        if inside:
            right, sure = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            total += abs(right - sure) * len(inside) / len(pairs)
    assert calibration_error(*zip(*pairs, strict=True), bins=bins) == pytest.approx(total, abs=1e-9)


@given(total=st.integers(1, 10_000), share=st.floats(0, 1))
def test_wilson_by_its_formula(total, share):
    correct = round(share * total)
    low, high = wilson_interval(correct, total)
    z, p = 1.959963984540054, correct / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_by_counting(pairs):
    first, second = np.array(pairs).T
    a, b = sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs)
    tail = sum(math.comb(a + b, k) for k in range(min(a, b) + 1)) / 2 ** (a + b)
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail), abs=1e-9)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="5 correct of 4"):
        wilson_interval(5, 4)
    with pytest.raises(ValueError, match="the same pictures twice"):
        calibration_error([True], [0.5, 0.5])
    with pytest.raises(ValueError, match="the same pictures twice"):
        mcnemar(np.array([True]), np.array([True, False]))
