"""What is declared of a task, for planning and for what is printed. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline_src.reporting.metric import Metric


@dataclass(frozen=True)
class Task:
    """A task in words, and the networks that learn it.

    `annotations` are what its data has, `network` what learns from them, `sizes` what its training transforms
    have to say. `scores` and `flops` are added to what a table says of its data and of that column; empty for
    nothing. `heads` are the sections of a model that read levels of its pyramid, each with the kind of its
    component; the first one is always there. `metrics` are what its evaluation measures, in the order of the
    long tables. `most_classes` is how many its annotations can tell apart; None: any number.
    """

    annotations: str
    network: str
    sizes: str
    heads: Mapping[str, str]
    metrics: tuple[Metric, ...]
    scores: str = ""
    flops: str = ""
    most_classes: int | None = None
