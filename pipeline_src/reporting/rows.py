"""What the planner tells the reporting steps about a study: its rows, in the order of its table.

`tabulate`, `table` and `figure` share one form of `params["rows"]`, a list of

    {"row": "depth 3",                  # name of the row, as in workflow/reference/paper_values.csv
     "label": "3",                      # what a table prints for it; optional, default: `row`
     "architecture": "dfp/depth-3",     # whose cost the row shows; null: none is measured
     "baseline_row": "depth 0",         # the row that this one is compared with; null: it has none
                                        # (the baseline row itself: null or its own name)
     "runs": [{"run": "dfp/depth-3/seed-0", "seed": 0}, ...],
     "status": "run",                   # optional: "run" (default), "no data", "not run", "server only"
     "reason": null,                    # optional: one line that says why there is nothing
     "pair": "Swin-T, ADE20K",          # optional: names the row and its baseline together
     "init_from": "dfp/depth-0/seed-0"} # optional: the run whose weights its runs start from

Lists of input files run parallel to these rows: `inputs["metrics"]`, `["evaluate"]`, `["train"]`,
`["log"]` and `["curve"]` hold one path for every run of every row whose status is "run", in order;
`inputs["cost"]` and `["timing"]` hold one path for every entry of `params["architectures"]`.

Every step also takes `params["scale"]` = {"name": "demo", "comparable": false, "note": "..."}.
The other keys of a step's `params` are described in its own module, `pipeline_src/steps/<step>.py`.
"""

from dataclasses import dataclass
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.reporting.status import DONE, STATUSES, Scale


@dataclass(frozen=True)
class Run:
    """A training that serves a row."""

    name: str
    seed: int


@dataclass(frozen=True)
class Row:
    """One row of a study; see the module's text for the fields."""

    name: str
    label: str
    architecture: str | None
    baseline_row: str | None
    runs: tuple[Run, ...]
    status: str
    reason: str | None
    pair: str | None = None

    @property
    def is_baseline(self) -> bool:
        """Whether the row is compared with no other row."""
        return self.baseline_row in (None, self.name)


def parse_rows(params: dict[str, Any]) -> list[Row]:
    """The rows of `params`, checked.

    Raises `InputError` for a name that two rows share, a baseline that is no row, or an unknown
    status.
    """
    rows = [
        Row(
            name=entry["row"],
            label=entry.get("label") or entry["row"],
            architecture=entry.get("architecture"),
            baseline_row=entry.get("baseline_row"),
            runs=tuple(Run(run["run"], run["seed"]) for run in entry["runs"]),
            status=entry.get("status") or DONE,
            reason=entry.get("reason"),
            pair=entry.get("pair"),
        )
        for entry in params["rows"]
    ]
    names = [row.name for row in rows]
    for row in rows:
        if names.count(row.name) > 1:
            raise InputError(f"rows: {row.name!r} stands for several rows; names have to differ")
        if row.baseline_row is not None and row.baseline_row not in names:
            raise InputError(f"rows: {row.name!r} has the baseline {row.baseline_row!r}, which is no row")
        if row.status not in STATUSES:
            raise InputError(f"rows: {row.name!r} has status {row.status!r}; use {', '.join(STATUSES)}")
    return rows


def runs_with_results(rows: list[Row]) -> list[tuple[Row, Run]]:
    """Every (row, run) that has results, in the order of the parallel input lists."""
    return [(row, run) for row in rows if row.status == DONE for run in row.runs]


def pair_inputs(rows: list[Row], paths: list[str], what: str) -> list[tuple[Row, Run, str]]:
    """Every (row, run) with its input file; raises `InputError` when the lists do not match."""
    runs = runs_with_results(rows)
    if len(runs) != len(paths):
        raise InputError(f"inputs.{what}: has {len(paths)} files for {len(runs)} runs of the rows")
    return [(row, run, path) for (row, run), path in zip(runs, paths, strict=True)]


def parse_scale(params: dict[str, Any]) -> Scale:
    """Name of the scale and whether its numbers may be compared with a paper's."""
    return Scale(params["scale"]["name"], params["scale"]["comparable"])
