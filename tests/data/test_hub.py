"""The hub hands over CIFAR-100 or says why not."""

import sys

import pytest
from helpers import NOWHERE, full_disk

from cifarlib import load_cifar100


@pytest.mark.usefixtures("default_data")
def test_a_hub_that_serves_other_pictures_is_an_error(host, point_at):
    point_at(NOWHERE, host.address)
    with pytest.raises(ValueError, match="the hub's copy is not CIFAR-100"):
        load_cifar100("test")


def test_without_pyarrow_the_message_names_it(host, point_at, tmp_path, monkeypatch):
    point_at(NOWHERE, host.address)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConnectionError, match="pip install pyarrow"):
        load_cifar100("test", tmp_path / "new", "hub")


@pytest.mark.usefixtures("default_data")
def test_a_disk_too_full_for_the_hubs_file_is_an_error(host, point_at):
    point_at(NOWHERE, host.address)
    said = r"cannot write uoft-cs/cifar100: .*File too large"
    with full_disk(), pytest.raises(OSError, match=said):
        load_cifar100("test")
