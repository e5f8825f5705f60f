"""The metrics that `params.yaml` may name: those of the tasks, which declare them, and those of every task.

All else asks `METRICS`: which columns there are, what of the result files goes into the long tables, and how
tables, figures and the report print it. Standard library only, since planning reads it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipeline_src.components import load
from pipeline_src.reporting.metric import Metric, ResultFile, Source
from pipeline_src.tasks.table import TASKS

MIB = float(2**20)


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


def _of_tasks() -> Iterator[Metric]:
    """The metrics that tasks declare, each once, with all the tasks that have it."""
    declared = {metric.name: metric for task in TASKS.values() for metric in task.metrics}
    for metric in declared.values():
        yield replace(metric, tasks=tuple(name for name, task in TASKS.items() if metric in task.metrics))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *_of_tasks(),
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
}
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
