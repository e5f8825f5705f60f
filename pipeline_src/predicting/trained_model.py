"""A trained run's network with what belongs to it: classes, normalisation, and how it is tested."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline_src.components import load, use_outside
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.evaluation.load_trained import load_trained
from pipeline_src.planning.trained_run import TrainedRun
from pipeline_src.predicting.task_prediction import TaskPrediction


@dataclass(frozen=True)
class TrainedModel:
    """The network of a trained run in evaluation mode, on its device.

    `network` takes images normalised with `mean` and `std`: of segmentation `(N, 3, H, W)`, of detectors a
    list of `(3, H, W)`. `predict` takes images as they are and does what the run's evaluation does.
    """

    run: TrainedRun
    network: torch.nn.Module
    device: torch.device
    prediction: TaskPrediction

    @property
    def task(self) -> str:
        """`segmentation`, `detection` or `instances`."""
        return self.run.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by class id; of detectors the background is the first."""
        return self.run.classes

    @property
    def mean(self) -> list[float]:
        """Per channel (RGB), of images in 0..1."""
        return list(self.run.model["backbone"]["mean"])

    @property
    def std(self) -> list[float]:
        """Per channel (RGB), of images in 0..1."""
        return list(self.run.model["backbone"]["std"])

    @property
    def evaluation(self) -> Evaluation:
        """How the network is tested: sizes, windows."""
        return self.run.evaluation

    def predict(self, image: NDArray[np.uint8], name: str = "image") -> Any:
        """What is found in an RGB image `(H, W, 3)`, at its own size; `name` stands in errors."""
        return self.prediction.predict(self.network, image, self.device, name)


def open_trained(run: TrainedRun, device: torch.device) -> TrainedModel:
    """The network of `run` with its weights; raises `InputError` for weights that are not the run's."""
    use_outside(run.components)
    task: type[TaskPrediction] = load(f"prediction.{run.task}")
    network = load_trained(run.model, run.sidecar, device, task.build)
    return TrainedModel(run, network, device, task(run.model, run.evaluation, run.classes))
