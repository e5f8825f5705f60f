"""The one place where a name in a configuration becomes code: a static table, imported on use.

`COMPONENTS` maps a kind to `module:attribute`. The code-identity walker
(`provenance/closure.py`) follows, of this table, only the entries that a job's resolved
parameters name, so a new entry never reruns a job that does not use it. It refuses every other
dynamic import in the package.

Users add entries of their own under `components:` in `params.yaml`, as `file.py:attribute`. A job names
such a component as `decoder.mine=my_ideas/unet.py:UNetHead`, and `use_outside` makes it known to `load`.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError

COMPONENTS = {
    "backbone.resnet": "pipeline_src.models.backbones.resnet:ResNetPyramid",
    "backbone.convnext": "pipeline_src.models.backbones.convnext:ConvNeXtPyramid",
    "backbone.swin": "pipeline_src.models.backbones.swin:SwinPyramid",
    "backbone.twins": "pipeline_src.models.backbones.twins:TwinsPyramid",
    "backbone.mobilenetv2": "pipeline_src.models.backbones.mobilenetv2:MobileNetV2Pyramid",
    "pyramid.dfp": "pipeline_src.models.fusion.dfp:DeepFeaturePyramid",
    "pyramid.ipg": "pipeline_src.models.fusion.ipg:ImagePyramidGuidance",
    "merge.deepfuse": "pipeline_src.models.fusion.deepfuse:DeepFuse",
    "decoder.fcn": "pipeline_src.models.decoders.fcn:FCNHead",
    "decoder.psp": "pipeline_src.models.decoders.psp:PSPHead",
    "decoder.aspp": "pipeline_src.models.decoders.aspp:ASPPHead",
    "decoder.sep_aspp": "pipeline_src.models.decoders.sep_aspp:DepthwiseSeparableASPPHead",
    "decoder.uper": "pipeline_src.models.decoders.uper:UPerHead",
    "detector.faster_rcnn": "pipeline_src.models.detectors.faster_rcnn:FasterRCNN",
    "detector.retinanet": "pipeline_src.models.detectors.retinanet:RetinaNet",
    "detector.mask_rcnn": "pipeline_src.models.detectors.mask_rcnn:MaskRCNN",
    "detector.cascade_rcnn": "pipeline_src.models.detectors.cascade_rcnn:CascadeRCNN",
    "augment.segmentation": "pipeline_src.data.segmentation.transform_options:Augment",
    "augment.detection": "pipeline_src.data.detection.transform_options:DetectionAugment",
    "augment.instances": "pipeline_src.data.detection.transform_options:DetectionAugment",
    "training.segmentation": "pipeline_src.tasks.segmentation.training:TRAINING",
    "training.detection": "pipeline_src.tasks.detection.training:TRAINING",
    "training.instances": "pipeline_src.tasks.instances.training:TRAINING",
    "evaluation.segmentation": "pipeline_src.tasks.segmentation.evaluation:SegmentationEvaluation",
    "evaluation.detection": "pipeline_src.tasks.detection.evaluation:DetectionEvaluation",
    "evaluation.instances": "pipeline_src.tasks.instances.evaluation:InstanceEvaluation",
    "submission.segmentation": "pipeline_src.tasks.segmentation.submission:SegmentationSubmission",
    "submission.detection": "pipeline_src.tasks.detection.submission:DetectionSubmission",
    "submission.instances": "pipeline_src.tasks.instances.submission:InstanceSubmission",
    "prediction.segmentation": "pipeline_src.tasks.segmentation.prediction:SegmentationPrediction",
    "prediction.detection": "pipeline_src.tasks.detection.prediction:DetectionPrediction",
    "prediction.instances": "pipeline_src.tasks.instances.prediction:InstancePrediction",
    "costs.segmentation": "pipeline_src.tasks.segmentation.costs:COSTS",
    "costs.detection": "pipeline_src.tasks.detection.costs:COSTS",
    "costs.instances": "pipeline_src.tasks.instances.costs:COSTS",
    "equalizer.structure": "pipeline_src.models.fusion.scale_equalizer:insert_equalizers",
    "equalizer.statistics": "pipeline_src.calibration.statistics_file:equalise",
    "reader.voc2012": "pipeline_src.data.readers.voc2012:Voc2012Reader",
    "reader.ade20k": "pipeline_src.data.readers.ade20k:Ade20kReader",
    "reader.cityscapes": "pipeline_src.data.readers.cityscapes:CityscapesReader",
    "reader.masks": "pipeline_src.data.readers.mask_folders:MasksReader",
    "reader.coco": "pipeline_src.data.readers.coco:CocoReader",
    "reader.coco_json": "pipeline_src.data.readers.coco:CocoJsonReader",
    "reader.voc_detection": "pipeline_src.data.readers.voc_detection:VocDetectionReader",
    "reader.voc_xml": "pipeline_src.data.readers.voc_detection:VocXmlReader",
    "reader.yolo": "pipeline_src.data.readers.yolo:YoloReader",
    "reader.cityscapes_instances": "pipeline_src.data.readers.cityscapes_instances:CityscapesInstancesReader",
    "reader.coco_instances": "pipeline_src.data.readers.coco_instances:CocoInstancesReader",
    "reader.coco_json_instances": "pipeline_src.data.readers.coco_instances:CocoJsonInstancesReader",
    "manifest.segmentation": "pipeline_src.tasks.segmentation.manifest:MaskChecks",
    "manifest.detection": "pipeline_src.tasks.detection.manifest:BoxChecks",
    "manifest.instances": "pipeline_src.tasks.instances.manifest:InstanceChecks",
    "conversion.sbd_to_png": "pipeline_src.data.sbd:convert_sbd",
    "scenes.voc2012": "pipeline_src.data.scenes.voc2012:write_voc2012",
    "scenes.ade20k": "pipeline_src.data.scenes.ade20k:write_ade20k",
    "scenes.cityscapes": "pipeline_src.data.scenes.cityscapes:write_cityscapes",
    "scenes.cityscapes_instances": "pipeline_src.data.scenes.cityscapes:write_cityscapes_instances",
    "scenes.coco": "pipeline_src.data.scenes.coco:write_coco",
    "scenes.voc_detection": "pipeline_src.data.scenes.voc_detection:write_voc_detection",
    "figure.tradeoff": "pipeline_src.reporting.figures.tradeoff:Tradeoff",
    "figure.pareto": "pipeline_src.reporting.figures.pareto:Pareto",
    "figure.predictions": "pipeline_src.reporting.figures.predictions:Predictions",
    "figure.ap_by_size": "pipeline_src.reporting.figures.ap_by_size:ApBySize",
    "figure.detections": "pipeline_src.reporting.figures.detections:DetectionsFigure",
    "figure.gap": "pipeline_src.reporting.figures.train_val_gap:Gap",
    "figure.curves": "pipeline_src.reporting.figures.curves:Curves",
    "figure.upsampled_variance": "pipeline_src.reporting.figures.upsampled_variance:UpsampledVariance",
    "figure.branch_scales": "pipeline_src.reporting.figures.branch_scales:BranchScales",
    "figure.gradient_scales": "pipeline_src.reporting.figures.gradient_scales:GradientScales",
}


_OUTSIDE: dict[str, str] = {}


def use_outside(components: Iterable[str]) -> None:
    """Make known to `load` what a job names of outside the package, as `kind=file.py:attribute`."""
    for one in components:
        kind, outside, target = one.partition("=")
        if outside:
            _OUTSIDE[kind] = target


def load(kind: str) -> Any:
    """Import and return the component of this kind; a `KeyError` lists the known kinds."""
    target = COMPONENTS.get(kind) or _OUTSIDE.get(kind)
    if target is None:
        known = ", ".join(sorted({*COMPONENTS, *_OUTSIDE}))
        raise KeyError(f"unknown component {kind!r}; known: {known}")
    module, attribute = split_target(target)
    return getattr(
        _import_file(module) if module.endswith(".py") else importlib.import_module(module), attribute
    )


def split_target(target: str) -> tuple[str, str]:
    """Module (or file) and attribute of `module:attribute`; anything else is an `InputError`."""
    module, colon, attribute = target.rpartition(":")
    if not colon or not module or not attribute.isidentifier():
        raise InputError(f"{target!r} is not allowed; use file.py:Name, such as my_ideas/unet.py:UNetHead")
    return module, attribute


def _import_file(file: str) -> Any:
    """The module of a file outside the package; it imports what stands beside it by its bare name."""
    path = Path(file).resolve()
    name = f"outside:{path}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise InputError(f"{file}: no such file")
        module = importlib.util.module_from_spec(spec)
        # a neighbour's name may be that of another folder's file
        for neighbour in path.parent.glob("*.py"):
            found = getattr(sys.modules.get(neighbour.stem), "__spec__", None)
            if found is not None and found.origin != str(neighbour):
                del sys.modules[neighbour.stem]
        sys.path.insert(0, str(path.parent))
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
