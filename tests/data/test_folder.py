"""Pictures of one's own are read alike, whatever their kind, or the file that is wrong is named."""

import contextlib
import io
import os
import shutil
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from cifarlib import load_cifar100, split_folds
from cifarlib.data import facts
from cifarlib.data.arrays import Whites
from cifarlib.data.folder import folder_state, read_picture, squared, white_levels

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


def test_no_mutant_of_a_folder_passes_for_the_whole(tmp_path, train, write_tree, mutants):
    for split in SPLITS:
        write_tree(tmp_path, train[:40], split)
    true = load_cifar100("test", tmp_path).fingerprint
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
            found = load_cifar100("test", tmp_path).fingerprint
            assert (found == true) == same_pixels
        path.write_bytes(whole)
    assert outcomes


# --- pictures of more than eight bits -------------------------------------------------------------


def save_grey(root: Path, levels: dict[str, np.ndarray]) -> Path:
    """Write grey pictures of any kind as root/<split>/<class>/0.tif, two classes of each split."""
    for place, array in levels.items():
        for split in SPLITS:
            folder = root / split / place
            folder.mkdir(parents=True)
            Image.fromarray(array).save(folder / "0.tif")
    return root


def mean_levels(root: Path) -> list[int]:
    """Return each picture's mean level, the classes in the order of their names."""
    loaded = load_cifar100("train", root, side=8)
    means = [round(image.mean()) for image in loaded.images]
    return [mean for _, mean in sorted(zip(loaded.labels, means, strict=True))]


@pytest.mark.parametrize(
    ("kind", "white"),
    [(np.float32, 1.0), (np.uint16, 1023), (np.uint16, 4095), (np.uint16, 65535)],
)
def test_a_data_set_of_deep_grey_keeps_dark_dark_and_bright_bright(kind, white, tmp_path):
    dark = np.full((20, 20), white / 100, kind)
    bright = np.full((20, 20), white, kind)
    save_grey(tmp_path, {"a": dark, "b": bright})
    assert mean_levels(tmp_path) == [round(255 * float(dark[0, 0]) / white), 255]


def test_the_scale_is_that_of_both_splits(tmp_path):
    save_grey(
        tmp_path, {"a": np.full((20, 20), 200, np.uint16), "b": np.zeros((20, 20), np.uint16)}
    )
    assert mean_levels(tmp_path) == [200, 0]
    brighter = np.full((20, 20), 60_000, np.uint16)
    Image.fromarray(brighter).save(tmp_path / "test" / "a" / "1.tif")
    assert mean_levels(tmp_path) == [1, 0]


@pytest.mark.parametrize("level", [-1.0, 70_000.0, np.nan])
def test_grey_levels_that_mean_nothing_are_refused_by_name(level, tmp_path):
    save_grey(tmp_path, {"a": np.ones((9, 9), np.float32), "b": np.full((9, 9), level, np.float32)})
    with pytest.raises(ValueError, match=r"b/0\.tif as a picture: its grey levels are"):
        load_cifar100("train", tmp_path)


def test_each_kind_has_a_scale_of_its_own(tmp_path):
    paths = []
    for name, array in {
        "float": np.full((4, 4), 0.5, np.float32),
        "integer": np.full((4, 4), 900, np.uint16),
        "plain": np.full((4, 4), 7, np.uint8),
    }.items():
        paths.append(tmp_path / f"{name}.tif")
        Image.fromarray(array).save(paths[-1])
    assert white_levels(paths)[:2] == (1023, 1)


# --- what cameras and systems add -----------------------------------------------------------------


def test_a_senseless_resolution_does_not_stop_a_folder(tmp_path):
    entries = [
        struct.pack("<HHII", 0x0112, 3, 1, 3),  # orientation: upside down
        struct.pack("<HHII", 0x011A, 10, 1, 8 + 2 + 2 * 12 + 4),  # pixels an inch: see below
    ]
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + b"".join(entries)
    exif += struct.pack("<Iii", 0, -1, 0)
    upside_down = np.zeros((32, 32, 3), np.uint8)
    upside_down[16:] = 255
    Image.fromarray(upside_down).save(tmp_path / "photo.jpg", exif=exif)
    assert read_picture(tmp_path / "photo.jpg")[:10].mean() > 250


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation, tmp_path, photo):
    picture = Image.fromarray(photo)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "photo.png", exif=exif)
    with Image.open(tmp_path / "photo.png") as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(read_picture(tmp_path / "photo.png"), expected)


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png as a picture: it is no file"):
        read_picture(tmp_path / "pipe.png")


def write_classes(root: Path, train: list[str], test: list[str]) -> Path:
    """Write a tree with one grey picture a class, a brighter one for each."""
    for split, names in {"train": train, "test": test}.items():
        for number, name in enumerate(names):
            folder = root / split / name
            folder.mkdir(parents=True)
            Image.new("RGB", (8, 8), (40 * number,) * 3).save(folder / "0.png")
    return root


def test_an_empty_class_is_named(tmp_path):
    write_classes(tmp_path, ["cat", "dog"], ["cat", "dog"])
    (tmp_path / "train" / "emu").mkdir()
    with pytest.raises(ValueError, match=r"train/emu holds no pictures"):
        load_cifar100("train", tmp_path)


def test_a_class_with_too_few_pictures_for_the_folds_is_named(tmp_path):
    write_classes(tmp_path, ["cat", "dog"], ["cat", "dog"])
    with pytest.raises(ValueError, match=r"has 1 pictures \('cat'\), expected 5 or more"):
        split_folds(load_cifar100("train", tmp_path))


def test_names_that_differ_in_their_unicode_form_are_one_class(tmp_path):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    write_classes(tmp_path, [composed, "tea"], [decomposed, "tea"])
    assert load_cifar100("test", tmp_path).classes == (composed, "tea")
    assert sorted(load_cifar100("test", tmp_path).labels) == [0, 1]


def test_folders_that_systems_leave_are_no_classes(tmp_path):
    write_classes(tmp_path, ["cat", "dog", "__MACOSX", "@eaDir"], ["cat", "dog", "__MACOSX"])
    assert load_cifar100("train", tmp_path).classes == ("cat", "dog")


# --- the size that was asked for ------------------------------------------------------------------


def test_photos_are_read_at_the_size_asked_for(tmp_path):
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    for split in SPLITS:
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.fromarray(stripes).save(tmp_path / split / name / "0.png")
    assert load_cifar100("train", tmp_path, side=128).images.std() > 120  # the stripes are there
    assert load_cifar100("train", tmp_path).images.std() < 10  # grey, at 32 pixels


def test_a_tree_of_cifar100_stays_at_its_32_pixels(tmp_path, train, write_tree, monkeypatch):
    for split in SPLITS:
        write_tree(tmp_path, train[:40], split)
    monkeypatch.setattr(facts, "COUNTS", {"train": 40, "test": 40})
    true = {split: load_cifar100(split, tmp_path).fingerprint for split in SPLITS}
    monkeypatch.setattr(facts, "FINGERPRINTS", true)
    assert load_cifar100("train", tmp_path, side=64).images.shape == (40, 32, 32, 3)
    monkeypatch.setattr(facts, "FINGERPRINTS", {"train": "", "test": ""})
    assert load_cifar100("train", tmp_path, side=64).images.shape == (40, 64, 64, 3)


def test_a_picture_of_too_many_pixels_is_named_and_not_unpacked(tmp_path):
    Image.new("1", (9000, 9000)).save(tmp_path / "huge.png")
    with pytest.raises(ValueError, match=r"huge\.png as a picture: 9000×9000 pixels are too many"):
        read_picture(tmp_path / "huge.png")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_a_damaged_avif_is_named(tmp_path, photo):
    path = tmp_path / "photo.avif"
    Image.fromarray(photo).save(path)
    whole = path.read_bytes()
    for size in range(20, len(whole), 40):
        path.write_bytes(whole[:size] + bytes(len(whole) - size))
        with contextlib.suppress(ValueError):  # a tail that says little may be lost unnoticed
            read_picture(path)
    path.write_bytes(whole[:100])
    with pytest.raises(ValueError, match=r"cannot read .*photo\.avif as a picture"):
        read_picture(path)


def test_grey_that_counts_down_from_white_is_refused_by_name(tmp_path):
    grey = Image.fromarray(np.full((8, 8), 60_000, np.uint16))
    grey.save(tmp_path / "film.tif", tiffinfo={262: 0})
    with pytest.raises(
        ValueError, match=r"film\.tif as a picture: its grey counts down from white"
    ):
        read_picture(tmp_path / "film.tif")
    Image.fromarray(np.full((8, 8), 250, np.uint8)).save(tmp_path / "paper.tif")
    assert read_picture(tmp_path / "paper.tif", side=8).mean() == 250


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are Unicode")
def test_the_state_of_a_folder_takes_any_name_and_a_link_that_leads_nowhere(tmp_path):
    write_classes(tmp_path, ["cat", "dog"], ["cat", "dog"])
    before = folder_state(tmp_path)
    odd = os.fsdecode(b"caf\xe9.png")
    shutil.copy(tmp_path / "train" / "cat" / "0.png", tmp_path / "train" / "cat" / odd)
    (tmp_path / "train" / "dog" / "link.png").symlink_to(tmp_path / "nowhere")
    assert folder_state(tmp_path) != before
    with pytest.raises(ValueError, match=r"link\.png as a picture: it is no file"):
        load_cifar100("train", tmp_path)


@pytest.mark.parametrize("side", [0, -3, "a", 2.5])
def test_a_side_that_cannot_be_is_said(side, mine):
    with pytest.raises(ValueError, match=f"got side {side!r}, expected a whole number"):
        load_cifar100("train", mine, side=side)


def test_what_would_be_left_out_is_named(tmp_path):
    write_classes(tmp_path, ["cat", "dog"], ["cat"])
    assert "none of them of dog" in load_cifar100("test", tmp_path).reason
    stray = tmp_path / "train" / "stray.png"
    shutil.copy(tmp_path / "train" / "cat" / "0.png", stray)
    with pytest.raises(ValueError, match=r"stray\.png lies beside the class folders"):
        load_cifar100("train", tmp_path)
    stray.unlink()
    (tmp_path / "train" / "README.txt").write_text("these are pets")
    (tmp_path / "train" / "emu").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"train/emu is a link that leads nowhere"):
        load_cifar100("train", tmp_path)


# --- deep grey of one data set --------------------------------------------------------------------


def test_a_file_is_read_on_the_scale_of_the_set_that_was_learned_from(tmp_path):
    path = tmp_path / "dark.tif"
    Image.fromarray(np.full((9, 9), 400, np.uint16)).save(path)
    assert read_picture(path).mean() == round(255 * 400 / 1023)  # alone, on its own
    assert read_picture(path, whites=Whites(integers=4095)).mean() == round(255 * 400 / 4095)
    # of a kind that the set has none of nothing is known
    assert read_picture(path, whites=Whites(floats=1)).mean() == round(255 * 400 / 1023)


def test_a_file_brighter_than_the_sets_white_is_refused(tmp_path):
    path = tmp_path / "bright.tif"
    Image.fromarray(np.full((9, 9), 5000, np.uint16)).save(path)
    with pytest.raises(ValueError, match=r"bright\.tif as a picture: .* levels above 4095"):
        read_picture(path, whites=Whites(integers=4095))


def test_an_image_set_tells_its_white_and_the_one_image_that_it_hangs_on(tmp_path):
    save_grey(tmp_path, {"a": np.full((9, 9), 300, np.uint16), "b": np.ones((9, 9), np.uint16)})
    images = load_cifar100("train", tmp_path)
    assert images.whites[:2] == (1023, None)
    assert images.reason.endswith("; deep grey is read with 1,023 as white")
    Image.fromarray(np.full((9, 9), 60_000, np.uint16)).save(tmp_path / "test" / "a" / "new.tif")
    rescaled = load_cifar100("train", tmp_path)
    assert rescaled.whites[:2] == (65535, None)
    assert rescaled.reason.endswith("65,535 as white, for new.tif alone (else 1,023)")
    assert rescaled[:1].whites == rescaled.whites


def test_a_set_without_deep_grey_has_no_white(mine):
    assert load_cifar100("train", mine).whites is None


# --- photos as phones store them ------------------------------------------------------------------


HEIC = b"\0\0\0\x18ftypheic" + bytes(40)


@pytest.fixture
def heic(tmp_path):
    """A file that begins as a phone's HEIC photo does."""
    path = tmp_path / "photo.heic"
    path.write_bytes(HEIC)
    return path


def test_without_its_package_heic_says_what_to_install(heic, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for file in (heic, io.BytesIO(HEIC)):
        with pytest.raises(ValueError, match="to read HEIC, pip install pillow-heif"):
            read_picture(file)


def test_with_its_package_heic_is_read(heic, monkeypatch):
    opener = SimpleNamespace(register_heif_opener=lambda: asked.append(True))
    asked = []
    monkeypatch.setitem(sys.modules, "pillow_heif", opener)
    with pytest.raises(ValueError, match="cannot identify image file"):  # it holds no photo
        read_picture(heic)
    assert asked


# --- arrays as files ------------------------------------------------------------------------------


def test_an_array_is_squared_as_the_same_picture_in_a_file_is(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "same.png")
    assert np.array_equal(squared(image[None], 32)[0], read_picture(tmp_path / "same.png", 32))
    square = image[None, :32, :32]
    assert squared(square, 32) is square
