"""A run's label says what is not the write-up's own; each backbone has a look of its own."""

import pytest

from cifarlib import BACKBONES, find_run, run_label
from cifarlib.experiments.labels import look
from cifarlib.experiments.store import find_superseded

FIRST = "ResNet18-32px-scratch-writeup"
HELD_BACK = "ResNet50-128px-imagenet-writeup"


def test_each_backbone_of_the_series_has_a_look_of_its_own():
    looks = [tuple(look(name).values()) for name in BACKBONES]
    assert len(set(looks)) == len(BACKBONES)


def test_other_backbones_get_spare_looks_that_differ():
    others = ["a", "b", "ResNet18", "c"]
    looks = [tuple(look(name, others).values()) for name in others]
    assert len(set(looks)) == 4
    assert look("ResNet18", others) == look("ResNet18")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        (FIRST, "ResNet18 32 px scratch"),
        (f"{FIRST}-seed_1", "ResNet18 32 px scratch, seed 1"),
        ("ResNet18-32px-imagenet-writeup-lr_0.001", "ResNet18 32 px fine-tuned, lr 0.001"),
        (
            f"{FIRST}-recipe_onecycle-policy_natural-stem_cifar",
            "ResNet18 32 px scratch, CIFAR stem, natural, one-cycle",
        ),
        ("ResNet18-32px-scratch-quick", "ResNet18 32 px scratch, 10,000 pictures"),
        (HELD_BACK, "ResNet50 128 px fine-tuned †"),
    ],
)
def test_a_label_says_what_is_not_the_write_ups_own(name, label):
    assert run_label(find_run(name)) == label


def test_weights_too_large_for_their_steps_hold_a_run_back():
    assert find_superseded("ResNet18-32px-imagenet-writeup").is_held_back
    # ten times the rate makes up for it; and what begins from scratch has no such weights
    assert not find_superseded("ResNet18-32px-imagenet-writeup-lr_0.001").is_held_back
    assert not find_run(FIRST).is_held_back
