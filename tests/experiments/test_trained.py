"""Pictures of the reader's own go the way of the test pictures."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import SMOKE, copy_as_true, write_signed
from PIL import Image

from cifarlib import (
    Run,
    evidence_of,
    find_run,
    load_cifar100,
    load_runs,
    probabilities_of,
    run,
    top5_of,
    trained_runs,
)
from cifarlib.data.arrays import Whites
from cifarlib.data.facts import CLASSES
from cifarlib.data.folder import read_picture
from cifarlib.experiments.record import read_record
from cifarlib.experiments.store import published_model_run
from cifarlib.experiments.trained import read_and_predict, recorded_top5
from cifarlib.lessons.test_comparison.failures import evidence_figure
from cifarlib.lessons.test_comparison.own_picture import look_at
from cifarlib.tools.check import check_record
from cifarlib.tools.command_line import main


@pytest.fixture(scope="module")
def finished(train, test, tmp_path_factory):
    """A finished smoke run on the stand-in."""
    folder = tmp_path_factory.mktemp("runs")
    return run(SMOKE, runs_dir=folder, data=(train, test), progress=False)


def test_a_trained_run_says_of_a_test_picture_what_its_record_says(finished, test):
    classes, probabilities = top5_of(finished, test.images[3])
    recorded, kept = recorded_top5(finished, 3)
    assert classes[0] == recorded[0]
    assert set(classes) <= set(CLASSES)
    np.testing.assert_allclose(probabilities, kept, atol=0.02)
    assert (np.diff(probabilities) <= 0).all()


def test_a_record_tells_five_classes_without_weights():
    published = find_run("ResNet18-32px-scratch-writeup")
    classes, probabilities = recorded_top5(published, 0)
    answers = published.predictions()
    assert classes == [CLASSES[number] for number in answers["classes"][0]]
    assert probabilities.tolist() == answers["probabilities"][0].tolist()


def test_runs_with_weights_are_asked_ones_own_first(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path))
    along = [found.id for found in trained_runs()]
    assert along == [published_model_run().id]
    path = copy_as_true(finished, tmp_path, budget="quick")
    found = trained_runs()[0]
    assert found.path == path
    found.best_path.unlink()
    assert [found.id for found in trained_runs()] == along


def test_many_pictures_are_answered_like_one_by_one(finished, test):
    together = probabilities_of(finished, test.images[:70])
    assert together.shape == (70, 100)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-5)
    alone = probabilities_of(finished, test.images[69:70])
    np.testing.assert_allclose(together[69:], alone, atol=1e-5)


def test_the_evidence_of_each_picture_is_a_map_of_the_nets_size(finished, test):
    maps = evidence_of(finished, test.images[:2], np.array([3, 4]))
    assert maps.shape == (2, 32, 32)
    figure = evidence_figure(test.images[:2], {"class 3, 4": maps}, ["one", "two"])
    assert [axis.get_title() for axis in figure.axes[:2]] == ["one", "two"]
    assert figure.axes[2].get_ylabel() == "class 3, 4"


# --- the bundled net ------------------------------------------------------------------------------


def test_the_net_that_comes_along_learned_from_all_pictures_and_is_small():
    along = published_model_run()
    assert along.provenance["data"]["counts"]["train"] == 40_000
    assert along.best_path.stat().st_size < 8e6
    assert check_record(along.path) == []


# --- on the command line --------------------------------------------------------------------------


@pytest.fixture
def ask(monkeypatch, capsys):
    """`cifarlib predict` in this process: (exit code, what it prints, what it complains of)."""

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cifarlib", "predict", *map(str, arguments)])
        code = main()
        return code, *capsys.readouterr()

    return command


def test_predict_prints_five_classes_of_each_file(ask, cup):
    code, out, err = ask(cup, cup)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == lines[6] == str(cup)
    assert lines[1:6] == lines[7:]
    shares = []
    for line in lines[1:6]:
        share, name = line.split(maxsplit=1)
        assert name.replace(" ", "_") in CLASSES
        shares.append(float(share.removesuffix("%")))
    assert shares == sorted(shares, reverse=True)


def test_predict_asks_a_run_of_ones_own_by_its_id(ask, cup, finished, tmp_path):
    path = copy_as_true(finished, tmp_path / "runs", budget="quick")
    own = read_record(path)
    ((classes, _),) = read_and_predict(own, [cup])
    code, out, _ = ask(cup, "--run", own.id, "--runs-dir", tmp_path / "runs")
    assert code == 0
    assert out.splitlines()[1].split(maxsplit=1)[1] == classes[0].replace("_", " ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_such.jpg"], "cannot read no_such.jpg as a picture: it is no file"),
        ([__file__], "as a picture"),
        (["cup", "--run", "EfficientNet_lite0-128px"], "unknown run with weights"),
        (["cup", "--runs-dir", "no_such_folder"], "is no folder"),
    ],
)
def test_predict_says_in_one_line_what_is_wrong(arguments, words, ask, cup):
    words_typed = [str(cup) if word == "cup" else word for word in arguments]
    code, out, err = ask(*words_typed)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def forget_names(of: Run) -> None:
    """Take the classes' names out of a record, as older ones lack them."""
    record = json.loads(of.path.read_text(encoding="utf-8"))
    del record["provenance"]["data"]["class_names"]
    write_signed(of.path, record)


def test_a_run_on_ones_own_pictures_answers_with_their_names(mine, tmp_path, monkeypatch, ask):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path))
    on_mine = run(SMOKE, progress=False)
    picture = next((mine / "test" / "red").iterdir())
    code, out, _ = ask(picture, "--run", on_mine.id)
    assert code == 0
    assert {line.split()[1] for line in out.splitlines()[1:]} == {"red", "green", "blue"}
    # the record names them, whatever the data folder holds now
    monkeypatch.delenv("CIFARLIB_DATA")
    assert ask(picture, "--run", on_mine.id)[:2] == (0, out)
    forget_names(on_mine)
    code, _, err = ask(picture, "--run", on_mine.id)
    assert code == 2
    assert "does not name their classes: name their folder in CIFARLIB_DATA" in err


# --- pictures of every shape and kind -------------------------------------------------------------


@pytest.fixture(scope="module")
def on_grey(tmp_path_factory):
    """A run on dark and bright grey pictures of 16 bits, and their folder."""
    root = tmp_path_factory.mktemp("grey")
    rng = np.random.default_rng(0)
    for split, n in {"train": 40, "test": 10}.items():
        for name, level in {"dark": 500, "bright": 3000}.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(n):
                levels = rng.normal(level, 50, (32, 32)).astype(np.uint16)
                Image.fromarray(levels).save(folder / f"{number}.tif")
    train, test = (load_cifar100(split, root) for split in ("train", "test"))
    experiment = replace(SMOKE, lr=0.01)
    folder = tmp_path_factory.mktemp("runs")
    return run(experiment, runs_dir=folder, data=(train, test), progress=False), root


def test_files_get_the_answers_that_the_run_was_tested_with(on_grey):
    found, root = on_grey
    files = sorted((root / "test").rglob("*.tif"))
    answers = [dict(zip(*answer, strict=True)) for answer in read_and_predict(found, files)]
    recorded = [dict(zip(*recorded_top5(found, place), strict=True)) for place in range(len(files))]
    np.testing.assert_allclose(
        sorted(answer["bright"] for answer in answers),
        sorted(answer["bright"] for answer in recorded),
        atol=0.01,
    )
    # each on its own scale the dark ones would be as bright as the bright ones
    dark = next((root / "test" / "dark").iterdir())
    assert read_picture(dark).mean() > 3 * read_picture(dark, whites=Whites(4095)).mean()


def test_answers_bear_the_names_that_the_run_learned(on_grey):
    found, root = on_grey
    picture = load_cifar100("test", root).images[0]
    assert set(top5_of(found, picture)[0]) == {"bright", "dark"}
    assert set(recorded_top5(found, 0)[0]) == {"bright", "dark"}
    assert found.class_names == ("bright", "dark")


def test_a_run_on_other_classes_is_not_among_those_that_know_cifar100s(
    on_grey, finished, monkeypatch
):
    found, root = on_grey
    monkeypatch.setenv("CIFARLIB_DATA", str(root))
    monkeypatch.setenv("CIFARLIB_RUNS", str(found.path.parent.parent))
    assert found.id in [seen.id for seen in load_runs()]
    assert trained_runs() == []


@pytest.mark.parametrize(
    "ask_net",
    [
        lambda run, images: probabilities_of(run, images),
        lambda run, images: top5_of(run, images[0]),
        lambda run, images: evidence_of(run, images, np.zeros(len(images), int)),
        lambda run, images: look_at(images[0], lambda picture: None),
    ],
)
def test_floats_are_refused_with_what_makes_bytes_of_them(ask_net, finished, test):
    with pytest.raises(ValueError, match=r"make \(255 \* x\)\.round\(\)\.astype\('uint8'\)"):
        ask_net(finished, test.images[:2] / 255)


def test_an_array_gets_the_answer_of_the_same_picture_in_a_file(finished, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (48, 90, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    ((classes, probabilities),) = read_and_predict(finished, [tmp_path / "photo.png"])
    of_array = top5_of(finished, photo)
    assert of_array[0] == classes
    np.testing.assert_array_equal(of_array[1], probabilities)
    seen = []
    look_at(photo, seen.append)
    look_at(tmp_path / "photo.png", seen.append)
    assert np.array_equal(*seen)


# --- files as they are named ----------------------------------------------------------------------


def test_a_pattern_and_a_home_are_written_out(ask, cup, monkeypatch):
    monkeypatch.setenv("HOME", str(cup.parent))
    expected = ask(cup)
    for word in (cup.parent / "*.*", f"~/{cup.name}", cup.parent / f"{cup.stem[:-1]}?{cup.suffix}"):
        assert ask(word) == expected


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(ask, cup):
    odd = cup.with_name("cup[1].png")
    odd.write_bytes(cup.read_bytes())
    code, out, _ = ask(odd)
    assert code == 0
    assert out.splitlines()[0] == str(odd)


def test_a_pattern_that_nothing_fits_is_said(ask, tmp_path):
    code, out, err = ask(tmp_path / "*.jpg")
    assert (code, out) == (2, "")
    assert "no file fits" in err
    assert err.count("\n") == 1


def test_the_bundled_net_needs_no_folder_of_runs(ask, cup, tmp_path, monkeypatch):
    expected = ask(cup)
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path / "not made yet"))
    assert ask(cup) == expected
