"""A table as blocks of text cells, which Markdown, LaTeX and the HTML page print alike.

First an overview in the paper's own layout, then one block for every column that there is something
to compare in: seeds, spread and paper for scores, ratios for costs. A cell keeps the names of what
it was made from, so that the page can link it.
"""

from collections.abc import Sequence

from pipeline_src.reporting.table import Block, BlockCell, Column, CostCell, ScoreCell, Values

DASH = "–"


def make_blocks(table: Values, row_header: str) -> list[Block]:
    """The blocks of a table."""
    blocks = [_overview(table, row_header)]
    if any(row.pair for row in table.rows):
        paired = [_pair_block(table, column) for column in table.columns if column.kind == "score"]
        blocks = [*paired, *blocks]
    has_baseline = any(not row.is_baseline for row in table.rows)
    for column in table.columns:
        if column.kind == "score":
            blocks.append(_score_block(table, column, row_header, has_baseline))
        elif column.published:
            blocks.append(_cost_block(table, column, row_header))
    if table.quoted:
        blocks.append(_quoted_block(table, row_header))
    return blocks


def number(value: float | None, digits: int, sign: bool = False) -> str:
    """A number with fixed decimals and a real minus sign, or a dash."""
    if value is None:
        return DASH
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return f"±{text}" if sign else text
    return ("−" if value < 0 else "+" if sign else "") + text


def interval(values: Sequence[float] | None, digits: int, sign: bool = False) -> str:
    """`low … high`, or a dash."""
    if values is None:
        return DASH
    return f"{number(values[0], digits, sign)} … {number(values[1], digits, sign)}"


def sentence(text: str) -> str:
    """`text` with a capital at its start, unless it begins with a symbol such as mIoU."""
    return text[:1].upper() + text[1:] if text[1:2].islower() else text


def _overview(table: Values, row_header: str) -> Block:
    header, rows = [row_header], [[_text(row.row)] for row in table.rows]
    for column in table.columns:
        header.append(f"{column.header} ({column.unit})")
        for row, line in zip(table.rows, rows, strict=True):
            cell = row.cells[column.key]
            text = number(cell.mean, column.digits)
            if cell.mean is None:
                text = cell.verdict or DASH
            elif isinstance(cell, ScoreCell):
                text += f" ± {number(cell.sd, column.digits)}"
            line.append(_linked(text, cell))
    return Block("Overview", header, "l" + "r" * len(table.columns), rows)


def _pair_block(table: Values, column: Column) -> Block:
    """One line for every row with its baseline: both means, and their difference over shared seeds."""
    digits, level = column.digits, f"{100 * table.confidence:g} % interval"
    header = ["", "without", "with", "n", "difference", level]
    if column.published:
        header += ["paper without", "paper with", "paper's difference", "verdict"]
    by_name = {row.row: row.score(column) for row in table.rows}
    rows = []
    for row in table.rows:
        if row.is_baseline or not row.pair:
            continue
        cell, baseline = by_name[row.row], by_name[row.baseline_row or row.row]
        line = [_text(row.pair)]
        for one in (baseline, cell):
            text = f"{number(one.mean, digits)} ± {number(one.sd, digits)}"
            line.append(_linked(text if one.mean is not None else one.verdict or DASH, one))
        line += [
            _text(str(cell.baseline_difference.n if cell.baseline_difference else 0)),
            _text(number(cell.gain, digits, True)),
            _text(interval(cell.gain_interval, digits, True)),
        ]
        if column.published:
            line += [_text(number(one.paper, column.paper_digits)) for one in (baseline, cell)]
            line.append(_text(number(cell.paper_baseline_difference, column.paper_digits, True)))
            line.append(_verdict(cell))
        rows.append(line)
    align = "l" + "r" * (len(header) - 1 - column.published) + "l" * column.published
    return Block(sentence(f"{column.header} ({column.unit}), in pairs"), header, align, rows)


def _score_block(table: Values, column: Column, row_header: str, has_baseline: bool) -> Block:
    digits = column.digits
    published = column.published
    split = f" ({column.paper_split})" if column.paper_split else ""
    valued = published and any(row.score(column).paper is not None for row in table.rows)
    server = any(row.score(column).server_verdict for row in table.rows)
    hidden = sorted({where for row in table.rows if (where := row.score(column).server_split)})
    level = f"{100 * table.confidence:g} % interval"
    header = [row_header, "mean", "sd", "n", level]
    header += [f"paper{split}", "difference"] if valued else []
    header += ["vs baseline", f"its {level}"] if has_baseline else []
    header += ["paper vs baseline" + (split if not valued else "")] if has_baseline and published else []
    answered = [answer for row in table.rows if (answer := row.score(column).answer) is not None]
    pooled = any(answer.pooled for answer in answered)
    header += [f"pooled {level}"] if pooled else []
    header += ["p (Holm)", "answer"] if answered else []
    header += ["verdict"] if published else []
    header += [f"paper's split ({', '.join(hidden)})"] if server else []
    rows = []
    for row in table.rows:
        cell = row.score(column)
        line = [
            _text(row.row),
            _linked(number(cell.mean, digits), cell),
            _text(number(cell.sd, digits)),
            _text(str(cell.n)),
            _text(interval(cell.interval, digits)),
        ]
        if valued:
            line += [
                _text(number(cell.paper, column.paper_digits)),
                _text(number(cell.difference, digits, True)),
            ]
        if has_baseline:
            line += [
                _text(number(cell.gain, digits, True)),
                _text(interval(cell.gain_interval, digits, True)),
            ]
        if has_baseline and published:
            line.append(_text(number(cell.paper_baseline_difference, digits, True)))
        if pooled:
            limits = cell.answer.interval if cell.answer and cell.answer.pooled else None
            line.append(_text(interval(limits, digits, True)))
        if answered:
            line += [_text(number(cell.answer.p if cell.answer else None, 3)), _answer(cell)]
        if published:
            line.append(_verdict(cell))
        if server:
            stated = number(cell.server_difference, column.paper_digits, True)
            more = f" (paper vs baseline {stated})" if cell.server_difference is not None else ""
            line.append(_text(f"{cell.server_verdict}{more}" if cell.server_verdict else DASH))
        rows.append(line)
    words = published + server + bool(answered)
    align = "l" + "r" * (len(header) - 1 - words) + "l" * words
    return Block(sentence(f"{column.header} ({column.unit})"), header, align, rows)


def _cost_block(table: Values, column: Column, row_header: str) -> Block:
    digits = column.digits
    scatter = any(row.cost(column).quartiles for row in table.rows)
    header = [row_header, f"ours ({column.unit})", *(["quartiles"] if scatter else []), "ratio"]
    header += [f"paper ({column.paper_unit})", "paper's ratio", "difference", "verdict"]
    rows = []
    for row in table.rows:
        cell = row.cost(column)
        line = [_text(row.row), _linked(number(cell.mean, digits), cell)]
        if scatter:
            line.append(_text(interval(cell.quartiles, digits)))
        line += [
            _text(number(cell.ratio, 2) + (" noisy" if cell.noisy else "")),
            _text(number(cell.paper, column.paper_digits)),
            _text(number(cell.paper_ratio, 2)),
            _text(number(cell.difference, 2, True)),
            _verdict(cell),
        ]
        rows.append(line)
    title = sentence(f"{column.header}, relative to the baseline row")
    return Block(title, header, "l" + "r" * (len(header) - 2) + "l", rows)


def _quoted_block(table: Values, row_header: str) -> Block:
    """The paper's comparison with others: what it quotes, then its own values."""
    quoted = table.quoted
    metrics = {entry.metric for entry in quoted}
    columns = [column for column in table.columns if column.key in metrics]
    by_cell = {(entry.row, entry.metric): entry.value for entry in quoted}
    groups = {entry.row: entry.group for entry in quoted}
    rows = [
        [
            _text(group),
            _text(label),
            *(_text(number(by_cell.get((label, column.key)), column.paper_digits)) for column in columns),
        ]
        for label, group in groups.items()
    ]
    for row in table.rows:
        values = [row.cells[column.key].paper for column in columns]
        if any(value is not None for value in values):
            texts = [number(value, c.paper_digits) for value, c in zip(values, columns, strict=True)]
            rows.append([_text("the paper's own"), _text(row.row), *map(_text, texts)])
    splits = ", ".join(sorted({entry.split for entry in quoted if entry.split}))
    header = ["", row_header, *(f"{column.header} ({column.unit})" for column in columns)]
    title = f"As the paper prints it{f' ({splits})' if splits else ''}; rows of others are quoted, not run"
    return Block(title, header, "ll" + "r" * len(columns), rows)


def _text(text: str) -> BlockCell:
    return BlockCell(text)


def _linked(text: str, cell: ScoreCell | CostCell) -> BlockCell:
    """A measured value with what it was made from."""
    if isinstance(cell, ScoreCell):
        return BlockCell(text, runs=cell.runs)
    return BlockCell(text, architecture=cell.architecture)


def _answer(cell: ScoreCell) -> BlockCell:
    if cell.answer is None:
        return _text(DASH)
    return BlockCell(cell.answer.verdict, verdict=cell.answer.verdict, reason="")


def _verdict(cell: ScoreCell | CostCell) -> BlockCell:
    return BlockCell(cell.verdict or DASH, verdict=cell.verdict, reason=cell.reason)
