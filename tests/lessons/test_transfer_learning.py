"""A match is fair: time is counted alike, the frozen net stays as it is, both arms learn."""

import itertools

import pytest
import torch
from helpers import CPU, fixed_batches, tiny_net
from torch import nn

from cifarlib import create_model, frozen_features, race, train_all, train_head
from cifarlib.lessons import transfer_learning as match


@pytest.fixture
def clock(monkeypatch):
    """A clock that a step moves on by a tenth of a second."""
    now = itertools.count()
    monkeypatch.setattr(match.time, "perf_counter", lambda: next(now) / 10)


def test_a_race_takes_steps_until_the_time_is_up_and_looks_at_even_intervals(clock):
    taken = itertools.count(1)
    seen = race(taken, lambda: 0.5, seconds=2.0, spent=1.0, looks=2)
    assert [seconds for seconds, _ in seen] == pytest.approx([1.5, 2.0], abs=0.11)
    assert [share for _, share in seen] == [0.5, 0.5]


def test_measuring_costs_no_time(clock):
    def slow_look() -> float:
        for _ in range(50):
            match.time.perf_counter()
        return 1.0

    seen = race(itertools.count(), slow_look, seconds=1.0, looks=2)
    assert seen[-1][0] == pytest.approx(1.0, abs=0.11)


def test_a_race_without_time_left_says_so():
    with pytest.raises(ValueError, match=r"got 3\.0 s spent of 2 s"):
        race(itertools.count(), lambda: 0.0, seconds=2, spent=3.0)


def test_features_are_those_before_the_head_and_the_net_is_not_changed(train):
    net = create_model("test_resnet", image_size=32)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    features, labels = frozen_features(net, fixed_batches(train[:100]), CPU)
    assert features.shape == (100, net.num_features)
    assert torch.equal(labels, torch.as_tensor(train.labels[:100]))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    with torch.inference_mode():
        images, _ = next(iter(fixed_batches(train[:100])))
        logits = net.eval()(CPU.prepare(images))
    torch.testing.assert_close(net.get_classifier()(features[: len(logits)]), logits)


def test_both_arms_learn(train):
    few = fixed_batches(train[:64])
    torch.manual_seed(0)
    features = torch.randn(64, 8)
    labels = torch.arange(64) % 4
    head = nn.Linear(8, 4)
    before = nn.functional.cross_entropy(head(features), labels)
    for _ in itertools.islice(train_head(head, features, labels, lr=0.1), 30):
        pass
    assert nn.functional.cross_entropy(head(features), labels) < before
    net = tiny_net()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    for _ in itertools.islice(train_all(net, few, CPU), 2):
        pass
    moved = [not torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True)]
    assert all(moved)
