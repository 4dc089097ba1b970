"""The fast way is chosen by fixed rules."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import CPU, PLAIN_CPU, fit_tiny, tiny_net

from cifarlib import Device, choose_device, create_model


@pytest.fixture
def no_gpu(monkeypatch) -> None:
    """A machine without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("backbone", "precision"),
    [("EfficientNet_b0", "float32"), ("SE-ResNeXt50", "bfloat16"), ("test_resnet", "bfloat16")],
)
def test_depthwise_nets_stay_in_float32_on_a_cpu(backbone, precision, monkeypatch):
    monkeypatch.setattr("cifarlib.training.device.cpu_has_bfloat16", lambda: True)
    assert choose_device(create_model(backbone)).precision == precision


@pytest.mark.usefixtures("no_gpu")
def test_the_chosen_device_normalises_with_the_weights_own_numbers():
    device = choose_device(tiny_net(), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    levels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    prepared = device.prepare(levels)
    torch.testing.assert_close(prepared[0], torch.full((3, 4, 4), -2.0))
    torch.testing.assert_close(prepared[1], torch.full((3, 4, 4), 2.0))


def test_only_the_fast_way_keeps_channels_last():
    pictures = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    assert CPU.prepare(pictures).is_contiguous(memory_format=torch.channels_last)
    assert PLAIN_CPU.prepare(pictures).is_contiguous()


def test_bfloat16_stays_close_to_float32(train):
    losses = {}
    for dtype in (torch.float32, torch.bfloat16):
        device = Device(torch.device("cpu"), dtype)
        losses[device.precision] = fit_tiny(train, device=device, epochs=1).history[0]["train_loss"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    assert losses["bfloat16"] != losses["float32"]


@pytest.mark.parametrize("n_images", [1, 4])
def test_bright_images_that_are_normalised_are_not_taken_for_raw_ones(n_images):
    device = Device(torch.device("cpu"), mean=(0.5,) * 3, std=(0.5,) * 3, refuses_raw=True)
    bright = torch.randint(128, 256, (n_images, 3, 8, 8), dtype=torch.uint8)
    device.prepare(device.prepare(bright))  # whole numbers ÷ 255, from 0 to 1
    with pytest.raises(ValueError, match="floats from 0 to 1"):
        device.prepare(bright / 255)
    with pytest.raises(ValueError, match="floats from 0 to 255"):
        device.prepare(bright.float())


MEMORY = """
import resource, sys, torch
from cifarlib.training.device import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit("not taken")
for _ in range(20):
    torch.ones(16_000_000)  # 64 MB, freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def page_faults(way: str) -> int:
    """Return how often a process had to be lent a page while it made and freed 20 large tensors."""
    command = [sys.executable, "-c", MEMORY, way]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"),
    reason="the memory is another C library's",
)
def test_freed_memory_is_used_again_rather_than_borrowed_anew():
    # 64 MB are 16,000 pages of 4 kB, twenty times or once; half of these, for a system that is
    # short of memory takes pages back meanwhile
    assert page_faults("plain") - page_faults("keep") > 10 * 15_000


# --- what comes in --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.eye(4), r"got labels float32 \(4, 4\), .*: of one row a label make y\.argmax\(1\)"),
        (torch.zeros(4, 1, dtype=torch.int64), r"\(4, 1\), .* of one column y\[:, 0\]"),
        (torch.zeros(4), r"got labels float32 \(4,\), expected whole numbers"),
        (torch.zeros(4, dtype=torch.bool), "got labels bool"),
        (torch.zeros(4, dtype=torch.complex64), "got labels complex64"),
        (torch.tensor([0, -100]), "got label -100, expected whole numbers from 0"),
    ],
)
def test_labels_that_a_loss_would_take_for_others_are_refused(labels, words):
    with pytest.raises(ValueError, match=words):
        CPU.prepare_labels(labels)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.uint16])
def test_labels_of_any_whole_kind_are_taken(kind):
    assert CPU.prepare_labels(torch.arange(3).to(kind)).tolist() == [0, 1, 2]
    assert CPU.prepare_labels([0, 1, 2]).dtype == torch.int64
    assert CPU.prepare_labels(np.arange(3)).dtype == torch.int64


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 8, 8, 3, dtype=torch.uint8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.zeros(2, 1, 8, 8, dtype=torch.uint8),
        torch.zeros(2, 3, 8, 8, dtype=torch.int64),
    ],
)
def test_whole_numbers_that_are_no_images_are_refused(images):
    with pytest.raises(ValueError, match=r"expected uint8 \(N, 3, H, W\), or floats"):
        CPU.prepare(images)


def test_numpys_images_are_taken():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)
    assert torch.equal(CPU.prepare(images), CPU.prepare(torch.as_tensor(images)))
    assert CPU.prepare(np.zeros((2, 3, 8, 8))).dtype == torch.float32


def test_torch_takes_no_more_threads_than_cores_that_may_be_used(monkeypatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        monkeypatch.setattr("cifarlib.training.device.cpu_count", lambda: 2)
        CPU.place(tiny_net())
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)  # as somebody asked
        CPU.place(tiny_net())
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
