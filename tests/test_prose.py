"""Numbers in the prose are those of the records, or stand in an output beside them."""

import re

import pytest
from prose import NOTEBOOKS, ROOT, marked_numbers, prose, unfounded_numbers, value_of, wrong_numbers

TEXTS = [*NOTEBOOKS, ROOT / "README.md"]
of_each_text = pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
of_each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@of_each_text
def test_marked_numbers_are_those_of_the_records(path):
    assert wrong_numbers(prose(path), marked_numbers(path)) == []


@pytest.mark.parametrize("path", [*NOTEBOOKS[2:], TEXTS[-1]], ids=lambda path: path.stem)
def test_texts_that_speak_of_runs_have_their_numbers_marked(path):
    assert len(marked_numbers(path)) >= 4


@of_each_notebook
def test_no_measured_number_stands_in_the_prose_alone(path):
    assert unfounded_numbers(path) == []


@of_each_notebook
def test_prose_can_be_read_when_it_is_edited(path):
    assert "<!--" not in prose(path)


@of_each_text
def test_percent_signs_are_written_one_way(path):
    assert re.findall(r"\d\s+[%％]", prose(path)) == []


def test_a_wrong_number_is_caught():
    entry = {
        "says": "ends at {39.7}% here",
        "record": "ResNet18-32px-scratch-writeup",
        "measure": "valid_accuracy@last",
    }
    assert wrong_numbers("it ends at 39.7% here", [entry]) == []
    assert wrong_numbers("it ends at 39.7%", [entry]) == ["'ends at 39.7% here' is not in the text"]
    (off,) = wrong_numbers("ends at 39.8% here", [entry | {"says": "ends at {39.8}% here"}])
    assert "the record has 39.7" in off


def test_differences_and_published_numbers_are_worked_out():
    gap = {"record": "ResNet18-32px-scratch-writeup"}
    gap["measure"] = "train_accuracy@last - valid_accuracy@last"
    assert value_of(gap) == pytest.approx(38.2, abs=0.05)
    stem = {
        "record": "ResNet18-32px-scratch-writeup-stem_cifar",
        "minus": "ResNet18-32px-scratch-writeup",
        "measure": "test.accuracy",
    }
    assert value_of(stem) == pytest.approx(22.65, abs=0.01)
    published = {"published": "SE-ResNeXt50 128 imagenet", "measure": "test.accuracy"}
    assert value_of(published) == pytest.approx(81.68)
