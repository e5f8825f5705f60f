"""Prints the gathered values as one HTML page that needs no other file and no network."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline_src.reporting.page import anchor

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
    return environment.get_template(PACKAGE_FILES[0]).render(context)


def _verdict_class(verdict: str | None) -> str:
    """CSS class of a verdict: its first word, since the rest varies (scale, number of seeds)."""
    return (verdict or "none").split()[0]
