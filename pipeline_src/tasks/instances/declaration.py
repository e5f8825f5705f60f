"""What is declared of instances: objects with boxes and outlines. Standard library only."""

from pipeline_src.reporting.metric import Metric, fraction, score
from pipeline_src.tasks.declaration import Task
from pipeline_src.tasks.detection.declaration import BOX_SCORES

MASK_SCORES = (
    score("mask_ap", "mask AP", "COCO's AP of masks, mean over IoU 0.50 to 0.95", headline=True),
    score("mask_ap50", "mask AP50", "COCO's AP of masks at IoU 0.50", headline=True),
    score("mask_ap75", "mask AP75", "COCO's AP of masks at IoU 0.75"),
    score("mask_ap_small", "mask AP small", "COCO's AP of masks below 32x32 pixels of area"),
    score("mask_ap_medium", "mask AP medium", "COCO's AP of masks from 32x32 to 96x96 pixels"),
    score("mask_ap_large", "mask AP large", "COCO's AP of masks above 96x96 pixels of area"),
    score("mask_ar1", "mask AR@1", "average recall of masks with 1 detection per image"),
    score("mask_ar10", "mask AR@10", "average recall of masks with 10 detections per image"),
    score("mask_ar100", "mask AR@100", "average recall of masks with 100 detections per image"),
    score("mask_ar_small", "mask AR small", "average recall of masks below 32x32 pixels of area"),
    score("mask_ar_medium", "mask AR medium", "average recall of medium masks"),
    score("mask_ar_large", "mask AR large", "average recall of masks above 96x96 pixels of area"),
    score("cityscapes_ap", "Cityscapes AP", "AP by cityscapesscripts, over IoU 0.50 to 0.95"),
    score("cityscapes_ap50", "Cityscapes AP50", "AP by cityscapesscripts at IoU 0.50"),
    Metric(
        "mask_ap_gap",
        "gap of mask AP",
        (fraction("mask_ap_gap", "mask AP on as many images of train, less mask AP"),),
        "lower",
    ),
)  # fmt: skip

INSTANCES = Task(
    annotations="outlined objects",
    network="Mask R-CNN",
    sizes="scales",
    heads={"detector": "detector"},
    metrics=(*BOX_SCORES, *MASK_SCORES),
    scores="boxes and masks in pixels of the original image",
    flops="padded to a multiple of 32, with 1,000 proposals, and masks of as many detections as are kept",
)
