"""The columns that a table can have: where a value comes from, its unit, and what it stands for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One way to fill a column from the long tables.

    `metric` names it there, `timed` says in which of both files; the table shows `value / divisor`
    in `unit`. `quartiles` name the metrics that say how far a repeated measurement scatters.
    """

    metric: str
    timed: bool
    divisor: float
    unit: str
    digits: int
    meaning: str
    quartiles: tuple[str, str] | None = None


@dataclass(frozen=True)
class Column:
    """A column: `score` cells are means over seeds in points, `cost` cells one value per architecture.

    Of `sources` the first one is taken that was measured for every row, so that a column never
    mixes two quantities.
    """

    key: str
    header: str
    kind: str
    sources: tuple[Source, ...]


_MIB = float(2**20)

COLUMNS = {
    column.key: column
    for column in (
        Column(
            "miou",
            "mIoU",
            "score",
            (Source("miou", False, 1, "%", 2, "mean IoU over classes, from one confusion matrix"),),
        ),
        Column(
            "pixel_accuracy",
            "pixel accuracy",
            "score",
            (Source("pixel_accuracy", False, 1, "%", 2, "share of labelled pixels that are right"),),
        ),
        *(
            Column(key, header, "score", (Source(key, False, 1, "%", 2, meaning),))
            for key, header, meaning in (
                ("ap", "AP", "COCO's AP, mean over IoU 0.50 to 0.95"),
                ("ap50", "AP50", "COCO's AP at IoU 0.50"),
                ("ap75", "AP75", "COCO's AP at IoU 0.75"),
                ("ap_small", "AP small", "COCO's AP of objects below 32x32 pixels of area"),
                ("ap_medium", "AP medium", "COCO's AP of objects from 32x32 to 96x96 pixels of area"),
                ("ap_large", "AP large", "COCO's AP of objects above 96x96 pixels of area"),
                ("ar1", "AR@1", "COCO's average recall with 1 detection per image"),
                ("ar10", "AR@10", "COCO's average recall with 10 detections per image"),
                ("ar100", "AR@100", "COCO's average recall with 100 detections per image"),
                ("ar_small", "AR small", "COCO's average recall of objects below 32x32 pixels of area"),
                ("ar_medium", "AR medium", "COCO's average recall of medium objects"),
                ("ar_large", "AR large", "COCO's average recall of objects above 96x96 pixels of area"),
                ("voc_ap", "mAP (11 points)", "VOC's 11-point AP at IoU 0.5, mean over classes"),
                ("voc_ap_area", "mAP (area)", "area under VOC's precision-recall curve at IoU 0.5"),
            )
        ),
        Column(
            "training_memory",
            "training memory",
            "cost",
            (
                Source("peak_memory", True, _MIB, "MiB", 0, "peak allocated GPU memory of a training step"),
                Source(
                    "saved_bytes",
                    False,
                    _MIB,
                    "MiB",
                    1,
                    "bytes saved for the backward pass (no GPU was there to measure peak memory)",
                ),
            ),
        ),
        Column(
            "testing_time",
            "testing time",
            "cost",
            (
                Source(
                    "latency",
                    True,
                    1,
                    "s",
                    4,
                    "median time of a forward pass",
                    ("latency_lower_quartile", "latency_upper_quartile"),
                ),
            ),
        ),
        Column(
            "saved_bytes",
            "saved for backward",
            "cost",
            (Source("saved_bytes", False, _MIB, "MiB", 1, "unique tensors saved for the backward pass"),),
        ),
        Column(
            "parameters",
            "parameters",
            "cost",
            (Source("parameters", False, 1e6, "M", 3, "values of all weights, shared ones once"),),
        ),
        Column(
            "flops",
            "FLOPs",
            "cost",
            (Source("flops", False, 1e9, "G", 2, "2 x multiply-adds of convolutions and matrix products"),),
        ),
    )
}
