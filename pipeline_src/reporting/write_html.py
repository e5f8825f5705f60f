"""Prints the gathered values as one HTML page that needs no other file and no network."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline_src.reporting.page import anchor
from pipeline_src.reporting.table import Block

PACKAGE_FILES = ["report.html.jinja"]


def render_page(context: dict[str, Any]) -> str:
    """The page of `Page.context()`; everything is escaped, and a value that is missing is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["anchor"] = anchor
    environment.filters["slug"] = _verdict_class
    environment.filters["seed"] = _seed
    environment.filters["reasons"] = _reasons
    return environment.get_template(PACKAGE_FILES[0]).render(context)


def _verdict_class(verdict: str | None) -> str:
    """CSS class of a verdict: its first word, since the rest varies (scale, number of seeds)."""
    return (verdict or "none").split()[0]


def _seed(run: str) -> str:
    """The seed that a run's name ends in, or the name's last part."""
    return run.rpartition("/")[2].removeprefix("seed-")


def _reasons(block: Block) -> list[tuple[str, str, list[str]]]:
    """Verdict, reason, and the rows that have both, of the verdicts of a block that state a reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in block.rows:
        for cell in row:
            if cell.verdict is not None and cell.reason:
                found.setdefault((cell.verdict, cell.reason), []).append(row[0].text)
    return [(verdict, reason, rows) for (verdict, reason), rows in found.items()]
