"""Who drives a training step: chosen by rule, the same numbers, and a fallback that says so."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from helpers import CPU, PLAIN_CPU, At, fit_tiny, tiny_net
from torch import nn

from cifarlib import Callback, Device
from cifarlib.training import engine
from cifarlib.training.engine import Driven, choose_engine
from cifarlib.utils.files import PACKAGE

GPU = Device(torch.device("cuda"), torch.bfloat16)


def test_a_gpu_gets_a_graph_and_everything_else_is_eager():
    assert choose_engine(GPU) == "graph"
    assert choose_engine(replace(GPU, fast=False)) == "eager"
    assert choose_engine(CPU) == choose_engine(PLAIN_CPU) == "eager"
    assert choose_engine(Device(torch.device("mps"))) == "eager"


def test_an_engine_that_is_none_gets_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'graph'"):
        Driven(tiny_net(), CPU, "grph")


class Engines(Callback):
    """Sees what has driven each epoch."""

    def __init__(self) -> None:
        self.seen = []

    def on_epoch_end(self, training):
        self.seen.append(training.engine.used)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can capture")
def test_where_no_graph_can_be_captured_one_line_says_so_and_no_number_changes(
    train, capfd, monkeypatch
):
    eager = fit_tiny(train, epochs=2)
    capfd.readouterr()
    monkeypatch.setenv("CIFARLIB_ENGINE", "graph")
    engines = Engines()
    other = fit_tiny(train, epochs=2, callbacks=[engines])
    said = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert len(said) == 1
    assert said[0].startswith("no CUDA graph (")
    assert said[0].endswith("): this net is trained eagerly")
    assert engines.seen == ["eager", "eager"]
    assert other.history == eager.history


class Twice(nn.Module):
    """A replay whose answers are not the model's."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 2 * self.model(images)


@pytest.fixture
def captured(monkeypatch) -> list[torch.Size]:
    """Stand in for the capture, which needs a GPU: a replay is the model; the shapes captured."""
    shapes = []

    def capture(model: nn.Module, images: torch.Tensor, device: Device) -> nn.Module:
        shapes.append(images.shape)
        return Twice(model)

    monkeypatch.setattr(engine, "capture", capture)
    return shapes


def test_a_training_says_which_engine_drove_its_epochs(captured, train, monkeypatch):
    def lack_memory(training):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setenv("CIFARLIB_ENGINE", "graph")
    engines = Engines()
    fit_tiny(train, epochs=3, callbacks=[engines, At(2, 3, lack_memory)])
    assert engines.seen == ["graph", "eager", "eager"]  # the parts of a batch have no graph


def test_a_graph_replays_batches_like_the_first_in_training_and_nothing_else(captured):
    model = tiny_net().eval()
    driven = Driven(model, CPU, "graph")
    whole, odd = torch.randn(8, 3, 32, 32), torch.randn(5, 3, 32, 32)
    driven.train()
    driven(whole)
    driven(whole)
    driven(odd)
    assert captured == [whole.shape]
    driven.eval()
    assert torch.equal(driven(whole), model(whole))
    driven.train()
    driven(torch.randn(8, 3, 64, 64))  # another size gets a graph of its own
    assert len(captured) == 2


@pytest.fixture
def graphs(monkeypatch):
    """Stand in for torch.cuda's graphs: like those, replace a module's forward after warming up."""

    def with_answers_times(factor: float) -> None:
        def make_graphed_callables(
            holder: nn.Module,
            samples: tuple,
            *,
            capture_error_mode: str,
        ) -> None:
            assert capture_error_mode == "thread_local"
            for _ in range(3):  # which moves statistics and draws random numbers
                holder(*samples)
            inner = holder.model
            holder.forward = lambda images: factor * inner(images)

        monkeypatch.setattr(torch.cuda, "make_graphed_callables", make_graphed_callables)
        monkeypatch.setattr(torch.cuda, "get_rng_state", torch.get_rng_state)
        monkeypatch.setattr(torch.cuda, "set_rng_state", torch.set_rng_state)

    return with_answers_times


@pytest.mark.parametrize(("factor", "is_right"), [(1.0, True), (1.1, False)])
def test_a_capture_leaves_the_net_as_it_was_and_a_wrong_replay_is_refused(factor, is_right, graphs):
    graphs(factor)
    model = tiny_net().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state = torch.get_rng_state()
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    if is_right:
        replay = engine.capture(model, images, CPU)
        assert replay(images).shape == (8, 100)
        model.load_state_dict(before)
        torch.set_rng_state(random_state)
    else:
        with pytest.raises(RuntimeError, match="its logits differ from the net's by"):
            engine.capture(model, images, CPU)
    assert torch.equal(torch.get_rng_state(), random_state)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_reader_can_choose_the_engine(monkeypatch):
    monkeypatch.setenv("CIFARLIB_ENGINE", "eager")
    assert choose_engine(GPU) == "eager"
    monkeypatch.setenv("CIFARLIB_ENGINE", "eagr")
    with pytest.raises(ValueError, match="unknown CIFARLIB_ENGINE 'eagr': did you mean 'eager'"):
        choose_engine(GPU)


def compare_engines(*arguments: str) -> subprocess.CompletedProcess:
    """Call the script that compares the engines."""
    script = PACKAGE.parent / "scripts" / "compare_engines.py"
    return subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_engines_are_not_compared_and_no_graph_is_trusted():
    done = compare_engines()
    assert done.returncode == 2
    assert done.stderr == "error: a CUDA graph needs an NVIDIA GPU, and there is none\n"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_on_a_gpu_two_epochs_as_a_graph_are_two_eager_ones_to_the_fourth_decimal():
    done = compare_engines()
    assert done.returncode == 0, done.stdout + done.stderr
