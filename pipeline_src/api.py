"""The project as a library: networks, trained runs, predictions, and scale equalizers for any network.

docs/library.md shows each in a few lines.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from pipeline_src.calibration.any_network import BranchScales, fold_scales, measure_scales
from pipeline_src.components import load as load_component
from pipeline_src.components import use_outside
from pipeline_src.config.load import load_params
from pipeline_src.config.one_model import resolve_section
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.yaml_text import read_yaml
from pipeline_src.errors import InputError
from pipeline_src.evaluation.device import choose_device
from pipeline_src.models.for_torchvision import TorchvisionBackbone, timm_backbone, with_deepfuse
from pipeline_src.models.fusion.deepfuse import DeepFuse
from pipeline_src.models.fusion.dfp import DeepFeaturePyramid
from pipeline_src.models.fusion.ipg import ImagePyramidGuidance
from pipeline_src.models.fusion.scale_equalizer import ScaleEqualizer
from pipeline_src.planning.trained_run import find_trained, snakemake_arguments
from pipeline_src.predicting.images import decode
from pipeline_src.predicting.trained_model import TrainedModel, open_trained
from pipeline_src.tasks.task import task_of

__all__ = [
    "BranchScales",
    "DeepFeaturePyramid",
    "DeepFuse",
    "ImagePyramidGuidance",
    "InputError",
    "ScaleEqualizer",
    "TorchvisionBackbone",
    "TrainedModel",
    "build",
    "fold_scales",
    "load",
    "measure_scales",
    "predict",
    "timm_backbone",
    "with_deepfuse",
]

OneImage = str | PathLike[str] | NDArray[Any] | Image.Image
"""A file, an array `(H, W, 3)` uint8 RGB (or `(H, W)`, grey), or a picture of Pillow's."""


def build(
    model: Mapping[str, Any],
    num_classes: int,
    *,
    weights: str | Path | None = None,
    components: Mapping[str, str] | None = None,
) -> nn.Module:
    """The network of a section `model` as `params.yaml` has it in studies, with random weights.

    Its `backbone` is timm's name with its tag, or a section as in `backbones`. `num_classes` counts the
    background for detectors. `weights`: a safetensors file for the backbone. `components`: of your own, as
    in `components:`. Segmentation networks map `(N, 3, H, W)` to `(N, num_classes, H, W)`; detectors are
    called as torchvision's, with normalised images. Equalizers of the section are there and not calibrated.

    Raises `InputError` that names the key for a section that is wrong or cannot be built.
    """
    section = resolve_section(model, num_classes, components)
    use_outside(f"{kind}={target}" for kind, target in (components or {}).items())
    network: nn.Module = load_component(f"prediction.{task_of(section)}").build(section, weights)
    return network


def load(
    run: str,
    *,
    scale: str | None = None,
    configfiles: Sequence[str] = (),
    device: str = "auto",
) -> TrainedModel:
    """A trained run's network, as `list` names the run, with its classes, normalisation and evaluation.

    The working directory is the project's, with `params.yaml` and `results/`. `configfiles` are overlays,
    `device` is `auto`, `cpu` or `cuda`.

    Raises `InputError` for an unknown run, one that is not trained (with the command that trains it) and
    weights that are not the run's.
    """
    overlays = [Layer(path, read_yaml(path)) for path in configfiles]
    params = load_params(overlays=overlays, scale=scale)
    more = snakemake_arguments(params.scale, list(configfiles), [])
    return open_trained(find_trained(params, run, more), choose_device(device))


def predict(model: TrainedModel, images: OneImage | Sequence[OneImage]) -> Any:
    """What `model` finds in an image or in each of several, at the image's own size, as its evaluation does.

    Of segmentation an array `(H, W)` of class ids; of detectors `boxes` `(n, 4)` (left, top, right, bottom in
    pixels), `labels` and `scores` `(n,)`, and of those that draw masks `masks` `(n, H, W)`. Several: a list.

    Raises `InputError` for an image that cannot be decoded or predicted, and an array of another shape.
    """
    if isinstance(images, str | PathLike | np.ndarray | Image.Image):
        return _predict_one(model, images, "image")
    return [_predict_one(model, one, f"image {place}") for place, one in enumerate(images)]


def _predict_one(model: TrainedModel, image: OneImage, name: str) -> Any:
    if isinstance(image, str | PathLike):
        return model.predict(decode(Path(image)), str(image))
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise InputError(
                f"{name}: is an array {image.shape} of {image.dtype}; give (H, W, 3) of uint8, RGB in 0..255"
            )
        image = Image.fromarray(image)
    return model.predict(np.array(image.convert("RGB")), name)
