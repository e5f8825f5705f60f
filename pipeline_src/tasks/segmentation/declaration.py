"""What is declared of segmentation. Standard library only."""

from pipeline_src.reporting.metric import score
from pipeline_src.tasks.declaration import Task

SCORES = (
    score("miou", "mIoU", "mean IoU over classes, from one confusion matrix", headline=True),
    score("pixel_accuracy", "pixel accuracy", "share of labelled pixels that are right"),
    score("mean_accuracy", "mean accuracy", "mean over classes of the share of right pixels"),
)  # fmt: skip

SEGMENTATION = Task(
    annotations="masks",
    network="a decoder",
    sizes="a crop",
    heads={"decoder": "decoder", "auxiliary": "decoder"},
    metrics=SCORES,
    most_classes=255,  # a mask has ids of eight bits, and one of them for what has no label
)
