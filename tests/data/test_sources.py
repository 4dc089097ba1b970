"""Every source hands over the true pictures or says what is wrong; none leaves half a file."""

import pickle
import sys
import tarfile

import numpy as np
import pytest
from helpers import NOWHERE
from PIL import Image

from cifarlib import load_cifar100, split_folds
from cifarlib.data import facts, sources
from cifarlib.utils.files import file_digest

SPLITS = ("train", "test")


# --- the official files ---------------------------------------------------------------------------


def test_official_files_and_a_shuffled_tree_of_the_same_pictures_agree(
    official, write_tree, tmp_path
):
    tree = tmp_path / "tree"
    for split in SPLITS:
        write_tree(tree, load_cifar100(split, official), split)
    for split in SPLITS:
        first = load_cifar100(split, official)
        second = load_cifar100(split, tree)
        assert (first.source, second.source) == ("official", "folder")
        assert first.fingerprint == second.fingerprint
        np.testing.assert_array_equal(first.coarse_labels, second.coarse_labels)
    for ours, theirs in zip(
        split_folds(load_cifar100("train", official)),
        split_folds(load_cifar100("train", tree)),
        strict=True,
    ):
        assert ours.fingerprint == theirs.fingerprint


def test_official_pictures_are_arrays_of_the_documented_kind(official):
    images = load_cifar100("train", official)
    assert images.images.shape == (600, 32, 32, 3)
    assert images.images.dtype == np.uint8
    assert images.labels.dtype == np.int64
    assert len(images.classes) == 100
    assert len(images.superclasses) == 20


def test_the_archive_is_unpacked_where_only_it_is_there(official, tmp_path, monkeypatch):
    root = tmp_path / "archive"
    root.mkdir()
    with tarfile.open(root / sources.ARCHIVE, "w:gz") as tar:
        tar.add(official / "cifar-100-python", "cifar-100-python")
    monkeypatch.setattr(facts, "ARCHIVE_MD5", file_digest(root / sources.ARCHIVE))
    unpacked = load_cifar100("test", root)
    assert unpacked.fingerprint == load_cifar100("test", official).fingerprint


def test_a_damaged_archive_is_an_error(tmp_path):
    (tmp_path / sources.ARCHIVE).write_bytes(b"not an archive")
    with pytest.raises(ValueError, match="damaged"):
        load_cifar100("test", tmp_path)


def test_a_damaged_or_missing_file_is_an_error_and_no_pickle_is_opened(official):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle with a wrong MD5 was opened",))

    path = official / "cifar-100-python" / "train"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", pickle.dumps(Trap())):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged: got MD5"):
            load_cifar100("train", official)
    path.unlink()
    with pytest.raises(ValueError, match="missing"):
        load_cifar100("train", official)


def test_no_mutant_of_the_official_files_passes_for_cifar100(official, mutants, monkeypatch):
    true = load_cifar100("test", official).fingerprint
    monkeypatch.setitem(facts.FINGERPRINTS, "test", true)
    rng = np.random.default_rng(0)
    for name in ("test", "meta"):
        path = official / "cifar-100-python" / name
        whole = path.read_bytes()
        for mutant in mutants(whole, rng, 150):
            if mutant == whole:
                continue
            path.write_bytes(mutant)
            with pytest.raises(ValueError, match="is damaged"):
                load_cifar100("test", official)
        path.write_bytes(whole)
    assert load_cifar100("test", official).is_cifar100


# --- hosts ----------------------------------------------------------------------------------------


def test_the_official_archive_is_downloaded_once_and_kept(host, official, point_at, tmp_path):
    point_at(f"{host.address}/whole", NOWHERE)
    first = load_cifar100("test", tmp_path / "new")
    assert first.source == "official"
    assert first.fingerprint == load_cifar100("test", official).fingerprint
    assert load_cifar100("train", tmp_path / "new").source == "official"
    assert host.asked == ["whole"]


@pytest.mark.parametrize("kind", ["cut", "spoiled", "unknown", "stalling"])
def test_a_bad_transfer_leaves_no_file_under_the_final_name(kind, host, point_at, tmp_path):
    point_at(f"{host.address}/{kind}", NOWHERE)
    with pytest.raises(ConnectionError, match="could not download"):
        load_cifar100("test", tmp_path / "new", "official")
    assert not list((tmp_path / "new").iterdir())
    assert kind in host.asked or kind == "stalling"  # which is still being served


def test_a_transfer_broken_by_chance_is_tried_again(host, point_at, tmp_path):
    point_at(f"{host.address}/once-cut", NOWHERE)
    assert load_cifar100("test", tmp_path / "new").source == "official"
    assert host.asked == ["cut", "whole"]


@pytest.fixture
def slow(monkeypatch) -> None:
    """No machine is too fast for a slow host to count as one."""
    monkeypatch.setattr(sources, "SLOW_BYTES", 1e12)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("kind", ["unknown", "slow"])
def test_the_hub_stands_in_for_an_official_host_that_is_down_or_slow(
    kind, host, official, point_at, tmp_path, monkeypatch
):
    point_at(f"{host.address}/{kind}", host.address)
    true = {split: load_cifar100(split, official).fingerprint for split in SPLITS}
    monkeypatch.setattr(facts, "FINGERPRINTS", true)
    for split in SPLITS:
        images = load_cifar100(split, tmp_path / "new")
        assert images.source == "hub"
        assert images.is_cifar100
        assert len(images.superclasses) == 20


def test_a_hub_that_serves_other_pictures_is_an_error(host, point_at, tmp_path):
    point_at(NOWHERE, host.address)
    with pytest.raises(ValueError, match="the hub's copy is not CIFAR-100"):
        load_cifar100("test", tmp_path / "new")


@pytest.mark.usefixtures("slow")
def test_a_slow_official_host_is_waited_for_where_the_hub_is_no_help(host, point_at, tmp_path):
    point_at(f"{host.address}/slow", NOWHERE)
    assert load_cifar100("test", tmp_path / "new").source == "official"


def test_without_pyarrow_the_message_names_it(host, point_at, tmp_path, monkeypatch):
    point_at(NOWHERE, host.address)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConnectionError, match="pip install pyarrow"):
        load_cifar100("test", tmp_path / "new", "hub")


# --- a folder of pictures -------------------------------------------------------------------------


def test_a_photo_stored_lying_down_is_read_upright(tmp_path):
    upright = np.zeros((64, 64, 3), np.uint8)
    upright[:32] = 255  # a bright sky
    lying = Image.fromarray(np.rot90(upright))
    exif = lying.getexif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to see it
    lying.save(tmp_path / "photo.png", exif=exif)
    assert (sources.read_picture(tmp_path / "photo.png")[:10] == 255).all()


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("L", "png"),
        ("P", "gif"),
        ("RGBA", "png"),
        ("RGB", "jpg"),
        ("CMYK", "jpg"),
        ("1", "png"),
        ("LA", "png"),
        ("I;16", "png"),
    ],
)
def test_pictures_of_any_colour_mode_become_rgb_squares(mode, suffix, tmp_path):
    path = tmp_path / f"picture.{suffix}"
    if mode == "I;16":
        picture = Image.fromarray(np.full((30, 40), 200 * 257, np.uint16))
    else:
        picture = Image.new("RGB", (40, 30), (200, 200, 200)).convert(mode)
    picture.save(path)
    image = sources.read_picture(path, side=24)
    assert image.shape == (24, 24, 3)
    assert image.dtype == np.uint8
    most = 56 if mode == "1" else 2  # black and white dither the grey
    assert abs(image.mean() - 200) <= most


def test_the_middle_square_of_a_wide_picture_is_taken(tmp_path):
    wide = np.zeros((30, 90, 3), np.uint8)
    wide[:, 30:60] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (sources.read_picture(tmp_path / "wide.png", side=30) == 255).all()


def test_what_is_transparent_is_read_as_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (sources.read_picture(tmp_path / "clear.png", side=8) == 255).all()


def test_a_folder_is_not_cifar100_and_systems_files_in_it_are_passed_over(
    tmp_path, train, write_tree
):
    for split in SPLITS:
        write_tree(tmp_path, train[:20], split)
    (tmp_path / "test" / "Thumbs.db").write_text("")
    loaded = load_cifar100("test", tmp_path)
    assert len(loaded) == 20
    assert not loaded.is_cifar100
    assert "not CIFAR-100: folder" in repr(loaded)


def test_what_is_wrong_with_a_folder_is_named(tmp_path, train, write_tree):
    write_tree(tmp_path, train[:20], "train")
    with pytest.raises(ValueError, match="no folder test/"):
        load_cifar100("train", tmp_path)
    write_tree(tmp_path, train[:20], "test")
    (tmp_path / "test" / "unicorn").mkdir()
    with pytest.raises(ValueError, match="unicorn"):
        load_cifar100("test", tmp_path)
    note = next((tmp_path / "train").iterdir()) / "note.txt"
    note.write_text("no picture")
    with pytest.raises(ValueError, match=r"note\.txt"):
        load_cifar100("train", tmp_path)


def test_one_class_is_no_task(tmp_path, train, write_tree):
    one = train[train.labels == 3]
    for split in SPLITS:
        write_tree(tmp_path, one, split)
    with pytest.raises(ValueError, match="1 class"):
        load_cifar100("train", tmp_path)


def test_no_mutant_of_a_folder_passes_for_cifar100(
    tmp_path, train, write_tree, mutants, monkeypatch
):
    for split in SPLITS:
        write_tree(tmp_path, train[:40], split)
    true = load_cifar100("test", tmp_path).fingerprint
    monkeypatch.setitem(facts.FINGERPRINTS, "test", true)
    assert load_cifar100("test", tmp_path).is_cifar100
    rng = np.random.default_rng(1)
    outcomes = set()
    for path in sorted((tmp_path / "test").glob("*/*.png"))[:20]:
        whole = path.read_bytes()
        pixels = sources.read_picture(path)
        for mutant in mutants(whole, rng, 10):
            path.write_bytes(mutant)
            try:
                same_pixels = np.array_equal(sources.read_picture(path), pixels)
            except ValueError:
                with pytest.raises(ValueError, match=path.name):
                    load_cifar100("test", tmp_path)
                outcomes.add("an error that names the file")
                continue
            assert load_cifar100("test", tmp_path).is_cifar100 == same_pixels
        path.write_bytes(whole)
    assert outcomes
