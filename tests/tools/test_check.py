"""A record that is damaged, edited, or says what cannot be is caught, and read without a fall."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import copy_as_true, write_signed

from cifarlib import RECIPES, load_runs
from cifarlib.experiments.record import read_record
from cifarlib.tools.check import check_record

pytestmark = pytest.mark.usefixtures("as_true")


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("history", "valid_accuracy", [0.9, 0.9]),
        ("test", "accuracy", 0.99),
        ("experiment", "seed", 7),
        ("provenance", "device", "a better one"),
    ],
)
def test_an_edited_record_is_caught(part, name, value, finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    assert check_record(path) == []
    record = json.loads(path.read_text(encoding="utf-8"))
    record[part][name] = value
    path.write_text(json.dumps(record), encoding="utf-8")
    assert "its digest does not fit its content: it was edited" in check_record(path)


def test_a_record_whose_history_is_cut_is_caught(finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    record = json.loads(path.read_text(encoding="utf-8"))
    record["history"] = {name: values[:1] for name, values in record["history"].items()}
    write_signed(path, record)
    assert check_record(path) == ["its history is not 2 epochs"]


def test_a_record_whose_parts_are_not_the_budgets_is_caught(finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    record = json.loads(path.read_text(encoding="utf-8"))
    record["provenance"]["data"]["counts"]["train"] = 399
    write_signed(path, record)
    assert any(said.startswith("its parts are {'train': 399") for said in check_record(path))


def test_half_a_record_is_caught(finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    assert "cannot read record" in check_record(path)[0]


def test_predictions_of_another_run_are_caught(finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    predictions = finished.predictions()
    predictions["classes"][:, 0] = predictions["labels"]
    np.savez_compressed(read_record(path).predictions_path, **predictions)
    problems = check_record(path)
    assert "its predictions are not those it was written with" in problems
    assert "its accuracy is not that of its predictions" in problems


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # numpy leaves a damaged file open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_predictions_are_caught_wherever_the_damage_is(finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    predictions = read_record(path).predictions_path
    whole = predictions.read_bytes()
    # bytes that matter to zip, to zlib, or to numpy
    for place in range(0, len(whole), len(whole) // 40):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        predictions.write_bytes(damaged)
        assert check_record(path), place
    predictions.write_bytes(b"")
    assert check_record(path)


# --- false, and signed ----------------------------------------------------------------------------


def forge(finished, folder, **changes):
    """Return a signed copy of a record in which values were put: {"part__part__name": value}."""
    path = copy_as_true(finished, folder)
    record = json.loads(path.read_text(encoding="utf-8"))
    for place, value in changes.items():
        *parts, name = place.split("__")
        inner = record
        for part in parts:
            inner = inner[part]
        inner[name] = value
    write_signed(path, record)
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"history__valid_accuracy": [0.5, 9.9]}, "its valid_accuracy is above 1"),
        ({"history__train_loss": [0.5, float("inf")]}, "numbers that are not finite"),
        ({"history__valid_loss": [-0.5, 1.0]}, "numbers below nought"),
        ({"history__lr": [1e-3, 1e-3]}, "its learning rates are not the cosine's from 0.001"),
        ({"history__epoch": [1, 3]}, "its history is not 2 epochs"),
        ({"provenance__weights": {"sha256": "11"}}, "it began from scratch and names weights"),
        ({"provenance__precision": ""}, "its provenance is incomplete: no precision"),
        ({"provenance__data__fingerprints__train": "0" * 64}, "its train pictures are not"),
        ({"provenance__data__fingerprints": {}}, "its fingerprints are of no part"),
        ({"provenance__data__cifar100": False}, "disagree on whether it is on CIFAR-100"),
        ({"provenance__data__name": "CIFAR-10"}, "its data are called CIFAR-10"),
        ({"provenance__seconds": "x"}, "its seconds is str"),
        ({"provenance__seconds": -5}, "its seconds are -5"),
        ({"provenance__device": 7}, "its device is int"),
        ({"provenance__precision": "int3"}, "its precision is 'int3'"),
        ({"provenance__data__classes": 10}, "it has 10 classes, expected 100"),
        ({"test__random_tta_accuracies": [2.0]}, "its random_tta_accuracies are not fractions"),
        ({"test__accuracy": float("nan")}, "its accuracy is not that of its predictions"),
        ({"provenance__engine": "steam"}, "its engine is 'steam'"),
        ({"provenance__code": {"commit": "main"}}, "its commit is 'main'"),
        ({"provenance__ended": "2020-01-01T00:00:00+00:00"}, "it ended before it started"),
        ({"provenance__ended": "yesterday"}, "its times are no times"),
        ({"provenance__started": "2020-01-01T00:00:00"}, "its times are not in UTC"),
        ({"provenance__seconds": 1e6}, "it trained for 1000000.0 s within"),
        ({"provenance__seconds_valid": "yes"}, "its seconds_valid is str"),
        ({"provenance__runs_side_by_side": 0}, "what ran beside it cannot be counted so"),
        ({"provenance__peak_memory_gb": 0}, "it took no memory"),
        ({"provenance__final_weights_sha256": "11"}, "the hash of its final weights is none"),
        ({"provenance__command": "cifarlib --runs-dir /home/me"}, "tells of somebody's machine"),
        ({"provenance__system": "me@example.org"}, "tells of somebody's machine"),
        ({"provenance__system": "file:///home/me"}, "tells of somebody's machine"),
        ({"provenance__command": "script ../me/run.py"}, "tells of somebody's machine"),
        ({"provenance__command": "cifarlib (C:\\Users)"}, "tells of somebody's machine"),
        ({"provenance__settings": {}}, "its settings are incomplete: no epochs"),
        ({"provenance__settings__epochs": 3}, "its history is not 3 epochs"),
        ({"provenance__settings__lr": 1e-2}, "its learning rates are not the cosine's from 0.01"),
        ({"provenance__settings__pictures": [None, 200, 200]}, "its parts are {'train': 400"),
        ({"experiment__seed": 7}, "its content test_resnet-32px-scratch-smoke-seed_7's"),
    ],
)
def test_a_record_of_what_cannot_be_is_caught_though_its_digest_fits(
    changes, said, finished, tmp_path
):
    path = forge(finished, tmp_path, **changes)
    assert any(said in problem for problem in check_record(path)), check_record(path)


def test_what_format_2_must_say_is_missed(finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["provenance"]["engine"]
    write_signed(path, record)
    assert check_record(path) == ["its provenance is incomplete: no engine"]


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("command", "cifarlib reproduce ResNet18-32px-scratch-smoke@1a2b3c4d --epochs 1"),
        ("device", "cpu: AMD EPYC 7B13 @ 2.45GHz, 2 of 4 threads"),
        ("command", "script"),
    ],
)
def test_what_is_nobodys_is_not_taken_for_somebodys(part, text, finished, tmp_path):
    path = forge(finished, tmp_path, **{f"provenance__{part}": text})
    assert check_record(path) == []


def test_a_later_format_is_not_read(finished, tmp_path):
    path = forge(finished, tmp_path, format=3)
    with pytest.raises(ValueError, match="format 3, expected 1 or 2"):
        read_record(path)


def test_settings_of_their_day_are_checked_and_not_todays(finished, tmp_path, monkeypatch):
    heavier = replace(RECIPES["writeup"], min_lr=1e-4)
    monkeypatch.setitem(RECIPES, "writeup", heavier)
    assert check_record(copy_as_true(finished, tmp_path)) == []


def test_a_missing_column_of_the_history_is_caught(finished, tmp_path):
    path = copy_as_true(finished, tmp_path)
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["history"]["train_loss"]
    write_signed(path, record)
    assert any("its history has columns" in problem for problem in check_record(path))


def test_a_tuned_run_that_names_no_weights_is_caught(finished, tmp_path):
    path = forge(finished, tmp_path, experiment__init="imagenet")
    assert "it began from ImageNet weights and does not name them" in check_record(path)


def put_predictions(path, **arrays) -> None:
    """Write other predictions beside a record, which names their digest."""
    run = read_record(path)
    np.savez_compressed(run.predictions_path, **(run.predictions() | arrays))
    record = json.loads(path.read_text(encoding="utf-8"))
    content = run.predictions_path.read_bytes()
    record["provenance"]["predictions_sha256"] = hashlib.sha256(content).hexdigest()
    write_signed(path, record)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"labels": np.zeros(1, np.uint16)}, r"its labels have shape (1,), expected (200,)"),
        ({"labels": np.arange(200) % 100}, "its labels are not those of CIFAR-100's test pictures"),
        ({"tta": np.full(200, 100)}, "its tta name more than 100 classes"),
        ({"classes": np.zeros((200, 5), int)}, "its likeliest classes name one twice"),
        ({"probabilities": np.full((200, 5), 0.9)}, "its probabilities sum to more than 1"),
        ({"probabilities": np.full((200, 5), np.nan)}, "not all numbers from 0 on"),
        ({"probabilities": np.tile(np.arange(5) / 20, (200, 1))}, "probabilities are not in order"),
    ],
)
def test_predictions_that_cannot_be_are_caught_though_their_digest_fits(
    arrays, said, finished, tmp_path
):
    path = copy_as_true(finished, tmp_path)
    put_predictions(path, **arrays)
    assert any(said in problem for problem in check_record(path)), check_record(path)


# --- odd files ------------------------------------------------------------------------------------

ODD = {
    "a list": "[]",
    "a number": "3",
    "nothing": "",
    "deep": "[" * 100_000,
    "bytes": "\x00\x01",
    "parts of other kinds": '{"format": 1, "experiment": [], "history": 3}',
    "no parts": '{"format": 1}',
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_files_are_one_line_and_no_fall(kind, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(ODD[kind], encoding="utf-8")
    with pytest.raises(ValueError, match=r"cannot read record .*record\.json: ") as said:
        read_record(path)
    assert len(str(said.value).splitlines()) == 1
    assert len(check_record(path)) == 1


@pytest.mark.parametrize(
    "place",
    ["experiment", "history", "test", "provenance", "provenance__data", "history__epoch"],
)
@pytest.mark.parametrize("value", [None, 3, "text", [], {}, [[]], True])
def test_a_part_of_another_kind_is_one_line_wherever_it_is(place, value, finished, tmp_path):
    path = forge(finished, tmp_path, **{place: value})
    with pytest.raises(ValueError, match="cannot read record"):
        read_record(path)
    with pytest.raises(ValueError, match="cannot read record"):
        load_runs(runs_dir=tmp_path, any_data=True)
