"""The table and figures of a study that names none: every score that says something, and what it costs."""

from collections.abc import Mapping
from typing import Any

from pipeline_src.components import COMPONENTS
from pipeline_src.config.component_declarations import component
from pipeline_src.config.model import HEADS, Outside
from pipeline_src.errors import InputError
from pipeline_src.reporting.metric_table import headlines

COSTS = ("parameters", "flops", "training_memory", "testing_time")


def with_default_tables(tree: dict[str, Any], outside: Outside) -> dict[str, Any]:
    """The parameters with a table and figures for every study that has neither.

    What is no study, or has no head that is known, is left to the validation.
    """
    studies = tree.get("studies")
    if not isinstance(studies, Mapping):
        return tree
    filled = {key: _filled(study, dict(outside)) for key, study in studies.items()}
    return {**tree, "studies": filled}


def _filled(study: Any, outside: Mapping[str, str]) -> Any:
    if not isinstance(study, Mapping) or study.get("tables") or study.get("figures"):
        return study
    task, vary = _task(study.get("model"), outside), study.get("vary") or {}
    if task is None or not isinstance(vary, Mapping) or not all(isinstance(axis, str) for axis in vary):
        return study
    table = {
        "number": 1,
        "title": study.get("title", ""),
        "row": ", ".join(_label(axis) for axis in vary) or "base",
        "metrics": [*(metric.name for metric in headlines(task)), *COSTS],
    }
    figures = [{"kind": "curves", "subject": "curves", "title": "Training loss and scores on val"}]
    figures += [
        {"kind": kind, "subject": kind, "title": "Ground truth and predictions"} for kind in _pictures(task)
    ]
    if study.get("baseline"):
        figures.insert(0, {"kind": "pareto", "subject": "pareto", "title": "Score against every cost"})
    return {**study, "tables": [table], "figures": figures}


def _pictures(task: str) -> list[str]:
    """The kinds of figures that show what networks of a task predict on images."""
    kinds = [kind.partition(".")[2] for kind in COMPONENTS if kind.startswith("figure.")]
    declared = {kind: component(f"figure.{kind}") for kind in kinds}
    return [kind for kind, one in declared.items() if one.pictures and task in (one.tasks or ())]


def _label(axis: str) -> str:
    """A named axis is its label; of a key path the last part is said before the value."""
    return f"{axis.rpartition('.')[2]} {{{axis}}}" if "." in axis else f"{{{axis}}}"


def _task(model: Any, outside: Mapping[str, str]) -> str | None:
    """The task of a network's head; None where there is none that is known."""
    if not isinstance(model, Mapping):
        return None
    for section, kind_of in HEADS.items():
        head = model.get(section)
        if isinstance(head, Mapping) and isinstance(head.get("kind"), str):
            try:
                return str(component(f"{kind_of}.{head['kind']}", outside).task)
            except (InputError, KeyError, AttributeError):
                return None
    return None
