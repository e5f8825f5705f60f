"""Prediction of detectors that draw masks: outlines in the image."""

from pipeline_src.evaluation.paste_masks import outlined
from pipeline_src.tasks.detection.prediction import DetectionPrediction


class InstancePrediction(DetectionPrediction):
    """Boxes and outlines as the evaluation keeps them; see `predicting.task_prediction.TaskPrediction`."""

    complete = staticmethod(outlined)
    outlined = True
