"""Where in a picture a net finds the evidence for a class."""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from ..data.arrays import check_labels
from ..models.modes import evaluating
from ..training.device import Device

MOST_CLASSES = 2**31 - 1  # of a net that does not tell


def grad_cam(
    model: nn.Module,
    images: torch.Tensor,
    classes: np.ndarray,
    *,
    device: Device,
) -> np.ndarray:
    """Return where the net's last feature map speaks for a class, float32 (N, S, S), 0 to 1.

    images: a batch (N, 3, S, S), uint8 to be normalised by the device, or float as the net takes
    it. classes: for each picture the class asked about, (N,). Each map is divided by its maximum,
    and all 0 where nothing speaks for the class. The net's modes are as before. At 128 px the last
    map of a net with stride 32 has 4×4 places, so the answer is coarse. Raises ValueError for a net
    that has no feature maps, or of which timm does not say where they are, and for classes that
    are not one whole number a picture.

    Source: Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based
    localization", ICCV 2017.
    """
    from captum.attr import LayerGradCam

    images = device.prepare(images)
    n_classes = getattr(model, "num_classes", MOST_CLASSES)
    target = torch.as_tensor(check_labels(classes, len(images), n_classes)).to(images.device)
    layer = _last_feature_layer(model)
    with evaluating(model):
        maps = LayerGradCam(model, layer).attribute(images, target=target, relu_attributions=True)
    if maps.dim() != 4:  # a transformer's tokens, say
        raise ValueError(
            f"{type(model).__name__} has no feature maps: expected a convolutional net"
        )
    maps = interpolate(maps.detach(), images.shape[-2:], mode="bilinear", align_corners=False)
    maps = maps[:, 0].float().cpu()
    highest = maps.amax(dim=(1, 2), keepdim=True)
    return (maps / highest.clamp(min=1e-12)).numpy()


def _last_feature_layer(model: nn.Module) -> nn.Module:
    """Return the module after which a timm net's last feature map comes."""
    try:
        stages = list(model.feature_info)  # type: ignore[arg-type]
        return model.get_submodule(stages[-1]["module"])
    except (AttributeError, IndexError, KeyError, TypeError):
        raise ValueError(
            f"{type(model).__name__} does not say where its feature maps are:"
            " expected a net of timm's with feature_info, such as resnet18"
        ) from None
