"""What a table without a paper supports and what it does not, as a short paragraph: never more.

Each sentence follows from the answers of the table's first score (`baseline_answers.py`). Where a
control fails, the paragraph says so first.
"""

from collections.abc import Collection, Mapping

from pipeline_src.reporting.baseline_answers import COLLAPSED, HELPS, HURTS, INCONCLUSIVE, NO_EVIDENCE, Answer
from pipeline_src.reporting.table import Column, CostCell, Line, Values
from pipeline_src.reporting.table_blocks import interval, number


def findings(table: Values, controls: Mapping[str, str]) -> list[str]:
    """The sentences of a table's paragraph; empty where no row has an answer.

    `controls` are rows whose answer is known beforehand, with that answer.
    """
    scores = [column for column in table.columns if column.kind == "score"]
    if not scores:
        return []
    column = scores[0]
    answers = {row.row: row.score(column).answer for row in table.rows}
    answered = {row: answer for row, answer in answers.items() if answer is not None}
    if not answered:
        return []
    asked = {row: answer for row, answer in answered.items() if row not in controls}
    lines = {row.row: row for row in table.rows}
    return [
        *_of_controls(answered, controls, column),
        *_of_rows(asked, lines, column, table),
        *_of_limits(asked, lines, column),
    ]


def _of_controls(answers: Mapping[str, Answer], controls: Mapping[str, str], column: Column) -> list[str]:
    made = {row: expected for row, expected in controls.items() if row in answers}
    said = {row: f"{row} reads `{answers[row].verdict}`{_measured(answers[row], column)}" for row in made}
    wrong = [row for row, expected in made.items() if answers[row].verdict != expected]
    undecided = [row for row in wrong if answers[row].verdict.startswith(INCONCLUSIVE)]
    if failed := [row for row in wrong if row not in undecided]:
        which = "; ".join(f"{said[row]} and must read `{made[row]}`" for row in failed)
        return [f"A control failed, so nothing else in this table may be believed: {which}."]
    if absent := [row for row in controls if row not in answers]:
        which = f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not among the rows"
        also = f" {'; '.join(said.values())}." if made else ""
        return [f"Whether this table may be believed is not known, for want of a control: {which}.{also}"]
    if undecided:
        return [f"The controls say nothing yet, for want of seeds: {', '.join(undecided)}."]
    return [f"The controls hold: {'; '.join(said.values())}."] if made else []


def _of_rows(
    asked: Mapping[str, Answer], lines: Mapping[str, Line], column: Column, table: Values
) -> list[str]:
    def of(verdict: str) -> dict[str, str]:
        return {
            row: f"{row}{_measured(answer, column)}"
            for row, answer in asked.items()
            if answer.verdict.startswith(verdict)
        }

    sentences = []
    for verdict, one, several in ((HELPS, "does better", "do better"), (HURTS, "does worse", "do worse")):
        if found := of(verdict):
            priced = "; ".join(text + _price(lines[row], table) for row, text in found.items())
            how = f"{len(found)} {_rows(found)} {one if len(found) == 1 else several}"
            sentences.append(f"Beside {_baselines(found, lines)}, {how}: {priced}.")
    if found := of(NO_EVIDENCE):
        sentences.append(f"No evidence of a difference: {'; '.join(found.values())}.")
    if found := of(COLLAPSED):
        sentences.append(f"Collapsed, so that no answer rests on it: {', '.join(found)}; {_COLLAPSE}.")
    if found := of(INCONCLUSIVE):
        sentences.append(f"Too few seeds for an answer: {', '.join(found)}.")
    return sentences


_COLLAPSE = "a run predicts one class, or finds nothing"


def _of_limits(asked: Mapping[str, Answer], lines: Mapping[str, Line], column: Column) -> list[str]:
    """How the answers were found, and what the numbers do not support."""
    sizes = {row: answer.smallest for row, answer in asked.items() if answer.smallest is not None}
    if not sizes:
        return []
    low, high = (number(size, column.digits) for size in (min(sizes.values()), max(sizes.values())))
    size = f"{low if low == high else f'{low} to {high}'} {_unit(column)}"
    seeds = sorted({lines[row].score(column).n for row in sizes})
    n = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    how = "pooled over the rows" if all(asked[row].pooled for row in sizes) else "of each row alone"
    return [
        f"Intervals are of the difference from the baseline row, with the spread over seeds {how}; p is "
        "corrected by Holm's method over all rows without a known effect.",
        f"No evidence is no proof of equality: with {n} seeds a difference below {size} could not have been "
        "told from 0.",
        "Nothing here says what holds for other data, backbones or longer training.",
    ]


def _measured(answer: Answer, column: Column) -> str:
    if answer.difference is None:
        return ""
    p = "" if answer.p is None else f", p = {answer.p:.3f}" if answer.p >= 0.001 else ", p < 0.001"
    limits = interval(answer.interval, column.digits, True)
    return f" ({number(answer.difference, column.digits, True)} {_unit(column)}, {limits}{p})"


def _price(line: Line, table: Values) -> str:
    """Ratios of costs to the baseline's, of those that are the same on every machine."""
    ratios = []
    for column in table.columns:
        cell = line.cells[column.key]
        if isinstance(cell, CostCell) and cell.ratio is not None and not column.timed:
            ratios.append(f"{number(cell.ratio, 2)} times the {column.header}")
    return f" at {' and '.join(ratios)}" if ratios else ""


def _baselines(found: Collection[str], lines: Mapping[str, Line]) -> str:
    names = {lines[row].baseline_row or "" for row in found}
    return names.pop() if len(names) == 1 else "their baselines"


def _rows(found: Collection[str]) -> str:
    return "row" if len(found) == 1 else "rows"


def _unit(column: Column) -> str:
    return "points" if column.unit == "%" else column.unit
