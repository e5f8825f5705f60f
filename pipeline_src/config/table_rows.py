"""Labels of table rows, and which row each is compared with."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

from pipeline_src.config.experiments import Row
from pipeline_src.config.explain import one_of, suggest
from pipeline_src.config.figures import figure_kinds
from pipeline_src.config.study import Params
from pipeline_src.tasks.table import TASKS


def with_baselines(params: Params, key: str, rows: list[Row], axis_labels: list[dict[str, str]]) -> list[Row]:
    """The rows, each with the label of the row that it is compared with."""
    study = params.studies[key]
    if not study.baseline:
        return rows
    settings = {path for row in rows for path in row.settings}
    for path in study.baseline:
        if path not in settings and path not in study.vary:
            known = one_of({**study.vary, **dict.fromkeys(sorted(settings))})
            raise params.wrong(
                ["studies", key, "baseline", path], f"is no axis or key path that `vary` sets; use {known}"
            )
    # an axis that the baseline fixes; a baseline's rows differ in the other axes only
    free = [
        axis
        for axis, values in study.vary.items()
        if not study.baseline.keys()
        & {axis, *(path for group in (values.values() if isinstance(values, dict) else ()) for path in group)}
    ]
    rests = [tuple(labels[axis] for axis in free) for labels in axis_labels]
    baselines: dict[tuple[str, ...], str] = {}
    for row, labels, rest in zip(rows, axis_labels, rests, strict=True):
        # a labelled axis is fixed by its label
        values = {**labels, **row.settings}
        if all(path in values and values[path] == value for path, value in study.baseline.items()):
            if rest in baselines:
                explanation = f"fits {baselines[rest]!r} and {row.label!r}; it must fit one row only"
                raise params.wrong(["studies", key, "baseline"], explanation)
            baselines[rest] = row.label
    if not baselines:
        raise params.wrong(["studies", key, "baseline"], f"no row has {study.baseline}")
    return [
        replace(row, baseline=baselines[rest] if row.label not in baselines.values() else None)
        for row, rest in zip(rows, rests, strict=True)
    ]


def row_label(
    params: Params, key: str, labels: dict[str, str], settings: dict[str, Any], template_key: str = "row"
) -> str | None:
    """A row's label by a template of the first table; None where the table has no such template."""
    tables = params.studies[key].tables
    if tables:
        template = getattr(tables[0], template_key)
    elif template_key == "row":
        template = ", ".join(f"{axis.split('.')[-1]} {{{axis}}}" for axis in labels)
    else:
        template = None
    if template is None:
        return None
    values = {**settings, **labels}

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in values:
            path: list[str | int] = ["studies", key, "tables", 0, template_key]
            use = f"use {one_of(values)}" if values else "this study has none; leave the braces out"
            raise params.wrong(path, f"{match[1]} is not an axis of `vary`; {use}")
        return str(values[match[1]])

    return re.sub(r"\{([^}]+)\}", value_of, template)


def check_task(params: Params, key: str) -> None:
    """Refuse metrics and figures that a study's task does not have, and unknown metrics (`InputError`)."""
    study = params.studies[key]
    task = params.task_of(study)
    for index, table in enumerate(study.tables):
        for place, name in enumerate(table.metrics):
            _check_metric(params, task, name, ["studies", key, "tables", index, "metrics", place])
    for index, figure in enumerate(study.figures):
        where: list[str | int] = ["studies", key, "figures", index]
        kind = params.component(f"figure.{figure.kind}")
        if kind.tasks and task not in kind.tasks:
            wrong = _of_another_task(task, kind.tasks[0])
            use = one_of(figure_kinds(task, params.components))
            raise params.wrong([*where, "kind"], f"{figure.kind!r} {wrong}; use {use}")
        for name in kind.metrics(figure.given(), task):
            _check_metric(params, task, name, where)


def _check_metric(params: Params, task: str, name: str, place: list[str | int]) -> None:
    metrics = params.metrics
    known = [metric.name for metric in metrics.values() if metric.tasks is None or task in metric.tasks]
    if name not in known:
        wrong = (
            _of_another_task(task, (metrics[name].tasks or ("",))[0]) if name in metrics else "is no metric"
        )
        raise params.wrong(place, f"{name!r} {wrong}{suggest(name, known)}; use {one_of(known)}")


def _of_another_task(task: str, other: str | None) -> str:
    needs = TASKS[other].annotations if other in TASKS else other
    return f"needs {needs}, and this study has {TASKS[task].annotations}"


def check_rows(params: Params, key: str, rows: list[Row]) -> None:
    """Refuse a label that stands for several rows, and figures of rows that are not there (`InputError`).

    The same for `only`: a row that is not there, or one that is compared with a row that is left out.
    """
    study = params.studies[key]
    labels = [row.label for row in rows]
    doubled = sorted(label for label, times in Counter(labels).items() if times > 1)
    if doubled:
        explanation = f"label {doubled[0]!r} stands for several rows; name every axis in it"
        raise params.wrong(["studies", key, "tables", 0, "row"], explanation)
    made = [row.label for row in rows if row.status is None]
    for place, label in enumerate(study.only or []):
        if label not in labels:
            path: list[str | int] = ["studies", key, "only", place]
            raise params.wrong(path, f"there is no row {label!r}; use {one_of(labels)}")
    for row in rows:
        if row.label in made and row.baseline is not None and row.baseline not in made:
            explanation = f"leaves out {row.baseline!r}, the baseline of {row.label!r}; add it"
            raise params.wrong(["studies", key, "only"], explanation)
    for label in study.controls:
        if label not in labels:
            explanation = f"there is no row {label!r}; use {one_of(labels)}"
            raise params.wrong(["studies", key, "controls", label], explanation)
    for index, figure in enumerate(study.figures):
        path = ["studies", key, "figures", index, "rows"]
        for label in figure.rows or []:
            if label not in labels:
                raise params.wrong(path, f"there is no row {label!r}; use {one_of(labels)}")
        if figure.rows is not None and not set(figure.rows) & set(made):
            raise params.wrong(path, f"`only` leaves out all of them; use {one_of(made)}")
