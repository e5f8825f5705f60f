"""The loss of a detector that draws masks, as the training loop sees it."""

from pipeline_src.tasks.detection.objective import LEARNED, DetectionObjective


def instance_objective() -> DetectionObjective:
    """The sum of its losses, from boxes, labels and masks."""
    return DetectionObjective((*LEARNED, "masks"))
