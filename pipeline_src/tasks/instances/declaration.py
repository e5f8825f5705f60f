"""What is declared of instances: objects with boxes and outlines. Standard library only."""

from pipeline_src.tasks.declaration import Task

INSTANCES = Task(
    annotations="outlined objects",
    network="Mask R-CNN",
    sizes="scales",
    heads={"detector": "detector"},
    scores="boxes and masks in pixels of the original image",
    flops="padded to a multiple of 32, with 1,000 proposals, and masks of as many detections as are kept",
)
