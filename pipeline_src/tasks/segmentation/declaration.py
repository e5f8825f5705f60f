"""What is declared of segmentation. Standard library only."""

from pipeline_src.tasks.declaration import Task

SEGMENTATION = Task(
    annotations="masks",
    network="a decoder",
    sizes="a crop",
    heads={"decoder": "decoder", "auxiliary": "decoder"},
)
