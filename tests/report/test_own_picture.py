"""A picture of the reader's own goes the way of the test pictures."""

import io
import sys
from datetime import datetime
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import SMOKE, copy_as_true
from PIL import Image

from cifarlib import find_run, recorded_top5, run, top5_of, trained_runs, upload_picture
from cifarlib.data.facts import CLASSES


@pytest.fixture(scope="module")
def finished(train, test, tmp_path_factory):
    """A finished smoke run on the stand-in."""
    folder = tmp_path_factory.mktemp("runs")
    return run(SMOKE, runs_dir=folder, data=(train, test), progress=False)


def test_a_trained_run_says_of_a_test_picture_what_its_record_says(finished, test):
    classes, probabilities = top5_of(finished, test.images[3])
    recorded, kept = recorded_top5(finished, 3)
    assert classes[0] == recorded[0]
    assert set(classes) <= set(CLASSES)
    np.testing.assert_allclose(probabilities, kept, atol=0.02)
    assert (np.diff(probabilities) <= 0).all()


def test_a_record_tells_five_classes_without_weights():
    published = find_run("ResNet18-32px-scratch-writeup")
    classes, probabilities = recorded_top5(published, 0)
    answers = published.predictions()
    assert classes == [CLASSES[number] for number in answers["classes"][0]]
    assert probabilities.tolist() == answers["probabilities"][0].tolist()


def test_only_runs_of_ones_own_with_weights_are_asked(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path))
    assert trained_runs() == []
    path = copy_as_true(finished, tmp_path, budget="quick")
    (found,) = trained_runs()
    assert found.path == path
    found.best_path.unlink()
    assert trained_runs() == []


# --- upload ---------------------------------------------------------------------------------------


def a_file() -> bytes:
    """Return a PNG of 50 × 40 pixels, all red."""
    buffer = io.BytesIO()
    Image.new("RGB", (50, 40), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_in_colab_what_is_uploaded_is_shrunk_and_answered(monkeypatch):
    files = SimpleNamespace(upload=lambda: {"cup.png": a_file()})
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
        "size": len(a_file()),
        "content": memoryview(a_file()),
        "last_modified": datetime.now(),
    }
    button.value = (cup,)
    assert displayed[-1].get_label() == "(32, 32, 3)"
    assert not plt.fignum_exists("(32, 32, 3)")
