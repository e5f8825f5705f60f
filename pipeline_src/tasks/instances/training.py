"""What a training of a detector that draws masks is: a detector's, with outlined objects and their scores."""

from pipeline_src.data.instances.dataset import InstanceDataset
from pipeline_src.evaluation.paste_masks import outlined
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.tasks.detection.training import DetectionReading
from pipeline_src.tasks.instances.objective import instance_objective
from pipeline_src.training.training_job import Parts

READING = DetectionReading(InstanceDataset, instance_objective, "segm", outlined, "mask_")

TRAINING = Parts(build_detector, READING.open_data, synchronise_bn=False, headline="mask_ap")
