"""Evaluation of a segmentation network at the images' own sizes.

One image at a time goes through the network, as a whole unless told otherwise; the prediction has the
size of the image as it is on disk, and is counted in one confusion matrix over the whole split. Another
way to get from an image to its logits is another `Inference` function (`evaluation.inference`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from pipeline_src.data.read_manifest import IGNORE_INDEX
from pipeline_src.evaluation.confusion import Confusion
from pipeline_src.evaluation.split_pass import EvaluationSplit, rank_and_world, run_pass

Inference = Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]
"""Maps a model and images `(1, 3, H, W)` to logits `(1, C, H, W)` of the same size."""

OnPrediction = Callable[[int, str, NDArray[Any], NDArray[Any], NDArray[Any]], None]
"""Called with (index in the dataset, id, image `(3, H, W)`, mask `(H, W)`, prediction `(H, W)`)."""


def whole_image(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits of the images in one forward pass; the model upsamples them to the images' size."""
    return model(images)


def evaluate_model(
    model: torch.nn.Module,
    split: EvaluationSplit,
    num_classes: int,
    device: torch.device | str,
    *,
    on_prediction: OnPrediction | None = None,
    ignore_index: int = IGNORE_INDEX,
    inference: Inference = whole_image,
    workers: int = 0,
    title: str = "evaluate",
) -> dict[str, Any]:
    """Score `model` on every item of `split` and return plain numbers, all scores in 0..1.

    Items are (image float32 `(3, H, W)`, normalised; mask `(H, W)` of class ids; record id).

    Returns `{"miou", "pixel_accuracy", "mean_accuracy", "per_class_iou": [C], "pixels",
    "ignored_pixels", "images", "confusion": [C][C]}`; a score that is undefined (a class that
    occurs neither in the ground truth nor in a prediction, a split without a labelled pixel) is
    None. `confusion[t][p]` counts pixels of class t that were predicted as p.

    The images are shared over ranks as `run_pass` says and the counts are summed, so all ranks return the
    same numbers, which equal those of a single process. `on_prediction` is called on the rank that holds
    the image.

    Raises `ValueError` when logits are not finite or not of the image's size, or an id is outside
    the classes, and `InputError` for a file that cannot be read.
    """
    confusion = Confusion(num_classes, ignore_index)

    def score(index: int, item: tuple[Any, Any, str]) -> None:
        image, mask, name = item
        truth = np.asarray(mask)
        logits = inference(model, torch.as_tensor(image).unsqueeze(0).to(device))
        prediction = predicted_classes(logits, truth.shape, num_classes, name)
        confusion.add(truth, prediction)
        if on_prediction is not None:
            on_prediction(index, name, np.asarray(image), truth, prediction)

    run_pass(model, split, score, workers=workers, title=title)
    if rank_and_world()[1] > 1:
        _sum_over_ranks(confusion, device)
    return {**confusion.scores(), "images": len(split), "confusion": confusion.counts.tolist()}


def predicted_classes(
    logits: torch.Tensor, size: tuple[int, ...], num_classes: int, name: str
) -> NDArray[Any]:
    """Class ids int32 `(H, W)` from logits `(1, C, H, W)` of the image `name`.

    Raises `ValueError` when the logits have another shape or are not finite.
    """
    if tuple(logits.shape) != (1, num_classes, *size):
        raise ValueError(f"{name}: logits are {tuple(logits.shape)}, expected {(1, num_classes, *size)}")
    if not torch.isfinite(logits).all():
        raise ValueError(f"{name}: the logits are not finite; the model has diverged")
    # Not uint8: an id beyond 255 has to stay visible, not wrap around.
    return logits[0].argmax(dim=0).to(torch.int32).cpu().numpy()


def _sum_over_ranks(confusion: Confusion, device: torch.device | str) -> None:
    """Replace the counts of this rank by the sum over all ranks (int64, hence exact)."""
    local = np.append(confusion.counts.reshape(-1), confusion.ignored)
    total = torch.from_numpy(local).to(device)
    distributed.all_reduce(total)
    summed = total.cpu().numpy()
    confusion.counts = summed[:-1].reshape(confusion.counts.shape)
    confusion.ignored = int(summed[-1])
