"""Prints a finished table as Markdown (readable in a terminal), LaTeX (booktabs) and wide CSV."""

from typing import Any

import pandas as pd

from pipeline_src.reporting.report_params import Assumption
from pipeline_src.reporting.row_status import QUOTED
from pipeline_src.reporting.table import Block, Column, CostCell, FinishedTable, ScoreCell, Values

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "…": r"\ldots{}",
}

_WIDE = 10
"""Blocks of so many columns are set in smaller type."""

_SCORE_FIELDS = ("mean", "sd", "n", "paper", "difference", "verdict", "server_verdict")
_COST_FIELDS = ("mean", "ratio", "paper", "paper_ratio", "difference", "verdict")


def to_markdown(table: FinishedTable) -> str:
    """Title, blocks as pipe tables with padded columns, then notes and numbered assumptions."""
    lines = [f"# {table.title}", ""]
    if table.findings:
        lines += [" ".join(table.findings), ""]
    for block in table.blocks:
        if len(table.blocks) > 1:
            lines += [f"## {block.title}", ""]
        lines += [*_pipe_table(block), ""]
    lines += [f"- {note}" for note in table.notes]
    if table.assumptions:
        lines += ["", "Where the paper is silent, we assume:", ""]
        for number, entry in enumerate(table.assumptions, start=1):
            lines.append(f"{number}. {_assumption(entry)}")
    return "\n".join(lines) + "\n"


def to_latex(table: FinishedTable) -> str:
    r"""One `table` environment for every block, for a document that loads `booktabs`.

    The first is labelled `tab:<name>` and carries the notes in its caption, the others are labelled
    `tab:<name>-2` and so on. The assumptions follow as a list, since floats cannot break over pages.
    """
    lines = [r"% needs \usepackage{booktabs}"]
    for number, block in enumerate(table.blocks, start=1):
        label = table.name.replace("_", "-") + (f"-{number}" if number > 1 else "")
        size = "footnotesize" if len(block.header) < _WIDE else "scriptsize"
        more = f". {' '.join(table.notes)}" if number == 1 else f": {block.title}."
        lines += [
            r"\begin{table}",
            rf"  \centering\{size}\setlength{{\tabcolsep}}{{4pt}}",
            rf"  \caption{{{escape_latex(table.title + more)}}}",
            rf"  \label{{tab:{label}}}",
            rf"  \begin{{tabular}}{{{block.align}}}",
            r"    \toprule",
            f"    {_latex_row(block.header)}",
            r"    \midrule",
            *(f"    {_latex_row([cell.text for cell in row])}" for row in block.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    if table.findings:
        lines += [r"\noindent " + escape_latex(" ".join(table.findings)) + r"\par"]
    if table.assumptions:
        lines += [r"\noindent Where the paper is silent, we assume:", r"\begin{enumerate}"]
        lines += [rf"  \item {escape_latex(_assumption(entry, code=False))}" for entry in table.assumptions]
        lines += [r"\end{enumerate}"]
    return "\n".join(lines) + "\n"


def to_csv(table: Values) -> str:
    """One line per row; `<column>_<field>` for every value, with the unit in a column of its own.

    Rows that the paper quotes of others have the status `quoted`, and nothing but the paper's values.
    """
    lines: list[dict[str, Any]] = [
        {"row": row.row, "status": row.status}
        | {
            f"{column.key}_{name}": value
            for column in table.columns
            for name, value in _wide_cell(row.cells[column.key], column).items()
        }
        for row in table.rows
    ]
    header = list(lines[0])
    for label in dict.fromkeys(entry.row for entry in table.quoted):
        values = {f"{one.metric}_paper": one.value for one in table.quoted if one.row == label}
        lines.append({"row": label, "status": QUOTED, **values})
    # as objects, numbers keep their type beside a None
    return pd.DataFrame(lines, columns=header, dtype=object).to_csv(index=False, lineterminator="\n")


def _wide_cell(cell: ScoreCell | CostCell, column: Column) -> dict[str, Any]:
    if isinstance(cell, CostCell):
        return {"unit": column.unit, **{field: getattr(cell, field) for field in _COST_FIELDS}}
    low, high = cell.interval or (None, None)
    relative_low, relative_high = cell.gain_interval or (None, None)
    return {
        "unit": column.unit,
        **{field: getattr(cell, field) for field in _SCORE_FIELDS},
        "low": low,
        "high": high,
        "vs_baseline": cell.gain,
        "vs_baseline_low": relative_low,
        "vs_baseline_high": relative_high,
        "paper_vs_baseline": cell.paper_baseline_difference,
    }


def escape_latex(text: str) -> str:
    """Plain text with everything escaped that LaTeX would read as a command."""
    return "".join(_LATEX.get(character, character) for character in text)


def _pipe_table(block: Block) -> list[str]:
    cells = [block.header, *([cell.text for cell in row] for row in block.rows)]
    cells = [[text.replace("|", "\\|") for text in line] for line in cells]
    widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(cells[0]))]
    lines = []
    for line in cells:
        padded = [
            text.rjust(width) if align == "r" else text.ljust(width)
            for text, width, align in zip(line, widths, block.align, strict=True)
        ]
        lines.append(f"| {' | '.join(padded)} |")
    rule = [
        "-" * (width - 1) + ":" if align == "r" else "-" * width
        for width, align in zip(widths, block.align, strict=True)
    ]
    return [lines[0], f"| {' | '.join(rule)} |", *lines[1:]]


def _latex_row(texts: list[str]) -> str:
    return " & ".join(escape_latex(text) for text in texts) + r" \\"


def _assumption(entry: Assumption, code: bool = True) -> str:
    quote = "`" if code else ""
    text = f"{entry.text.rstrip('.')}. {entry.reason.rstrip('.')}."
    if entry.switch:
        changed = f", here {entry.value}" if entry.value not in (None, entry.default) else ""
        keys = ", ".join(f"{quote}{key}{quote}" for key in entry.switch.split())
        text += f" (switch: {keys}, default {entry.default}{changed})"
    return text
