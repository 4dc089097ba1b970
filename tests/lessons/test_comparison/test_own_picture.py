"""An image of one's own comes from a file, an upload or a camera, and is answered."""

import base64
import sys
from datetime import datetime
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import picture_file

from cifarlib.lessons.test_comparison.own_picture import camera_picture, look_at, upload_picture


def test_a_picture_is_an_array_or_a_path(cup):
    seen = []
    look_at(np.zeros((32, 32, 3), np.uint8), seen.append)
    look_at(cup, seen.append)
    look_at(str(cup), seen.append)
    assert [picture.shape for picture in seen] == [(32, 32, 3)] * 3
    with pytest.raises(ValueError, match="it is no file"):
        look_at("uplaod", seen.append)


def test_in_colab_the_photo_is_shrunk_and_answered(monkeypatch):
    photo = "data:image/png;base64," + base64.b64encode(picture_file()).decode()
    output = SimpleNamespace(eval_js=lambda script: photo)
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(output=output))
    seen = []
    look_at("camera", seen.append)
    assert (seen[0] == (255, 0, 0)).all()


def test_a_camera_that_is_refused_is_said_so(monkeypatch):
    def refuse(script: str) -> str:
        raise RuntimeError("NotAllowedError: Permission denied")

    colab = SimpleNamespace(output=SimpleNamespace(eval_js=refuse))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    with pytest.raises(ValueError, match=r"no photo from the camera: .*Permission denied"):
        camera_picture(print)


def test_elsewhere_the_camera_is_a_slip():
    with pytest.raises(ValueError, match='in Colab only: use "upload" here'):
        look_at("camera", print)


def test_in_colab_what_is_uploaded_is_shrunk_and_answered(monkeypatch):
    files = SimpleNamespace(upload=lambda: {"cup.png": picture_file()})
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(files=files))
    seen = []
    upload_picture(seen.append)
    (picture,) = seen
    assert picture.shape == (32, 32, 3)
    assert (picture == (255, 0, 0)).all()


def test_in_jupyter_a_button_waits_and_the_answer_is_shown_once(monkeypatch):
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda *things: displayed.extend(things))
    upload_picture(lambda picture: plt.figure(num=f"{picture.shape}"))
    button = displayed[0]
    cup = {
        "name": "cup.png",
        "type": "image/png",
        "size": len(picture_file()),
        "content": memoryview(picture_file()),
        "last_modified": datetime.now(),
    }
    button.value = (cup,)
    assert displayed[-1].get_label() == "(32, 32, 3)"
    assert not plt.fignum_exists("(32, 32, 3)")
