"""The one table of tasks. Standard library only."""

from pipeline_src.tasks.detection.declaration import DETECTION
from pipeline_src.tasks.instances.declaration import INSTANCES
from pipeline_src.tasks.segmentation.declaration import SEGMENTATION

TASKS = {"segmentation": SEGMENTATION, "detection": DETECTION, "instances": INSTANCES}
"""By the name of the folder."""
