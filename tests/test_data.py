"""Every source gives the same pictures in the same order, and says what it is."""

import http.server
import io
import pickle
import socket
import sys
import tarfile
import threading
import time
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cifarlib import (
    ImageSet,
    Trainer,
    choose_machine,
    cifar100,
    create_model,
    eval_transform,
    load_cifar100,
    make_loader,
    network,
    predict,
    sources,
    split_folds,
    standin,
    train_transform,
)
from cifarlib.data import canonical_order
from cifarlib.files import file_digest

N = {"train": 600, "test": 200}


@pytest.fixture
def official(tmp_path, monkeypatch) -> Path:
    """A folder with small files in the official format, their MD5s taken for the true ones."""
    folder = tmp_path / "official" / "cifar-100-python"
    folder.mkdir(parents=True)
    content = {
        "meta": {"fine_label_names": list(cifar100.CLASSES), "coarse_label_names": sorted(cifar100.SUPERCLASSES)}
    }
    for split in N:
        pictures = standin.generate(split, counts=N)
        data = pictures.images.transpose(0, 3, 1, 2).reshape(N[split], -1)
        labels = {"fine_labels": pictures.labels.tolist(), "coarse_labels": pictures.coarse_labels.tolist()}
        content[split] = {"data": data, **labels}
    for name, part in content.items():
        (folder / name).write_bytes(pickle.dumps(part))
        monkeypatch.setitem(cifar100.FILE_MD5, name, file_digest(folder / name))
    return folder.parent


def write_tree(root: Path, images: ImageSet, split: str, *, seed: int = 0) -> None:
    """Write pictures as root/split/<class>/*.png under shuffled names."""
    names = np.random.default_rng(seed).permutation(len(images))
    for name, image, label in zip(names, images.images, images.labels, strict=True):
        folder = root / split / images.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{name}.png")


def test_official_files_and_a_shuffled_tree_of_the_same_pictures_agree(official, tmp_path):
    for split in N:
        first = load_cifar100(split, official)
        write_tree(tmp_path / "tree", first, split)
        assert len(first) == N[split]
        assert first.images.dtype == np.uint8
        assert first.labels.dtype == np.int64
        assert len(first.classes) == 100
        assert len(first.superclasses) == 20
    for split in N:
        first, second = load_cifar100(split, official), load_cifar100(split, tmp_path / "tree")
        assert (first.source, second.source) == ("official", "folder")
        assert first.fingerprint == second.fingerprint
        np.testing.assert_array_equal(first.coarse_labels, second.coarse_labels)
    folds = [split_folds(load_cifar100("train", root)) for root in (official, tmp_path / "tree")]
    assert [part.fingerprint for part in folds[0]] == [part.fingerprint for part in folds[1]]


def test_the_archive_is_unpacked_where_only_it_is_there(official, tmp_path, monkeypatch):
    root = tmp_path / "archive"
    root.mkdir()
    with tarfile.open(root / sources.ARCHIVE, "w:gz") as tar:
        tar.add(official / "cifar-100-python", "cifar-100-python")
    monkeypatch.setattr(cifar100, "ARCHIVE_MD5", file_digest(root / sources.ARCHIVE))
    assert load_cifar100("test", root).fingerprint == load_cifar100("test", official).fingerprint
    (root / "cifar-100-python").rename(tmp_path / "away")
    (root / sources.ARCHIVE).write_bytes(b"not an archive")
    with pytest.raises(ValueError, match="damaged"):
        load_cifar100("test", root)


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


def test_a_photo_stored_lying_down_is_read_upright(tmp_path):
    upright = np.zeros((64, 64, 3), np.uint8)
    upright[:32] = 255  # a bright sky
    lying = Image.fromarray(np.rot90(upright))
    exif = lying.getexif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to see it
    lying.save(tmp_path / "photo.png", exif=exif)
    assert (sources.read_picture(tmp_path / "photo.png")[:10] == 255).all()


def test_pictures_of_any_size_and_mode_become_rgb_squares(tmp_path):
    modes = {"L": "png", "P": "gif", "RGBA": "png", "RGB": "jpg", "CMYK": "jpg", "1": "png", "LA": "png"}
    for place, (mode, suffix) in enumerate(modes.items()):
        picture = Image.new("RGB", (40 + place, 30), (200, 200, 200)).convert(mode)
        picture.save(tmp_path / f"{mode}.{suffix}")
    Image.fromarray(np.full((50, 40), 51400, np.uint16)).save(tmp_path / "I16.png")
    for path in tmp_path.iterdir():
        image = sources.read_picture(path, side=24)
        assert image.shape == (24, 24, 3)
        assert image.dtype == np.uint8
        assert abs(int(image.mean()) - 200) <= 56 if path.name == "1.png" else abs(int(image.mean()) - 200) <= 2, (
            path.name
        )


def test_what_is_wrong_with_a_folder_is_named(tmp_path, train, test):
    write_tree(tmp_path, train[:60], "train")
    with pytest.raises(ValueError, match="no folder test/"):
        load_cifar100("train", tmp_path)
    write_tree(tmp_path, train[:20], "test")
    (tmp_path / "test" / "Thumbs.db").write_text("")
    loaded = load_cifar100("test", tmp_path)
    assert len(loaded) == 20
    assert not loaded.is_cifar100
    assert "not CIFAR-100: folder" in repr(loaded)
    note = tmp_path / "train" / loaded.classes[0] / "note.txt"
    note.write_text("no picture")
    with pytest.raises(ValueError, match=r"note\.txt"):
        load_cifar100("train", tmp_path)
    note.unlink()
    (tmp_path / "test" / "unicorn").mkdir()
    with pytest.raises(ValueError, match="unicorn"):
        load_cifar100("test", tmp_path)


def test_one_class_is_no_task(tmp_path, train):
    one = train[train.labels == 3]
    for split in N:
        write_tree(tmp_path, one, split)
    with pytest.raises(ValueError, match="1 class"):
        load_cifar100("train", tmp_path)


class Host(http.server.BaseHTTPRequestHandler):
    """Both hosts in one; the path's first part says whether it serves, cuts, spoils, stalls or does not know a file."""

    files: ClassVar[dict[str, bytes]] = {}

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        """Send the headers that both hosts send, and the body if it is asked for."""
        kind, content = self.path.split("/")[1], self.files.get(self.path.split("/")[-1], b"")
        content = b"x" * len(content) if kind == "spoiled" else content
        self.send_response(404 if kind == "unknown" else 200)
        for name, value in {
            "Content-Length": len(content),
            "ETag": f'"{zlib.crc32(content)}"',
            "X-Repo-Commit": "a" * 40,
        }.items():
            self.send_header(name, str(value))
        self.end_headers()
        if body:
            half = kind in ("cut", "stalling", "slow")
            self.wfile.write(content[: len(content) // 2] if half else content)
            time.sleep({"stalling": 3, "slow": 1}.get(kind, 0))
            self.wfile.write(content[len(content) // 2 :] if kind == "slow" else b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def host(official, tmp_path, monkeypatch):
    """The address of a local host that has `official` as an archive and as the hub's parquet files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(official / "cifar-100-python", "cifar-100-python")
    files = {sources.ARCHIVE: buffer.getvalue()}
    for split in N:
        images, sheet = load_cifar100(split, official), io.BytesIO()
        pictures = [{"bytes": as_png(image), "path": None} for image in images.images]
        pyarrow.parquet.write_table(pyarrow.table({"img": pictures, "fine_label": images.labels}), sheet)
        files[f"{split}-00000-of-00001.parquet"] = sheet.getvalue()
    monkeypatch.setattr(Host, "files", files)
    monkeypatch.setattr(cifar100, "ARCHIVE_MD5", file_digest(io.BytesIO(files[sources.ARCHIVE])))
    monkeypatch.setattr(sources, "STALL_SECONDS", 0.5)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        server.handle_error = lambda request, address: None  # a client that hangs up is no news here
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def as_png(image: np.ndarray) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def point_at(monkeypatch, official: str, hub: str) -> None:
    """Let the two hosts be these addresses."""
    monkeypatch.setattr(cifar100, "ARCHIVE_URL", f"{official}/{sources.ARCHIVE}")
    monkeypatch.setattr(cifar100, "HUB_URL", hub)


NOWHERE = "http://127.0.0.1:9"


def test_the_official_archive_is_downloaded_and_kept(host, official, tmp_path, monkeypatch):
    point_at(monkeypatch, f"{host}/whole", NOWHERE)
    first = load_cifar100("test", tmp_path / "new")
    assert first.source == "official"
    assert first.fingerprint == load_cifar100("test", official).fingerprint
    point_at(monkeypatch, NOWHERE, NOWHERE)
    assert load_cifar100("train", tmp_path / "new").source == "official"


@pytest.mark.parametrize("kind", ["cut", "spoiled", "unknown", "stalling"])
def test_a_bad_transfer_leaves_no_file_under_the_final_name(kind, host, tmp_path, monkeypatch):
    point_at(monkeypatch, f"{host}/{kind}", NOWHERE)
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)  # pooch waits between its tries
    with pytest.raises(ConnectionError, match="could not download"):
        load_cifar100("test", tmp_path / "new", "official")
    assert not list((tmp_path / "new").iterdir())


def test_a_transfer_broken_by_chance_is_tried_again(host, tmp_path, monkeypatch):
    point_at(monkeypatch, f"{host}/whole", NOWHERE)
    whole, tries = Host.answer, []

    def once_cut(self, *, body):
        tries.append(body)
        self.path = self.path.replace("/whole", "/cut" if sum(tries) == 1 else "/whole")
        whole(self, body=body)

    monkeypatch.setattr(Host, "answer", once_cut)
    assert load_cifar100("test", tmp_path / "new").source == "official"
    assert sum(tries) == 2


@pytest.mark.parametrize("kind", ["unknown", "slow"])
def test_the_hub_stands_in_for_an_official_host_that_is_down_or_slow(kind, host, official, tmp_path, monkeypatch):
    point_at(monkeypatch, f"{host}/{kind}", host)
    true = {split: load_cifar100(split, official).fingerprint for split in N}
    with pytest.raises(ValueError, match="the hub's copy is not CIFAR-100"):
        load_cifar100("test", tmp_path / "new")
    monkeypatch.setattr(cifar100, "FINGERPRINTS", true)
    for split in N:
        images = load_cifar100(split, tmp_path / "new")
        assert images.source == "hub"
        assert images.is_cifar100
        assert len(images.superclasses) == 20


def test_a_slow_official_host_is_waited_for_where_the_hub_is_no_help(host, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "STALL_SECONDS", 2)
    point_at(monkeypatch, f"{host}/slow", NOWHERE)
    assert load_cifar100("test", tmp_path / "new").source == "official"


def test_without_pyarrow_the_message_names_it(host, tmp_path, monkeypatch):
    point_at(monkeypatch, NOWHERE, host)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConnectionError, match="pip install pyarrow"):
        load_cifar100("test", tmp_path / "new", "hub")


def mutants(whole: bytes, random: np.random.Generator, n: int):
    """Yield `n` damaged copies of a file: bits flipped, cut, halves swapped, a stretch of zeros."""
    for number in range(n):
        data, place = bytearray(whole), int(random.integers(1, len(whole)))
        if number % 4 == 0:
            data[place] ^= 1 << int(random.integers(8))
        elif number % 4 == 1:
            del data[place:]
        elif number % 4 == 2:
            data = data[place:] + data[:place]
        else:
            data[place : place + 64] = bytes(len(data[place : place + 64]))
        yield bytes(data)


def test_no_mutant_of_the_official_files_passes_for_cifar100(official, monkeypatch):
    true = load_cifar100("test", official).fingerprint
    monkeypatch.setitem(cifar100.FINGERPRINTS, "test", true)
    random = np.random.default_rng(0)
    for name in ("test", "meta"):
        path = official / "cifar-100-python" / name
        whole = path.read_bytes()
        for mutant in mutants(whole, random, 150):
            path.write_bytes(mutant)
            try:
                assert load_cifar100("test", official).fingerprint == true
            except ValueError as error:
                assert "is damaged" in str(error)  # noqa: PT017
        path.write_bytes(whole)
    assert load_cifar100("test", official).is_cifar100


def test_no_mutant_of_a_folder_passes_for_cifar100(tmp_path, train, monkeypatch):
    for split in N:
        write_tree(tmp_path, train[:40], split)
    true = load_cifar100("test", tmp_path).fingerprint
    monkeypatch.setitem(cifar100.FINGERPRINTS, "test", true)
    assert load_cifar100("test", tmp_path).is_cifar100
    random = np.random.default_rng(1)
    outcomes = set()
    for path in sorted((tmp_path / "test").glob("*/*.png"))[:20]:
        whole = path.read_bytes()
        for mutant in mutants(whole, random, 10):
            path.write_bytes(mutant)
            try:
                loaded = load_cifar100("test", tmp_path)
                assert loaded.is_cifar100 == (loaded.fingerprint == true)
                outcomes.add("the true data" if loaded.is_cifar100 else loaded.name)
            except ValueError as error:
                assert str(path) in str(error)  # noqa: PT017
                outcomes.add("an error that names the file")
        path.write_bytes(whole)
    assert "an error that names the file" in outcomes


def test_where_no_host_answers_the_stand_in_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("cifarlib.data.silent", lambda url: "no answer within 3 s")
    images = load_cifar100("test", tmp_path / "nothing")
    assert images.source == "stand-in"
    assert images.reason.count("no answer within 3 s") == 2  # of each host
    assert not images.is_cifar100
    assert len(images) == 10_000
    assert set(np.bincount(images.labels)) == {100}
    assert images.fingerprint == load_cifar100("test", source="stand-in").fingerprint
    with pytest.raises(ConnectionError, match="cannot be downloaded"):
        load_cifar100("test", tmp_path / "nothing", "official")


def test_a_host_that_refuses_is_silent_at_once(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "refused" in network.silent("http://127.0.0.1:9/")


def test_a_black_hole_is_given_up_in_time(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as hole:  # takes the connection and never says a word
        address = f"http://127.0.0.1:{hole.getsockname()[1]}"
        point_at(monkeypatch, f"{address}/official", f"{address}/hub")
        start = time.monotonic()
        images = load_cifar100("test", tmp_path / "nothing")
        assert time.monotonic() - start < 10
    assert images.source == "stand-in"
    assert "put cifar-100-python/ into data/" in images.reason


def test_the_stand_in_is_worth_learning_from():
    torch.manual_seed(0)
    train, test = load_cifar100("train", source="stand-in"), load_cifar100("test", source="stand-in")[:1000]
    model = create_model("test_resnet", image_size=32)  # timm's smallest: 0.4 million parameters
    varied, fixed = train_transform(32, normalize=False), eval_transform(32, normalize=False)
    loaders = make_loader(train[:10_000], varied, shuffle=True), make_loader(test, fixed, num_workers=0)
    trainer = Trainer(model, *loaders, choose_machine(model), epochs=3, lr=3e-3)
    assert any(row["valid_accuracy"] > 0.6 for row in trainer)  # stops at the epoch that gets there
    predicted = predict(model, loaders[1], machine=trainer.machine)[0].argmax(1)
    coarse_of = np.array([test.coarse_labels[test.labels == label][0] for label in range(100)])
    wrong = predicted != test.labels
    within = (coarse_of[predicted] == test.coarse_labels)[wrong].mean()
    assert within > 3 * 4 / 99  # chance: four of the other 99 classes share the superclass


def test_unknown_names_get_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'train'"):
        load_cifar100("trian", tmp_path)
    with pytest.raises(ValueError, match="did you mean 'official'"):
        load_cifar100("train", tmp_path, "oficial")


def test_what_is_loaded_here_is_true_to_its_name():
    for split, n in cifar100.COUNTS.items():
        images = load_cifar100(split)
        assert images.is_cifar100 == (images.source in ("official", "hub"))
        assert images.is_cifar100 == (images.fingerprint == cifar100.FINGERPRINTS[split])
        assert len(images) == n


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
@given(n_classes=st.integers(2, 12), per_class=st.integers(5, 30), n_folds=st.integers(2, 5), seed=st.integers(0, 9))
def test_folds_are_stratified_disjoint_and_complete(n_classes, per_class, n_folds, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(n_classes), per_class))
    images = np.arange(len(labels) * 3, dtype=np.uint8).reshape(-1, 1, 1, 3)
    marked = ImageSet(images, labels, tuple("abcdefghijkl"[:n_classes]), coarse_labels=np.arange(len(labels)))
    held_out = []
    for fold in range(n_folds):
        kept, valid = split_folds(marked, fold, n_folds, seed)
        assert len(kept) + len(valid) == len(labels)
        assert not set(kept.coarse_labels) & set(valid.coarse_labels)
        assert np.ptp(np.bincount(valid.labels, minlength=n_classes)) <= 1
        held_out.extend(valid.coarse_labels)
    assert sorted(held_out) == list(range(len(labels)))


def test_folds_that_cannot_be_are_refused(train):
    with pytest.raises(ValueError, match="expected 0 to 4"):
        split_folds(train, fold=5)
    with pytest.raises(ValueError, match="smallest class has"):
        split_folds(train[:60])


def test_statistics_are_those_of_the_pixels(train):
    mean, std = train.channel_statistics()
    np.testing.assert_allclose(mean, train.images.mean((0, 1, 2)) / 255, atol=1e-9)
    np.testing.assert_allclose(std, train.images.std((0, 1, 2)) / 255, atol=1e-9)
