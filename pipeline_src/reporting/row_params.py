"""The rows of a study as the planner tells them to the reporting steps, in the order of its table.

Lists of input files run parallel to these rows: `inputs["metrics"]`, `["evaluate"]`, `["train"]`,
`["log"]` and `["curve"]` hold one path for every run of every row whose status is `run`, in order.
Standard library only.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline_src.errors import InputError
from pipeline_src.reporting.row_status import DONE, STATUSES


@dataclass(frozen=True)
class RowRun:
    """A training that serves a row, under the name of its evaluation there."""

    name: str
    seed: int


@dataclass(frozen=True)
class TableRow:
    """One row of a study.

    `name` is that of `workflow/reference/paper_values.csv` where a paper has the row. `architecture` is the
    one whose cost it shows; None: none is measured. `baseline` is the name of the row that it is compared
    with; None, or its own name: none. `status` is one of `STATUSES`, and `reason` says in one line why
    there is nothing. `pair` names the row and its baseline together. `init_from` is the run whose weights
    its runs start from.
    """

    name: str
    architecture: str | None
    baseline: str | None
    runs: list[RowRun]
    status: str = DONE
    reason: str | None = None
    pair: str | None = None
    init_from: str | None = None

    @property
    def is_baseline(self) -> bool:
        """Whether the row is compared with no other row."""
        return self.baseline in (None, self.name)


def check_rows(rows: list[TableRow]) -> None:
    """Refuse a name that two rows share, a baseline that is no row, and an unknown status (`InputError`)."""
    names = [row.name for row in rows]
    for row in rows:
        if names.count(row.name) > 1:
            raise InputError(f"rows: {row.name!r} stands for several rows; names have to differ")
        if row.baseline is not None and row.baseline not in names:
            raise InputError(f"rows: {row.name!r} has the baseline {row.baseline!r}, which is no row")
        if row.status not in STATUSES:
            raise InputError(f"rows: {row.name!r} has status {row.status!r}; use {', '.join(STATUSES)}")


def runs_with_results(rows: Iterable[TableRow]) -> list[tuple[TableRow, RowRun]]:
    """Every (row, run) that has results, in the order of the parallel input lists."""
    return [(row, run) for row in rows if row.status == DONE for run in row.runs]


def pair_inputs(
    rows: Iterable[TableRow], paths: list[str], what: str
) -> Iterator[tuple[TableRow, RowRun, str]]:
    """Every (row, run) that has results, with its input file.

    Raises `InputError` when the lists do not match.
    """
    runs = runs_with_results(rows)
    if len(runs) != len(paths):
        raise InputError(f"inputs.{what}: has {len(paths)} files for {len(runs)} runs of the rows")
    return ((row, run, path) for (row, run), path in zip(runs, paths, strict=True))
