"""Pictures of one's own are read alike, whatever their kind, or the file that is wrong is named."""

import numpy as np
import pytest
from PIL import Image

from cifarlib import load_cifar100
from cifarlib.data import facts
from cifarlib.data.folder import read_picture

SPLITS = ("train", "test")


def test_a_photo_stored_lying_down_is_read_upright(tmp_path):
    upright = np.zeros((64, 64, 3), np.uint8)
    upright[:32] = 255  # a bright sky
    lying = Image.fromarray(np.rot90(upright))
    exif = lying.getexif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to see it
    lying.save(tmp_path / "photo.png", exif=exif)
    assert (read_picture(tmp_path / "photo.png")[:10] == 255).all()


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
    image = read_picture(path, side=24)
    assert image.shape == (24, 24, 3)
    assert image.dtype == np.uint8
    most = 56 if mode == "1" else 2  # black and white dither the grey
    assert abs(image.mean() - 200) <= most


def test_the_middle_square_of_a_wide_picture_is_taken(tmp_path):
    wide = np.zeros((30, 90, 3), np.uint8)
    wide[:, 30:60] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (read_picture(tmp_path / "wide.png", side=30) == 255).all()


def test_what_is_transparent_is_read_as_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png", side=8) == 255).all()


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
        pixels = read_picture(path)
        for mutant in mutants(whole, rng, 10):
            path.write_bytes(mutant)
            try:
                same_pixels = np.array_equal(read_picture(path), pixels)
            except ValueError:
                with pytest.raises(ValueError, match=path.name):
                    load_cifar100("test", tmp_path)
                outcomes.add("an error that names the file")
                continue
            assert load_cifar100("test", tmp_path).is_cifar100 == same_pixels
        path.write_bytes(whole)
    assert outcomes
