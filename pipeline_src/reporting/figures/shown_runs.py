"""Which runs a figure of pictures shows, and which images all of them kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.files import read_json
from pipeline_src.reporting.report_params import DrawFigure
from pipeline_src.reporting.row_params import pair_inputs


@dataclass(frozen=True)
class Shown:
    """One run per row: `labels`, `runs` and `indices` (what its evaluation kept) are parallel.

    `images` are the ids of the images shown, the first ones of every index.
    """

    labels: list[str]
    runs: list[str]
    indices: list[dict[str, Any]]
    images: list[str]


def shown_runs(
    params: DrawFigure,
    evaluations: list[str],
    read: Callable[[dict[str, Any]], dict[str, Any]],
    what: str,
) -> Shown:
    """The first run of each row of `params`; `read` makes an index of an evaluation's sidecar.

    Raises `InputError` without a run, without an image, or where the runs kept different images; `what` is
    shown names it there.
    """
    first: dict[str, tuple[str, str, dict[str, Any]]] = {}
    for row, run, path in pair_inputs(params.rows, evaluations, "evaluate"):
        if row.name not in first:
            first[row.name] = (row.name, run.name, read(read_json(path)))
    if not first:
        raise InputError(f"rows: no row has a run whose {what} could be shown")
    labels, runs, indices = (list(part) for part in zip(*first.values(), strict=True))
    kept = [[entry["id"] for entry in index["images"]] for index in indices]
    images = kept[0][: params.images]
    for run, others in zip(runs, kept, strict=True):
        if others[: len(images)] != images:
            raise InputError(f"{run}: its evaluation shows other images than that of {runs[0]}")
    if not images:
        raise InputError(f"evaluation.overlays: no {what} were kept; set it to at least 1")
    return Shown(labels, runs, indices, images)
