"""Pictures come in one canonical order, say what they are, and are split fairly."""

import socket
from dataclasses import replace

import numpy as np
import pytest
from helpers import NOWHERE
from hypothesis import given, settings
from hypothesis import strategies as st

from cifarlib import ImageSet, load_cifar100, split_folds
from cifarlib.data import facts, standin
from cifarlib.data.cifar100 import canonical_order, data_id, in_canonical_order
from cifarlib.utils import online

# --- which source is taken, and what it is called -------------------------------------------------


@pytest.mark.usefixtures("default_data")
def test_where_no_host_answers_the_stand_in_says_so(monkeypatch):
    monkeypatch.setattr("cifarlib.data.official.silent", lambda url: "no answer within 3 s")
    monkeypatch.setattr("cifarlib.data.hub.silent_hub", lambda: "no answer within 3 s")
    images = load_cifar100("test")
    assert images.source == "stand-in"
    assert images.reason.count("no answer within 3 s") == 2  # of each host
    assert not images.is_cifar100
    assert len(images) == 10_000
    assert set(np.bincount(images.labels)) == {100}
    assert images.fingerprint == load_cifar100("test", source="stand-in").fingerprint


def test_a_source_asked_for_by_name_is_not_replaced(tmp_path, point_at):
    point_at(NOWHERE, NOWHERE)
    for source in ("official", "hub"):
        with pytest.raises(ConnectionError, match="cannot be downloaded"):
            load_cifar100("test", tmp_path / "nothing", source)


@pytest.mark.usefixtures("default_data")
def test_each_host_that_never_says_a_word_is_asked_once_and_given_up(point_at, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(online, "PROBE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as hole:  # takes the connection, and that is all
        address = f"http://127.0.0.1:{hole.getsockname()[1]}"
        point_at(f"{address}/official", f"{address}/hub")
        images = load_cifar100("test")
        again = load_cifar100("test")
        visits = count_visits(hole)
    assert visits == 2
    assert images.source == again.source == "stand-in"
    assert images.reason.count("no answer within 0.3 s") == 2
    assert "put cifar-100-python/ into data/" in images.reason


def count_visits(server: socket.socket) -> int:
    """Return how many connections wait at a server."""
    server.setblocking(False)
    visits = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return visits
        visits += 1


def test_unknown_names_get_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'train'"):
        load_cifar100("trian", tmp_path)
    with pytest.raises(ValueError, match="did you mean 'official'"):
        load_cifar100("train", tmp_path, "oficial")


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_loaded_here_is_true_to_its_name(split):
    images = load_cifar100(split)
    assert images.is_cifar100 == (images.source in ("official", "hub"))
    assert images.is_cifar100 == (images.fingerprint == facts.FINGERPRINTS[split])
    assert len(images) == facts.COUNTS[split]


# --- order, folds, statistics ---------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_canonical_order_forgets_the_order_it_got(random):
    pictures = standin.generate("test", counts={"test": 150})
    order = list(range(150))
    random.shuffle(order)
    first = canonical_order(pictures.images, pictures.labels)
    second = canonical_order(pictures.images[order], pictures.labels[order])
    np.testing.assert_array_equal(pictures.images[first], pictures.images[order][second])


@settings(max_examples=20, deadline=None)
@given(
    n_classes=st.integers(2, 12),
    per_class=st.integers(5, 30),
    n_folds=st.integers(2, 5),
    seed=st.integers(0, 9),
)
def test_folds_are_stratified_disjoint_and_complete(n_classes, per_class, n_folds, seed):
    labels = np.repeat(np.arange(n_classes), per_class)
    labels = np.random.default_rng(seed).permutation(labels)
    n = len(labels)
    images = np.zeros((n, 1, 1, 3), dtype=np.uint8)
    # the coarse labels mark each picture
    marked = ImageSet(
        images,
        labels,
        tuple("abcdefghijkl"[:n_classes]),
        coarse_labels=np.arange(n),
        superclasses=tuple(map(str, range(n))),
    )
    held_out = []
    for fold in range(n_folds):
        kept, valid = split_folds(marked, fold, n_folds, seed)
        assert len(kept) + len(valid) == n
        assert not set(kept.coarse_labels) & set(valid.coarse_labels)
        assert np.ptp(np.bincount(valid.labels, minlength=n_classes)) <= 1
        held_out.extend(valid.coarse_labels)
    assert sorted(held_out) == list(range(n))


def test_folds_that_cannot_be_are_refused(train):
    with pytest.raises(ValueError, match="got fold 5, expected a whole number, 0 to 4"):
        split_folds(train, fold=5)
    with pytest.raises(ValueError, match="smallest class has"):
        split_folds(train[:60])


def test_statistics_are_those_of_the_pixels(train):
    mean, std = train.channel_statistics()
    np.testing.assert_allclose(mean, train.images.mean((0, 1, 2)) / 255, atol=1e-9)
    np.testing.assert_allclose(std, train.images.std((0, 1, 2)) / 255, atol=1e-9)


@pytest.mark.parametrize("index", [3, slice(2, 5), [1, 4], np.arange(1000) < 7])
def test_a_part_keeps_each_picture_with_its_labels(index, train):
    part = train[index]
    places = np.atleast_1d(np.arange(1000)[index])
    np.testing.assert_array_equal(part.images, train.images[places])
    np.testing.assert_array_equal(part.labels, train.labels[places])
    np.testing.assert_array_equal(part.coarse_labels, train.coarse_labels[places])


# --- whatever is done to an image set -------------------------------------------------------------


def test_the_same_bytes_in_another_shape_are_other_images(test):
    narrow = replace(test, images=test.images.reshape(len(test), 16, 64, 3))
    assert narrow.fingerprint != test.fingerprint


def test_images_under_other_names_of_classes_are_another_task(train, test, monkeypatch):
    fingerprints = {"train": train.fingerprint, "test": test.fingerprint}
    monkeypatch.setattr(facts, "FINGERPRINTS", fingerprints)
    renamed = [replace(images, classes=facts.CLASSES[::-1]) for images in (train, test)]
    assert data_id(train, test) == ""
    assert train.is_cifar100
    assert data_id(*renamed) != ""
    assert not renamed[0].is_cifar100
    numbered = [replace(images, classes=range(100)) for images in (train, test)]
    assert len({data_id(*renamed), data_id(*numbered)}) == 2


@pytest.mark.parametrize("classes", [3, None, "ab"])
def test_names_of_classes_that_are_none_are_refused(classes, test):
    with pytest.raises(ValueError, match="expected their names"):
        replace(test, classes=classes)


def test_superclasses_of_other_images_are_refused(test):
    with pytest.raises(ValueError, match="got labels"):
        replace(test, coarse_labels=np.zeros(3, np.int64))


def test_a_set_without_images_has_an_order_too(test):
    assert len(in_canonical_order(test[:0])) == 0


def test_a_set_that_is_read_only_or_lies_in_a_file_is_as_good(test, tmp_path):
    np.save(tmp_path / "images.npy", test.images)
    mapped = replace(test, images=np.load(tmp_path / "images.npy", mmap_mode="r"))
    assert mapped.fingerprint == test.fingerprint
