"""cl.fit trains any net on any batches, by the recipe or by a reader's own parts."""

import pickle

import numpy as np
import pytest
import torch
import torchvision
from helpers import (
    CPU,
    At,
    assert_same_tensors,
    copy_of_state,
    fit_tiny,
    fixed_batches,
    press_ctrl_c,
    tiny_net,
    train_batches,
)
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, Subset
from torchvision.transforms import v2

from cifarlib import RECIPES, BestWeights, Callback, create_model, fit
from cifarlib.config import HISTORY

WITHOUT_BAR = {"progress": False, "device": CPU}


# --- it learns ------------------------------------------------------------------------------------


def test_the_loop_learns_the_stand_in(train):
    history = fit(
        tiny_net(),
        train_batches(train),
        fixed_batches(train[300:400]),
        epochs=8,
        lr=1e-2,
        **WITHOUT_BAR,
    )
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[0] - 0.3
    assert history.train_accuracy.iloc[-1] > 3 / 100
    assert tuple(history.columns) == HISTORY


@pytest.mark.slow
def test_a_pretrained_net_has_a_new_head_and_all_of_it_learns(train):
    torch.manual_seed(0)
    model = create_model("EfficientNet_lite0", 100, pretrained=True, image_size=32)
    assert model.classifier.weight.shape == (100, 1280)
    before = copy_of_state(model)
    rows = fit_tiny(train, model=model, epochs=2, lr=1e-3).history
    for name, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[name]), name
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] - 0.3


def test_best_weights_are_those_of_the_best_validated_epoch(train):
    class Copies(Callback):
        def on_epoch_end(self, training):
            states.append(copy_of_state(training.model))

    states = []
    fitted = fit_tiny(train, epochs=4, callbacks=[Copies()])
    best = int(np.argmax([row["valid_accuracy"] for row in fitted.history]))
    assert_same_tensors(states[best], fitted.best.weights)
    assert fitted.best.epoch == best + 1
    assert_same_tensors(states[-1], fitted.model.state_dict())  # the last stay in the model


# --- a reader's own parts -------------------------------------------------------------------------


def four_lines() -> nn.Module:
    """Return a network as a reader writes it."""
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(4))
    return nn.Sequential(features, nn.Flatten(), nn.Linear(8 * 16, 100))


@pytest.fixture
def torchvisions(train, tmp_path, monkeypatch) -> torch.utils.data.Dataset:
    """200 images of torchvision's own reader of CIFAR-100's files, made of the stand-in."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    rows = train.images.transpose(0, 3, 1, 2).reshape(len(train), -1)
    split = {"data": rows, "fine_labels": train.labels.tolist()}
    for name, content in (("train", split), ("meta", {"fine_label_names": list(train.classes)})):
        (folder / name).write_bytes(pickle.dumps(content))
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "_load_meta", lambda self: None)
    normalise = v2.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    steps = v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), normalise])
    images = torchvision.datasets.CIFAR100(tmp_path, train=True, transform=steps)
    return Subset(images, range(200))


class CountsSteps(Callback):
    """A reader's own, in five lines, that goes on counting after a stop."""

    steps = 0

    def on_step(self, training):
        self.steps += 1

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


def fit_own(images, counts: CountsSteps, **options) -> tuple[nn.Module, list[float]]:
    """Train with a net, batches, loss, optimiser and callback of a reader's own."""
    model = four_lines()
    batches = DataLoader(images, batch_size=50, shuffle=True)
    history = fit(
        model,
        batches,
        epochs=3,
        loss=nn.CrossEntropyLoss(label_smoothing=0.1),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        callbacks=[counts, *options.pop("callbacks", [])],
        **WITHOUT_BAR,
        **options,
    )
    assert list(history.columns) == ["epoch", "lr", "train_loss", "train_accuracy", "seconds"]
    assert list(history.lr) == [0.1] * 3  # nothing is scheduled that was not asked for
    return model, list(history.train_loss)


def test_all_parts_may_be_a_readers_own_and_are_those_of_a_plain_loop(torchvisions):
    counts = CountsSteps()
    model, losses = fit_own(torchvisions, counts)
    assert counts.steps == 3 * 4
    plain = four_lines()
    smoothed = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    for mean in losses:
        total = 0.0
        for images, labels in DataLoader(torchvisions, batch_size=50, shuffle=True):
            loss = smoothed(plain(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        assert mean == pytest.approx(total / 200, rel=1e-4)
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_stopped_by_ctrl_c_the_same_call_goes_on_with_the_same_numbers(torchvisions, tmp_path):
    whole, losses = fit_own(torchvisions, CountsSteps())
    path = tmp_path / "mine.pt"
    stop = At(2, 2, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt, match="stopped in epoch 2 of 3"):
        fit_own(torchvisions, CountsSteps(), callbacks=[stop], checkpoint=path)
    counts = CountsSteps()
    model, resumed = fit_own(torchvisions, counts, checkpoint=path)
    assert resumed == losses
    assert_same_tensors(model.state_dict(), whole.state_dict())
    assert counts.steps == 3 * 4


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loaders_own_generator_goes_on_where_it_was_stopped(workers, torchvisions, tmp_path):
    def losses(**options):
        own = torch.Generator().manual_seed(3)
        batches = DataLoader(torchvisions, 50, True, generator=own, num_workers=workers)
        return list(fit(four_lines(), batches, epochs=3, **WITHOUT_BAR, **options).train_loss)

    path = tmp_path / "new" / "c.pt"
    with pytest.raises(KeyboardInterrupt):
        losses(checkpoint=path, callbacks=At(2, 2, press_ctrl_c))
    assert losses(checkpoint=path) == losses()


class Endless(IterableDataset):
    """Two batches, of which nobody knows how many they are."""

    def __init__(self, batches: list) -> None:
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


@pytest.mark.parametrize("kind", ["list", "no length", "no batch size"])
def test_batches_may_be_a_list_or_of_no_length(kind, train):
    batches = list(fixed_batches(train[:100]))
    loader = {
        "list": batches,
        "no length": (batch for _ in range(2) for batch in [batches[0]]),
        "no batch size": DataLoader(Endless(batches), batch_size=None),
    }[kind]
    epochs = 1 if kind == "no length" else 2
    history = fit(four_lines(), loader, batches, epochs=epochs, **WITHOUT_BAR)
    assert len(history) == epochs


def test_the_bar_counts_without_a_length(train, capfd):
    batches = (batch for batch in list(fixed_batches(train[:100])))
    fit(four_lines(), batches, epochs=1, device=CPU)
    assert "epoch 1/1" in capfd.readouterr().err


def test_one_cycle_needs_a_length_and_says_so(train):
    batches = (batch for batch in list(fixed_batches(train[:100])))
    with pytest.raises(ValueError, match="a loader without a length"):
        fit(four_lines(), batches, epochs=1, recipe=RECIPES["onecycle"], **WITHOUT_BAR)


def test_a_loss_of_ones_own_gives_the_validation_loss_too(train):
    def doubled(logits, labels):
        return 2 * nn.functional.cross_entropy(logits, labels)

    batches = fixed_batches(train[:100])
    options = {"epochs": 1, "lr": 1e-9, **WITHOUT_BAR}
    usual = fit(four_lines(), batches, batches, **options)
    own = fit(four_lines(), batches, batches, loss=doubled, **options)
    assert own.valid_loss[0] == pytest.approx(2 * usual.valid_loss[0], rel=1e-5)
    assert own.train_loss[0] == pytest.approx(2 * usual.train_loss[0], rel=1e-5)


def test_a_plateau_scheduler_is_told_the_validation_loss(train):
    model = four_lines()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-12)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.1)
    batches = fixed_batches(train[:100])
    options = {"optimizer": optimizer, "scheduler": scheduler, **WITHOUT_BAR}
    history = fit(model, batches, batches, epochs=3, **options)
    assert history.lr[2] == pytest.approx(1e-13)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 0}, "epochs"),
        ({"optimizer": True, "lr": 0.1}, "an optimizer and an lr or a recipe"),
        ({"optimizer": True, "recipe": RECIPES["writeup"]}, "an optimizer and an lr or a recipe"),
        ({"scheduler": True}, "a scheduler without its optimizer"),
        ({"recipe": "writeup"}, "expected a Recipe"),
        ({"lr": -1.0}, "got lr -1.0"),
        ({"lr": 0}, "got lr 0"),
        ({"callbacks": [BestWeights]}, r"expected one made of it: BestWeights\(\)"),
        ({"callbacks": ["bar"]}, "got 'bar' as callback"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, r"loss of shape \(64,\), expected one"),
        ({"checkpoint": "."}, "as checkpoint, expected a file such as"),
    ],
)
def test_what_is_said_twice_or_cannot_be_is_refused(options, said, train):
    model = four_lines()
    if "optimizer" in options:
        options = options | {"optimizer": torch.optim.SGD(model.parameters(), lr=0.1)}
    with pytest.raises(ValueError, match=said):
        fit(model, fixed_batches(train[:64]), **({"epochs": 1} | options), **WITHOUT_BAR)


def test_a_callback_may_end_the_training(train):
    class Impatient(Callback):
        def on_epoch_end(self, training):
            training.should_stop = len(training.history) == 2

    assert len(fit_tiny(train, epochs=5, callbacks=[Impatient()]).history) == 2


def test_callbacks_are_told_in_order_and_the_end_after_an_error_too(train):
    class Notes(Callback):
        def on_epoch_begin(self, training):
            notes.append("begin")

        def on_step(self, training):
            notes.append("step")

        def on_epoch_end(self, training):
            notes.append("end")

        def on_fit_end(self, training):
            notes.append("over")

    notes = []
    epoch = ["begin", *["step"] * 5, "end"]
    fit_tiny(train, epochs=2, callbacks=[Notes()])
    assert notes == [*epoch, *epoch, "over"]
    notes.clear()
    with pytest.raises(KeyboardInterrupt):
        fit_tiny(train, callbacks=[Notes(), At(1, 2, press_ctrl_c)])
    assert notes == ["begin", "step", "step", "over"]


def test_without_validation_the_best_weights_cannot_be_told(train):
    with pytest.raises(ValueError, match="BestWeights needs a validation loader"):
        fit(four_lines(), fixed_batches(train[:64]), epochs=1, callbacks=[BestWeights()])


def test_a_validation_loss_that_is_not_finite_is_an_error(train):
    class NeedsTraining(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = four_lines()

        def forward(self, images):
            return self.net(images) * (1 if self.training else float("nan"))

    batches = fixed_batches(train[:64])
    said = "epoch 1: the validation loss is not finite, after steps at lr 0.001"
    with pytest.raises(FloatingPointError, match=said):
        fit(NeedsTraining(), batches, batches, epochs=1, **WITHOUT_BAR)


# --- floats that are not normalised ---------------------------------------------------------------


@pytest.mark.parametrize(("scale", "levels"), [(1, "0 to 1"), (255, "0 to 255")])
def test_floats_that_are_not_normalised_are_said_once(scale, levels, train, capfd):
    batches = [(scale * images.float() / 255, labels) for images, labels in fixed_batches(train)]
    fit(four_lines(), batches, epochs=2, progress=False)
    assert capfd.readouterr().err.count(f"images of floats from {levels}, which are not") == 1


def test_a_net_that_has_learned_from_normalised_images_refuses_others(train):
    state = create_model("test_resnet", 100).state_dict()
    model = create_model("test_resnet", 100, pretrained=state)
    batches = [(images.float() / 255, labels) for images, labels in fixed_batches(train[:64])]
    with pytest.raises(ValueError, match="floats from 0 to 1, which are not normalised"):
        fit(model, batches, epochs=1, progress=False)
    fit(model, fixed_batches(train[:64], normalize=True), epochs=1, progress=False)
