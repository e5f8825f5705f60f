"""What is declared of detection. Standard library only."""

from pipeline_src.tasks.declaration import Task

DETECTION = Task(
    annotations="boxes",
    network="a detector",
    sizes="scales",
    heads={"detector": "detector"},
    scores="boxes in pixels of the original image",
    flops="padded to a multiple of 32, with 1,000 proposals where there are proposals",
)
