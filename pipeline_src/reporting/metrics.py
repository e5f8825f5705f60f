"""Every number that a table can show, declared once: name, meaning, and where it stands in a result file.

All else asks `METRICS`: which columns `params.yaml` may name, what of the result files goes into the long
tables, and how tables, figures and the report print it. Standard library only, since planning reads it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from pipeline_src.components import load

RUN_FILES = ("metrics", "evaluate", "train", "log", "curve")
"""Result files of a run: metrics.json, the sidecars of its evaluation and training, log.csv and curve.csv."""

ResultFile = Literal["metrics", "evaluate", "train", "log", "curve", "cost", "timing"]
"""A file of a run; or cost.json or timing.json of an architecture, of which the latter differs by machine."""

MIB = float(2**20)


@dataclass(frozen=True)
class Source:
    """One number of a result file.

    `keys` lead to it in a JSON `file`; or `compute` finds it in the file, whose path it is given, and may
    say None where it is undefined. The long tables hold it under `name`, times `factor`, in `stored_unit`; a
    table shows that value over `divisor`, in `unit`, with `digits` decimals. `meaning` says what it is.
    `spread` are the lower and upper quartile of a repeated measurement.
    """

    name: str
    file: ResultFile
    keys: tuple[str | int, ...] = ()
    meaning: str = ""
    unit: str = "%"
    stored_unit: str = "%"
    factor: float = 1
    divisor: float = 1
    digits: int = 2
    spread: tuple["Source", ...] = ()
    compute: Callable[[str], float | None] | None = None

    @property
    def timed(self) -> bool:
        """Whether it differs from machine to machine."""
        return self.file == "timing"

    def text(self, number: float) -> str:
        """A number of the file as a table prints it, without its unit."""
        return f"{self.factor * number / self.divisor:.{self.digits}f}"


@dataclass(frozen=True)
class Metric:
    """A column of a table.

    Of `sources` the first one is taken that was measured for every row, so that a column never mixes two
    quantities. `tasks` have the metric; None: every task has it. A `headline` stands in the list of runs, and
    of several tasks in that of the first.

    One of the user's own is an instance in a file of theirs, named under `components:` as `metric.<name>`.
    """

    name: str
    header: str
    sources: tuple[Source, ...]
    better: Literal["higher", "lower"]
    tasks: tuple[str, ...] | None = None
    headline: bool = False

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError(f"metric {self.name} has no sources; give at least one")

    @property
    def kind(self) -> Literal["score", "cost"]:
        """A `score` belongs to a run, and a table shows its mean over seeds; a `cost` to an architecture."""
        return "score" if self.sources[0].file in RUN_FILES else "cost"


def fraction(name: str, meaning: str = "") -> Source:
    """A score that `metrics.json` holds under its name as a fraction, and that is printed in percent."""
    return Source(name, "metrics", (name,), meaning, factor=100)


def _of_masks(name: str, header: str, meaning: str, headline: bool = False) -> Metric:
    return Metric(name, header, (fraction(name, meaning),), "higher", ("segmentation",), headline)


def _of_boxes(name: str, header: str, meaning: str, headline: bool = False) -> Metric:
    return Metric(name, header, (fraction(name, meaning),), "higher", ("detection", "instances"), headline)


def _of_outlines(name: str, header: str, meaning: str, headline: bool = False) -> Metric:
    return Metric(name, header, (fraction(name, meaning),), "higher", ("instances",), headline)


def _seconds(name: str, keys: tuple[str | int, ...], meaning: str, spread: tuple[Source, ...] = ()) -> Source:
    return Source(name, "timing", keys, meaning, unit="s", stored_unit="s", digits=4, spread=spread)


def _saved_bytes(meaning: str) -> Source:
    return Source(
        "saved_bytes", "cost", ("saved_bytes",), meaning, "MiB", stored_unit="byte", divisor=MIB, digits=1
    )


_PEAK_MEMORY = Source(
    "peak_memory",
    "timing",
    ("peak_memory",),
    "peak allocated GPU memory of a training step",
    unit="MiB",
    stored_unit="byte",
    divisor=MIB,
    digits=0,
)
_LATENCY = _seconds(
    "latency",
    ("latency",),
    "median time of a forward pass",
    spread=(
        _seconds("latency_lower_quartile", ("latency_quartiles", 0), "lower quartile of these times"),
        _seconds("latency_upper_quartile", ("latency_quartiles", 1), "upper quartile of these times"),
    ),
)
_STEP_TIME = _seconds("step_time", ("step_time",), "median time of a training step")
_PARAMETERS = Source(
    "parameters",
    "cost",
    ("parameters",),
    "values of all weights, shared ones once",
    unit="M",
    stored_unit="1",
    divisor=1e6,
    digits=3,
)
_FLOPS = Source(
    "flops",
    "cost",
    ("flops",),
    "2 x multiply-adds of convolutions and matrix products",
    unit="G",
    stored_unit="FLOP",
    divisor=1e9,
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _of_masks("miou", "mIoU", "mean IoU over classes, from one confusion matrix", headline=True),
        _of_masks("pixel_accuracy", "pixel accuracy", "share of labelled pixels that are right"),
        _of_masks("mean_accuracy", "mean accuracy", "mean over classes of the share of right pixels"),
        _of_boxes("ap", "AP", "COCO's AP, mean over IoU 0.50 to 0.95", headline=True),
        _of_boxes("ap50", "AP50", "COCO's AP at IoU 0.50", headline=True),
        _of_boxes("ap75", "AP75", "COCO's AP at IoU 0.75"),
        _of_boxes("ap_small", "AP small", "COCO's AP of objects below 32x32 pixels of area"),
        _of_boxes("ap_medium", "AP medium", "COCO's AP of objects from 32x32 to 96x96 pixels of area"),
        _of_boxes("ap_large", "AP large", "COCO's AP of objects above 96x96 pixels of area"),
        _of_boxes("ar1", "AR@1", "COCO's average recall with 1 detection per image"),
        _of_boxes("ar10", "AR@10", "COCO's average recall with 10 detections per image"),
        _of_boxes("ar100", "AR@100", "COCO's average recall with 100 detections per image"),
        _of_boxes("ar_small", "AR small", "COCO's average recall of objects below 32x32 pixels of area"),
        _of_boxes("ar_medium", "AR medium", "COCO's average recall of medium objects"),
        _of_boxes("ar_large", "AR large", "COCO's average recall of objects above 96x96 pixels of area"),
        _of_boxes("voc_ap", "mAP (11 points)", "VOC's 11-point AP at IoU 0.5, mean over classes"),
        _of_boxes("voc_ap_area", "mAP (area)", "area under VOC's precision-recall curve at IoU 0.5"),
        _of_outlines("mask_ap", "mask AP", "COCO's AP of masks, mean over IoU 0.50 to 0.95", headline=True),
        _of_outlines("mask_ap50", "mask AP50", "COCO's AP of masks at IoU 0.50", headline=True),
        _of_outlines("mask_ap75", "mask AP75", "COCO's AP of masks at IoU 0.75"),
        _of_outlines("mask_ap_small", "mask AP small", "COCO's AP of masks below 32x32 pixels of area"),
        _of_outlines("mask_ap_medium", "mask AP medium", "COCO's AP of masks from 32x32 to 96x96 pixels"),
        _of_outlines("mask_ap_large", "mask AP large", "COCO's AP of masks above 96x96 pixels of area"),
        _of_outlines("mask_ar1", "mask AR@1", "average recall of masks with 1 detection per image"),
        _of_outlines("mask_ar10", "mask AR@10", "average recall of masks with 10 detections per image"),
        _of_outlines("mask_ar100", "mask AR@100", "average recall of masks with 100 detections per image"),
        _of_outlines("mask_ar_small", "mask AR small", "average recall of masks below 32x32 pixels of area"),
        _of_outlines("mask_ar_medium", "mask AR medium", "average recall of medium masks"),
        _of_outlines("mask_ar_large", "mask AR large", "average recall of masks above 96x96 pixels of area"),
        _of_outlines("cityscapes_ap", "Cityscapes AP", "AP by cityscapesscripts, over IoU 0.50 to 0.95"),
        _of_outlines("cityscapes_ap50", "Cityscapes AP50", "AP by cityscapesscripts at IoU 0.50"),
        Metric(
            "mask_ap_gap",
            "gap of mask AP",
            (fraction("mask_ap_gap", "mask AP on as many images of train, less mask AP"),),
            "lower",
            ("instances",),
        ),
        Metric("parameters", "parameters", (_PARAMETERS,), "lower"),
        Metric("flops", "FLOPs", (_FLOPS,), "lower"),
        Metric(
            "saved_bytes",
            "saved for backward",
            (_saved_bytes("unique tensors saved for the backward pass"),),
            "lower",
        ),
        Metric(
            "training_memory",
            "training memory",
            (
                _PEAK_MEMORY,
                _saved_bytes("bytes saved for the backward pass (no GPU was there to measure peak memory)"),
            ),
            "lower",
        ),
        Metric("testing_time", "testing time", (_LATENCY,), "lower"),
        Metric("step_time", "training time", (_STEP_TIME,), "lower"),
    )
}  # fmt: skip
"""By name, in the order in which the long tables hold them."""


def metrics_of(task: str) -> list[Metric]:
    """The metrics that a study of `task` may show."""
    return [metric for metric in METRICS.values() if metric.tasks is None or task in metric.tasks]


def headlines(task: str) -> list[Metric]:
    """The scores that say first how good a run of `task` is; the first one is drawn in figures."""
    return [one for one in metrics_of(task) if one.headline and (not one.tasks or one.tasks[0] == task)]


def metric_named(name: str) -> Metric:
    """A metric of the package, or one of the user's own that the job names."""
    found: Metric = METRICS[name] if name in METRICS else load(f"metric.{name}")
    return found


def sources_in(file: ResultFile, metrics: Iterable[Metric] = METRICS.values()) -> list[Source]:
    """Every number that the long tables take from a kind of result file, each once."""
    found: dict[str, Source] = {}
    for metric in metrics:
        for source in metric.sources:
            for one in (source, *source.spread):
                if one.file == file:
                    found.setdefault(one.name, one)
    return list(found.values())
