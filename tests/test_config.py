"""Experiments have one id each, whoever spells them, and nonsense is refused in words."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import SMOKE

from cifarlib import BUDGETS, Budget, Experiment, grid
from cifarlib.config import CIFAR100_PARTS, POLICIES, RECIPES, STEMS, timm_name

TUNED = {"backbone": "ResNet18", "image_size": 32, "init": "imagenet", "budget": "writeup"}


# --- ids ------------------------------------------------------------------------------------------


def test_ids_leave_out_what_is_at_its_default():
    assert SMOKE.id == "test_resnet-32px-scratch-smoke"
    other = Experiment("ResNet18", 64, "imagenet", "quick", seed=1, stem="cifar")
    assert other.id == "ResNet18-64px-imagenet-quick-seed_1-stem_cifar"


def test_an_id_does_not_depend_on_the_order_in_which_the_fields_are_named():
    fields = {"seed": 1, "recipe": "onecycle", "policy": "natural", "stem": "cifar", "lr": 0.5}
    expected = "seed_1-recipe_onecycle-policy_natural-stem_cifar-lr_0.5"
    for names in itertools.permutations(fields):
        experiment = Experiment(**{name: fields[name] for name in names}, **TUNED)
        assert experiment.id == f"ResNet18-32px-imagenet-writeup-{expected}"


def test_different_experiments_have_different_ids():
    cells = []
    for budget, recipe, policy, stem in itertools.product(BUDGETS, RECIPES, POLICIES, STEMS):
        for seed, lr in itertools.product((42, 0), (None, 0.5)):
            others = {"recipe": recipe, "policy": policy, "stem": stem, "seed": seed, "lr": lr}
            cells += grid(budget, backbones=["ResNet18", "ResNet50"], **others)
    assert len(set(cells)) == len(cells)
    assert len({cell.id for cell in cells}) == len(cells)


def test_the_grid_is_every_cell_of_the_comparison_small_pictures_first():
    cells = grid("writeup")
    assert len({cell.id for cell in cells}) == 5 * 3 * 2
    sizes = [cell.image_size for cell in cells]
    assert sizes == sorted(sizes)


# --- the learning rate ----------------------------------------------------------------------------


def test_the_budget_sets_the_learning_rate_unless_the_recipe_or_the_experiment_does():
    tuned = Experiment(**TUNED)
    assert tuned.learning_rate == BUDGETS["writeup"].lr["imagenet"] == 1e-4
    assert replace(tuned, recipe="onecycle").learning_rate == RECIPES["onecycle"].lr == 0.1
    assert replace(tuned, lr=0.5).learning_rate == 0.5
    assert replace(tuned, recipe="onecycle", lr=0.5).learning_rate == 0.5


def test_the_default_learning_rate_spelled_out_is_the_same_experiment():
    spelled = Experiment(**TUNED, lr=1e-4)
    assert spelled == Experiment(**TUNED)
    assert hash(spelled) == hash(Experiment(**TUNED))
    assert spelled.id == "ResNet18-32px-imagenet-writeup"
    assert spelled.lr is None


def test_the_recipes_default_learning_rate_spelled_out_is_the_same_experiment():
    spelled = Experiment(**TUNED, recipe="onecycle", lr=0.1)
    assert spelled == Experiment(**TUNED, recipe="onecycle")
    assert Experiment(**TUNED, recipe="onecycle", lr=1e-4).id.endswith("-lr_0.0001")


def test_a_rate_written_without_its_point_is_the_same_experiment():
    assert Experiment(**TUNED, lr=1).id == Experiment(**TUNED, lr=1.0).id


def test_true_is_no_number_of_pixels():
    with pytest.raises(ValueError, match="got image_size True, expected a whole number"):
        Experiment("ResNet18", True, "scratch", "quick")


@pytest.mark.parametrize(("lr", "part"), [(1e-3, "lr_0.001"), (0.5, "lr_0.5"), (3e-5, "lr_3e-05")])
def test_another_learning_rate_is_in_the_id(lr, part):
    assert Experiment(**TUNED, lr=lr).id == f"ResNet18-32px-imagenet-writeup-{part}"


@pytest.mark.parametrize("lr", [0, -1, math.nan, math.inf, "x", "0.1", True])
def test_a_learning_rate_that_is_no_number_above_zero_is_refused(lr):
    with pytest.raises(ValueError, match=r"got lr .*, expected a number above 0"):
        Experiment(**TUNED, lr=lr)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("backbone", "ResNet81", "did you mean 'ResNet18'"),
        ("image_size", 0, "got image_size 0, expected a whole number, 1 to 4096"),
        ("image_size", 32.0, "got image_size 32.0"),
        ("seed", -1, "got seed -1"),
        ("init", "imagnet", "did you mean 'imagenet'"),
        ("budget", "smok", "did you mean 'smoke'"),
        ("budget", "writeup_1e-3", "did you mean 'writeup'"),
        ("recipe", "one-cycle", "did you mean 'onecycle'"),
        ("policy", "x", "unknown policy 'x'"),
        ("stem", "cifer", "did you mean 'cifar'"),
    ],
)
def test_bad_experiments_are_refused_in_words(field, value, words):
    with pytest.raises(ValueError, match=words):
        Experiment(**{**TUNED, field: value})


def test_timms_own_names_are_known_with_a_tag_or_without():
    assert timm_name("ResNet18") == "resnet18.tv_in1k"
    assert timm_name("convnext_atto") == "convnext_atto"
    assert timm_name("resnet18.a1_in1k") == "resnet18.a1_in1k"
    with pytest.raises(ValueError, match="did you mean 'resnet18"):
        timm_name("resnet18.tv_in2k")


# --- budgets --------------------------------------------------------------------------------------


def test_a_budget_without_a_number_has_all_pictures():
    assert BUDGETS["writeup"].pictures == CIFAR100_PARTS
    assert BUDGETS["quick"].pictures == {"train": 10_000, "valid": 2_000, "test": 10_000}


def test_the_time_of_a_run_counts_looking_as_a_third_of_learning():
    # 10 epochs of 10,000 and 2,000 pictures, and 4 views of 10,000
    cell = Experiment("ResNet18", 32, "scratch", "quick")
    assert cell.epochs == 10
    assert cell.work() == 10 * 10_000 + (10 * 2_000 + 4 * 10_000) / 3
    few = {"train": 100, "test": 30}
    assert cell.work(few) == 10 * 80 + (10 * 20 + 4 * 30) / 3


# --- what a user hands in -------------------------------------------------------------------------


def test_numpys_numbers_give_the_same_experiment():
    numpys = Experiment(
        "ResNet18", np.int64(32), "imagenet", "writeup", seed=np.uint8(1), lr=np.float32(1e-3)
    )
    assert numpys == Experiment(**TUNED, seed=1, lr=1e-3)
    assert numpys.id == "ResNet18-32px-imagenet-writeup-seed_1-lr_0.001"
    assert {type(numpys.image_size), type(numpys.seed)} == {int}


def test_one_name_or_size_alone_is_a_list_of_one():
    alone = grid("smoke", backbones="ResNet18", image_sizes=np.int64(32), inits="scratch")
    assert alone == [Experiment("ResNet18", 32, "scratch", "smoke")]


BUDGET = {
    "n_train": 100,
    "n_valid": 20,
    "n_test": None,
    "epochs": {"scratch": 1},
    "lr": {"scratch": 1e-3},
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_train": -1}, "got n_train -1, expected a whole number, 1 or more"),
        ({"n_valid": 0}, "got n_valid 0"),
        ({"n_test": 2.5}, "got n_test 2.5"),
        ({"epochs": {"scratch": 0}}, "got epochs of scratch 0, expected a whole number, 1 or more"),
        ({"epochs": {"scrach": 1}}, "unknown init 'scrach': did you mean 'scratch'"),
        ({"lr": {"scratch": 0}}, "got lr of scratch 0, expected a number above 0"),
        ({"lr": {}}, "got epochs of scratch and no lr of it, expected both"),
        ({"epochs": 3}, 'got epochs 3, expected a dict by init, such as {"scratch": …}'),
    ],
)
def test_a_budget_that_cannot_be_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Budget(**(BUDGET | change))


def test_more_images_than_there_are_stand_for_all():
    budget = Budget(**(BUDGET | {"n_train": 10**6, "n_test": np.int64(50)}))
    assert budget.pictures == {"train": 40_000, "valid": 20, "test": 50}


def test_a_start_for_which_a_budget_has_no_epochs_is_named(monkeypatch):
    monkeypatch.setitem(BUDGETS, "mine", Budget(**BUDGET))
    assert Experiment("ResNet18", 32, "scratch", "mine").epochs == 1
    with pytest.raises(ValueError, match="the budget 'mine' has no epochs: expected scratch"):
        Experiment("ResNet18", 32, "imagenet", "mine")
