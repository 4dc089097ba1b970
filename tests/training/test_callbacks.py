"""Whoever is told of a training sees it as it is: the bar, the curves, a reader's own."""

import sys
from types import SimpleNamespace
from typing import ClassVar

import IPython.display
import pandas as pd
import pytest
from helpers import CPU, fit_tiny, fixed_batches, tiny_net, train_batches

import cifarlib as cl
from cifarlib.training.callbacks import LiveCurves, ProgressBar, usual_callbacks


class Shown:
    """A figure on display: what it showed at each update."""

    seen: ClassVar[list[list[int]]] = []

    def __init__(self, figure, display_id):
        assert display_id
        self.update(figure)

    def update(self, figure):
        self.seen.append([len(line.get_xdata()) for axis in figure.axes for line in axis.lines])


def test_the_curves_are_drawn_anew_after_each_epoch_in_one_place(train, monkeypatch):
    monkeypatch.setattr(Shown, "seen", [])
    monkeypatch.setattr(IPython.display, "display", Shown)
    fit_tiny(train, epochs=3, callbacks=[LiveCurves()])
    # training and validation, of loss and of accuracy
    assert Shown.seen == [[1] * 4, [2] * 4, [3] * 4]


def test_there_are_curves_by_default_in_a_notebook_alone(monkeypatch):
    assert [type(one) for one in usual_callbacks()] == [ProgressBar]
    stream = type("OutStream", (), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stdout", stream)
    assert [type(one) for one in usual_callbacks()] == [ProgressBar, LiveCurves]


def test_the_bar_counts_steps_and_tells_the_last_epoch(train, capfd):
    fit_tiny(train, epochs=2, callbacks=[ProgressBar("mine")])
    said = capfd.readouterr().err
    assert "mine: 100%" in said
    assert "10/10" in said
    assert "epoch 2/2, valid" in said


@pytest.fixture
def docstrings() -> list[str]:
    """The code in Callback's docstring: two callbacks, and the call that takes them."""
    parts = [part for part in cl.Callback.__doc__.split("\n\n") if part.startswith("        ")]
    return ["\n".join(line[8:] for line in part.splitlines()) for part in parts]


def test_the_call_in_the_docstring_runs(docstrings, train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"cl": cl, "CPU": CPU, "model": tiny_net(), "train_loader": train_batches(train)}
    names["valid_loader"] = fixed_batches(train[300:400])
    assert len(docstrings) == 3
    for code in docstrings:
        exec(code.replace("epochs=50", "epochs=2, device=CPU"), names)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("losses", "stops"), [([3, 1, 2, 2, 2, 2, 2, 2], True), ([3, 2, 2, 2, 2, 1], False)]
)
def test_early_stopping_as_the_docstring_has_it(losses, stops, docstrings):
    names = {"cl": cl}
    exec(docstrings[0], names)
    training = SimpleNamespace(frame=pd.DataFrame({"valid_loss": losses}), should_stop=False)
    names["EarlyStopping"]().on_epoch_end(training)
    assert training.should_stop == stops
