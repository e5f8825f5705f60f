"""What is declared of detection. Standard library only."""

from pipeline_src.reporting.metric import score
from pipeline_src.tasks.declaration import Task

BOX_SCORES = (
    score("ap", "AP", "COCO's AP, mean over IoU 0.50 to 0.95", headline=True),
    score("ap50", "AP50", "COCO's AP at IoU 0.50", headline=True),
    score("ap75", "AP75", "COCO's AP at IoU 0.75"),
    score("ap_small", "AP small", "COCO's AP of objects below 32x32 pixels of area"),
    score("ap_medium", "AP medium", "COCO's AP of objects from 32x32 to 96x96 pixels of area"),
    score("ap_large", "AP large", "COCO's AP of objects above 96x96 pixels of area"),
    score("ar1", "AR@1", "COCO's average recall with 1 detection per image"),
    score("ar10", "AR@10", "COCO's average recall with 10 detections per image"),
    score("ar100", "AR@100", "COCO's average recall with 100 detections per image"),
    score("ar_small", "AR small", "COCO's average recall of objects below 32x32 pixels of area"),
    score("ar_medium", "AR medium", "COCO's average recall of medium objects"),
    score("ar_large", "AR large", "COCO's average recall of objects above 96x96 pixels of area"),
    score("voc_ap", "mAP (11 points)", "VOC's 11-point AP at IoU 0.5, mean over classes"),
    score("voc_ap_area", "mAP (area)", "area under VOC's precision-recall curve at IoU 0.5"),
)  # fmt: skip

DETECTION = Task(
    annotations="boxes",
    network="a detector",
    sizes="scales",
    heads={"detector": "detector"},
    metrics=BOX_SCORES,
    scores="boxes in pixels of the original image",
    flops="padded to a multiple of 32, with 1,000 proposals where there are proposals",
)
