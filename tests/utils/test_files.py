"""Files are written whole or not at all, and folders are found where they were named."""

import contextlib
import json

import pytest

from cifarlib.utils import files


def test_a_file_whose_writing_fails_is_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with contextlib.suppress(RuntimeError), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stopped")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fails_is_named_with_what_is_kept(tmp_path):
    path = tmp_path / "none" / "file"
    with pytest.raises(OSError, match=r"cannot write .*file: No such file"):
        files.write_bytes(path, b"content")


def test_json_keeps_the_order_of_its_keys_and_refuses_nan(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"b": 1, "a": "資料"})
    assert list(json.loads(path.read_text(encoding="utf-8"))) == ["b", "a"]
    assert "資料" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, {"b": float("nan")})
    assert list(tmp_path.iterdir()) == [path]


def test_a_relative_folder_is_looked_up_from_where_one_is_and_from_the_repository(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("CIFARLIB_DATA", "here")
    assert files.user_folder("CIFARLIB_DATA", "data") == (tmp_path / "here").resolve()
    monkeypatch.setenv("CIFARLIB_DATA", "elsewhere")
    assert files.user_folder("CIFARLIB_DATA", "data") == files.repository_root() / "elsewhere"
    monkeypatch.delenv("CIFARLIB_DATA")
    assert files.user_folder("CIFARLIB_DATA", "data") == files.repository_root() / "data"


def test_a_clone_that_is_read_only_is_not_written_into(tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "pyproject.toml").write_text("")
    monkeypatch.setattr(files, "PACKAGE", clone / "cifarlib")
    monkeypatch.chdir(tmp_path)
    assert files.repository_root() == clone
    monkeypatch.setattr(files.os, "access", lambda path, mode: False)
    assert files.repository_root() == tmp_path


def test_a_folder_below_a_file_cannot_be_had(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write to folder"):
        files.ensure_folder(tmp_path / "file" / "folder")
