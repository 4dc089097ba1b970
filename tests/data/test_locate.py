"""A named place has its pictures used, or the reader is told what is there instead."""

import shutil
from pathlib import Path

import pytest
from helpers import NOWHERE

from cifarlib import load_cifar100
from cifarlib.data.locate import data_in_words, is_at_hand


def folders(root: Path, *names: str) -> Path:
    """Return a folder in which these folders were made."""
    for name in names:
        (root / name).mkdir(parents=True)
    return root


# --- a named place --------------------------------------------------------------------------------


@pytest.fixture(params=["argument", "variable"])
def load_from(request, monkeypatch):
    """A function that loads from a place that is named in one of the two ways."""

    def load(place: Path):
        if request.param == "argument":
            return load_cifar100("train", place)
        monkeypatch.setenv("CIFARLIB_DATA", str(place))
        return load_cifar100("train")

    return load


def test_a_named_folder_that_is_not_there_is_an_error(load_from, tmp_path):
    with pytest.raises(ValueError, match=r"expected cifar-100-python/.*found no such folder"):
        load_from(tmp_path / "none")


def test_a_misspelt_folder_gets_the_nearest_beside_it(load_from, tmp_path):
    folders(tmp_path, "pictures")
    with pytest.raises(ValueError, match=r"did you mean .*/pictures\?"):
        load_from(tmp_path / "picturse")


def test_an_empty_named_folder_is_an_error_that_tells_how_to_fill_it(load_from, tmp_path):
    with pytest.raises(ValueError, match=r"found nothing in it; .*--source official"):
        load_from(tmp_path)


def test_folders_in_capitals_are_named_and_corrected(load_from, tmp_path):
    folders(tmp_path, "Test/cat", "Train/cat")
    with pytest.raises(ValueError, match=r"found Test/, Train/; did you mean .*/test\?"):
        load_from(tmp_path)


def test_a_place_one_level_too_high_gets_the_one_below(load_from, mine, tmp_path):
    shutil.copytree(mine, tmp_path / "photos")
    with pytest.raises(ValueError, match=r"found photos/; did you mean .*/photos\?"):
        load_from(tmp_path)


def test_a_place_one_level_too_low_gets_the_one_above(load_from, mine):
    with pytest.raises(ValueError, match=rf"found blue/, green/, red/; did you mean {mine}\?"):
        load_from(mine / "train")


def test_bare_class_folders_are_no_splits(load_from, tmp_path):
    folders(tmp_path, "cat", "dog")
    with pytest.raises(ValueError, match=r"expected .*train/<class>.*; found cat/, dog/$"):
        load_from(tmp_path)


def test_files_of_another_kind_are_named(load_from, tmp_path):
    for name in ("train.parquet", "test.parquet"):
        (tmp_path / name).write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"found test\.parquet, train\.parquet"):
        load_from(tmp_path)


def test_a_file_is_no_folder_and_nobody_has_no_home(load_from, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file: expected"):
        load_from(tmp_path / "file")
    with pytest.raises(ValueError, match="got folder ~no-such-user"):
        load_from(Path("~no-such-user/pictures"))


def test_a_split_alone_is_an_error_that_lists_what_is_there(load_from, tmp_path):
    folders(tmp_path, "train/cat", "train/dog", "valid")
    with pytest.raises(ValueError, match=r"no folder test/: .*found train/, valid/"):
        load_from(tmp_path)


# --- what is said beforehand ----------------------------------------------------------------------


def test_the_pictures_are_told_before_they_are_read(mine, official, monkeypatch):
    said = data_in_words(mine)
    assert said == f"your own pictures in {mine}: 120 to learn from, 24 to test"
    assert data_in_words(official) == f"CIFAR-100, the official files in {official}"
    with pytest.raises(ValueError, match="found no such folder"):
        data_in_words(official / "none")


@pytest.mark.usefixtures("default_data")
def test_where_nothing_is_at_hand_a_download_is_foretold(monkeypatch):
    monkeypatch.setattr("cifarlib.data.hub.cached_hub_file", lambda split: None)
    assert not is_at_hand()
    assert data_in_words().startswith("CIFAR-100, to be downloaded")


# --- the hub's cache ------------------------------------------------------------------------------


@pytest.mark.usefixtures("default_data")
def test_what_the_hub_gave_before_is_used_without_a_network(host, official, point_at, monkeypatch):
    true = {}
    for split in ("train", "test"):
        true[split] = load_cifar100(split, official).fingerprint
    monkeypatch.setattr("cifarlib.data.facts.FINGERPRINTS", true)
    point_at(NOWHERE, host.address)
    first = load_cifar100("test")
    point_at(NOWHERE, NOWHERE)
    again = load_cifar100("test")
    assert first.reason == f"downloaded from {host.address.removeprefix('http://')}"
    assert again.reason == "downloaded from the hub before"
    assert again.is_cifar100
    assert host.asked == ["datasets"]


def test_classes_of_ones_own_are_refused_where_the_talk_is_of_cifar100s(mine):
    with pytest.raises(ValueError, match=r"have 3 classes of their own.*unset CIFARLIB_DATA"):
        load_cifar100("train", mine, own_pictures=False)
    assert len(load_cifar100("test", source="stand-in", own_pictures=False).classes) == 100
