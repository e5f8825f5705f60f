"""What the page says first: for tables of a paper how many values agree, for others the answer of every row.

Everything here is counted or copied from finished tables; no rule is applied anew.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline_src.reporting.baseline_answers import COLLAPSED, INCONCLUSIVE
from pipeline_src.reporting.paper_verdict import AGREES, DIFFERS, DIRECTION_ONLY
from pipeline_src.reporting.row_status import STATUSES
from pipeline_src.reporting.table import Column, CostCell, FinishedTable, Line, ScoreCell
from pipeline_src.reporting.table_blocks import DASH, interval, number

NOT_RUN, NOT_COMPARABLE, OTHER = "not run", "not comparable", "undefined"
COUNTED = (AGREES, DIRECTION_ONLY, DIFFERS, INCONCLUSIVE, COLLAPSED, NOT_RUN, NOT_COMPARABLE, OTHER)
"""What the values of a paper's table are counted as; `not run` of rows that were not made, whatever why."""

DOUBTS = ("A control failed", "Whether this table may be believed")
"""How the sentences begin that say that a table may not be believed."""

SHOWN_COSTS = 4


@dataclass(frozen=True)
class PaperAnswers:
    """How many values of a paper's table got which verdict."""

    table: str
    title: str
    counts: dict[str, int]

    @property
    def values(self) -> int:
        """All values that the paper prints."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class RowAnswer:
    """What came out for a row without a paper, as text; `control` is the answer that it is known to have."""

    table: str
    title: str
    row: str
    score: str
    answer: str
    difference: str
    interval: str
    smallest: str
    costs: list[str]
    control: str | None = None


@dataclass(frozen=True)
class FirstScreen:
    """The answers; `counted` are the verdicts that occur, `cost_headers` the costs that are shown.

    `caveats` are titles of tables that may not be believed, each with the reason.
    """

    papers: list[PaperAnswers] = field(default_factory=list)
    rows: list[RowAnswer] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    cost_headers: list[str] = field(default_factory=list)
    caveats: list[tuple[str, str]] = field(default_factory=list)


def first_screen(tables: Iterable[tuple[FinishedTable, Mapping[str, str]]]) -> FirstScreen:
    """The answers of tables, each with its controls: rows whose answer is known beforehand, with it."""
    papers: list[PaperAnswers] = []
    rows: list[RowAnswer] = []
    costs: dict[str, Column] = {}
    caveats: list[tuple[str, str]] = []
    own: list[tuple[FinishedTable, Mapping[str, str]]] = []
    for table, controls in tables:
        if any(column.published for column in table.columns):
            papers.append(_counted(table))
        else:
            own.append((table, controls))
            costs |= {column.key: column for column in table.columns if column.kind == "cost"}
            caveats += [(table.title, line) for line in table.findings if line.startswith(DOUBTS)]
    shown = list(costs.values())[:SHOWN_COSTS]
    for table, controls in own:
        rows += _rows(table, controls, shown)
    return FirstScreen(
        papers=papers,
        rows=rows,
        counted=[name for name in COUNTED if any(one.counts.get(name) for one in papers)],
        cost_headers=[column.header for column in shown],
        caveats=caveats,
    )


def kind_of(verdict: str) -> str:
    """What a verdict is counted as: its name without scale and number of seeds."""
    if verdict in STATUSES:
        return NOT_RUN
    return next((name for name in COUNTED if verdict.startswith(name)), OTHER)


def _counted(table: FinishedTable) -> PaperAnswers:
    cells = [row.cells[column.key] for row in table.rows for column in table.columns if column.published]
    counts = Counter(kind_of(cell.verdict) for cell in cells if cell.verdict is not None and _printed(cell))
    return PaperAnswers(table.name, table.title, dict(counts))


def _printed(cell: ScoreCell | CostCell) -> bool:
    """Whether the paper prints something for it."""
    stated = cell.paper_baseline_difference if isinstance(cell, ScoreCell) else cell.paper_ratio
    return cell.paper is not None or stated is not None


def _rows(table: FinishedTable, controls: Mapping[str, str], costs: list[Column]) -> list[RowAnswer]:
    scores = [column for column in table.columns if column.kind == "score"]
    if not scores:
        return []
    column, found = scores[0], []
    for row in table.rows:
        answer = row.score(column).answer
        if answer is None:
            continue
        difference = answer.difference
        if difference is None and answer.verdict != COLLAPSED:
            difference = row.score(column).gain
        found.append(
            RowAnswer(
                table=table.name,
                title=table.title,
                row=row.row,
                score=column.header,
                answer=answer.verdict,
                difference=number(difference, column.digits, True),
                interval=interval(answer.interval, column.digits, True),
                smallest=number(answer.smallest, column.digits),
                costs=[_ratio(row, cost) for cost in costs],
                control=controls.get(row.row),
            )
        )
    return found


def _ratio(row: Line, column: Column) -> str:
    cell: Any = row.cells.get(column.key)
    if not isinstance(cell, CostCell) or cell.ratio is None:
        return DASH
    return f"{number(cell.ratio, 2)}×{' (noisy)' if cell.noisy else ''}"
