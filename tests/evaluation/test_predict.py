"""Predictions are those of the model, whatever the batch and the view."""

import numpy as np
import pytest
import torch
from helpers import CPU, fixed_batches
from PIL import Image
from torch import nn

from cifarlib import ImageSet, accuracy, create_model, frozen_features, predict, tta
from cifarlib.evaluation.predict import (
    TTA_VIEWS,
    VIEWS,
    mean_over_views,
    predict_views,
    random_tta_accuracies,
    score,
)


class Looker(nn.Module):
    """A fixed linear look at the picture that no flip leaves alone."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(100, 3 * 32 * 32, generator=generator) / 50)

    def forward(self, images):
        return images.reshape(len(images), -1) @ self.weight.T


def test_predictions_do_not_depend_on_the_batch_size(test):
    first = predict_views(Looker(), fixed_batches(test), device=CPU, views=VIEWS)
    for batch_size, micro_batches in ((7, 1), (64, 3)):
        batches = fixed_batches(test, batch_size=batch_size)
        second = predict_views(
            Looker(),
            batches,
            device=CPU,
            views=VIEWS,
            micro_batches=micro_batches,
        )
        np.testing.assert_allclose(first, second, atol=1e-6)
    np.testing.assert_allclose(first.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("view", "flip"),
    [
        ("as is", lambda images: images),
        ("horizontal flip", lambda images: images[:, :, ::-1]),
        ("vertical flip", lambda images: images[:, ::-1]),
        ("both flips", lambda images: images[:, ::-1, ::-1]),
    ],
)
def test_a_view_is_the_picture_flipped(view, flip, test):
    (found,) = predict_views(Looker(), fixed_batches(test), device=CPU, views=[view])
    turned = ImageSet(np.ascontiguousarray(flip(test.images)), test.labels, test.classes)
    (expected,) = predict_views(Looker(), fixed_batches(turned), device=CPU)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_unknown_view_gets_the_nearest(test):
    with pytest.raises(ValueError, match="did you mean 'vertical flip'"):
        predict_views(Looker(), fixed_batches(test), device=CPU, views=["vertical flop"])


def test_test_time_augmentation_is_the_mean_over_views():
    by_view = np.random.default_rng(0).random((3, 5, 10))
    np.testing.assert_allclose(mean_over_views(by_view), by_view.mean(0))


def test_random_tta_of_flips_that_change_nothing_is_the_accuracy():
    rng = np.random.default_rng(1)
    same = np.repeat(rng.random((1, 200, 10)), 4, axis=0)
    labels = rng.integers(0, 10, 200)
    assert random_tta_accuracies(same, labels) == [accuracy(same[0], labels)] * 10


def test_random_tta_of_flips_that_matter_varies():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 10, 200)
    spread = random_tta_accuracies(rng.random((4, 200, 10)), labels)
    assert len(spread) == 10
    assert len(set(spread)) > 1


@pytest.mark.parametrize("policy", ["writeup", "natural", "none"])
def test_a_score_agrees_with_its_predictions(policy, test):
    results, found = score(Looker(), fixed_batches(test), test.labels, device=CPU, policy=policy)
    np.testing.assert_array_equal(found["labels"], test.labels)
    hits = found["classes"] == test.labels[:, None]
    assert results["accuracy"] == pytest.approx(hits[:, 0].mean())
    assert results["top5"] == pytest.approx(hits.any(1).mean())
    assert (np.diff(found["probabilities"].astype(float), axis=1) <= 0).all()

    views = TTA_VIEWS[policy]
    by_view = predict_views(Looker(), fixed_batches(test), device=CPU, views=views)
    np.testing.assert_array_equal(found["tta"], mean_over_views(by_view).argmax(1))
    assert results["tta_accuracy"] == pytest.approx(np.mean(found["tta"] == test.labels))
    assert results["tta_views"] == list(views)


def test_features_are_those_before_the_head_and_the_net_is_not_changed(train):
    net = create_model("test_resnet", image_size=32)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    features, labels = frozen_features(net, fixed_batches(train[:100]), CPU)
    assert features.shape == (100, net.num_features)
    assert torch.equal(labels, torch.as_tensor(train.labels[:100]))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    with torch.inference_mode():
        images, _ = next(iter(fixed_batches(train[:100])))
        logits = net.eval()(CPU.prepare(images))
    torch.testing.assert_close(net.get_classifier()(features[: len(logits)]), logits)


# --- whatever the images come as ------------------------------------------------------------------


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """A small net, the same each time, that remembers its size."""
    torch.manual_seed(0)
    return create_model("test_resnet", image_size=32)


@pytest.mark.parametrize("kind", ["set", "array", "one", "loader", "files", "generator"])
def test_images_of_any_kind_get_the_same_probabilities(kind, net, test, tmp_path):
    few = test[:10]
    expected = predict_views(net, fixed_batches(few), device=CPU)[0]
    files = []
    for number, image in enumerate(few.images):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(files[-1])
    images = {
        "set": few,
        "array": few.images,
        "one": few.images[0],
        "loader": fixed_batches(few),
        "files": files,
        "generator": (batch for batch in fixed_batches(few)),
    }[kind]
    found = predict(net, images, device=CPU)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[: len(found)], atol=1e-6)
    assert len(found) == (1 if kind == "one" else 10)


def test_tta_is_the_mean_of_views(net, test):
    views = predict_views(net, fixed_batches(test), device=CPU, views=["as is", "vertical flip"])
    found = tta(net, test, views=["as is", "vertical flip"], device=CPU)
    np.testing.assert_allclose(found, views.mean(0), atol=1e-6)


def test_a_net_that_knows_no_size_asks_for_it(test):
    with pytest.raises(ValueError, match=r"does not know its image size: predict\(model"):
        predict(Looker(), test)
    assert predict(Looker(), test, 32).shape == (300, 100)


@pytest.mark.parametrize(
    ("images", "said"), [(3, "got images int"), (np.zeros((2, 8, 8)), "expected uint8")]
)
def test_what_cannot_be_images_is_refused(images, said, net):
    with pytest.raises(ValueError, match=said):
        predict(net, images)
