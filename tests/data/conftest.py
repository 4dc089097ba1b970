"""Small files in the official format, and a local host that serves them well or badly."""

import http.server
import io
import pickle
import tarfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image
from quiet_server import QuietServer

from cifarlib import load_cifar100
from cifarlib.data import facts, standin
from cifarlib.data.official import ARCHIVE
from cifarlib.utils.files import file_digest

N = {"train": 600, "test": 200}
SLOW_PIECES = 24  # in which a slow host sends a file, with a pause before each
PAUSE = 0.05  # seconds


@pytest.fixture
def official(tmp_path, monkeypatch) -> Path:
    """A folder with small files in the official format, their MD5s taken for the true ones."""
    folder = tmp_path / "official" / "cifar-100-python"
    folder.mkdir(parents=True)
    content = {
        "meta": {
            "fine_label_names": list(facts.CLASSES),
            "coarse_label_names": sorted(facts.SUPERCLASSES),
        }
    }
    for split in N:
        pictures = standin.generate(split, counts=N)
        content[split] = {
            "data": pictures.images.transpose(0, 3, 1, 2).reshape(N[split], -1),
            "fine_labels": pictures.labels.tolist(),
            "coarse_labels": pictures.coarse_labels.tolist(),
        }
    for name, part in content.items():
        (folder / name).write_bytes(pickle.dumps(part))
        monkeypatch.setitem(facts.FILE_MD5, name, file_digest(folder / name))
    return folder.parent


@pytest.fixture
def write_tree() -> Callable:
    """A function that writes pictures as root/split/<class>/*.png under shuffled names."""

    def write(root: Path, images, split: str) -> None:
        names = np.random.default_rng(0).permutation(len(images))
        for name, image, label in zip(names, images.images, images.labels, strict=True):
            folder = root / split / images.classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{name}.png")

    return write


@pytest.fixture
def mutants() -> Callable:
    """A function that yields damaged copies of a file, of four kinds in turn."""

    def damage(whole: bytes, rng: np.random.Generator, n: int) -> Iterator[bytes]:
        for number in range(n):
            data = bytearray(whole)
            place = int(rng.integers(1, len(whole)))
            if number % 4 == 0:  # a bit is flipped
                data[place] ^= 1 << int(rng.integers(8))
            elif number % 4 == 1:  # cut off
                del data[place:]
            elif number % 4 == 2:  # halves swapped
                data = data[place:] + data[:place]
            else:  # a stretch of zeros
                data[place : place + 64] = bytes(len(data[place : place + 64]))
            yield bytes(data)

    return damage


# --- hosts ----------------------------------------------------------------------------------------


class Visitor(http.server.BaseHTTPRequestHandler):
    """Both hosts in one; the path's first part says how it serves a file.

    whole | cut, in the middle | spoiled, by other bytes | stalling, in the middle | slow | unknown.
    """

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        kind = self.answer(body=True)
        self.server.asked.append(kind)

    def answer(self, *, body: bool) -> str:
        """Send the headers that both hosts send, and the body if it is asked for."""
        kind = self.path.split("/")[1]
        content = self.server.files.get(self.path.split("/")[-1], b"")
        if kind == "once-cut":
            kind = "whole"
            if self.server.asked.count("cut") == 0:
                kind = "cut"
        if kind == "spoiled":
            content = b"x" * len(content)
        self.send_response(404 if kind == "unknown" else 200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{zlib.crc32(content)}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.end_headers()
        if body:
            self.send(kind, content)
        return kind

    def send(self, kind: str, content: bytes) -> None:
        """Send a body as well as this kind of host does."""
        half = content[: len(content) // 2]
        if kind == "cut":
            self.wfile.write(half)
        elif kind == "stalling":
            self.wfile.write(half)
            self.server.closing.wait()
        elif kind == "slow":
            size = -(-len(content) // SLOW_PIECES)
            for start in range(0, len(content), size):
                time.sleep(PAUSE)
                self.wfile.write(content[start : start + size])
        else:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Host(QuietServer):
    """A local host; `asked` says how each file that was asked for was served."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Visitor)
        self.files = files
        self.asked: list[str] = []
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def host(official, tmp_path, monkeypatch) -> Iterator[Host]:
    """A local host that has `official` as an archive and as the hub's parquet files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(official / "cifar-100-python", "cifar-100-python")
    files = {ARCHIVE: archive.getvalue()}
    for split in N:
        files[f"{split}-00000-of-00001.parquet"] = as_parquet(load_cifar100(split, official))
    digest = file_digest(io.BytesIO(files[ARCHIVE]))
    monkeypatch.setattr(facts, "ARCHIVE_MD5", digest)
    # a busy machine may pause for seconds, and that is not the host's fault
    monkeypatch.setattr("cifarlib.data.official.STALL_SECONDS", 60)
    monkeypatch.setattr("cifarlib.utils.online.PROBE_SECONDS", 60)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Host(files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.closing.set()
        server.shutdown()


def as_parquet(images) -> bytes:
    """Return pictures as the bytes of the hub's file."""
    pictures = [{"bytes": as_png(image), "path": None} for image in images.images]
    table = pyarrow.table({"img": pictures, "fine_label": images.labels})
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def as_png(image: np.ndarray) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def point_at(monkeypatch) -> Callable:
    """A function that lets the two hosts of CIFAR-100 be these addresses."""

    def point(official: str, hub: str) -> None:
        monkeypatch.setattr(facts, "ARCHIVE_URL", f"{official}/{ARCHIVE}")
        for module in ("utils.online", "data.hub"):
            monkeypatch.setattr(f"cifarlib.{module}.hub_endpoint", lambda: hub)

    return point
