"""A study's base and axes become points: every combination of the axes' values, resolved and checked."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from pydantic import Field, ValidationError, create_model

from pipeline_src.config.component_contracts import BrokenContract
from pipeline_src.config.explain import dotted, explain, one_of, parts_of
from pipeline_src.config.model import ModelSpec
from pipeline_src.config.path_lengths import bad_name
from pipeline_src.config.recipe import AUGMENTS, EvaluationSection, RecipeSection, RunRecipe
from pipeline_src.config.resolve import offering, resolve_model
from pipeline_src.config.strict_model import Section
from pipeline_src.config.study import InitFrom, Params, Study
from pipeline_src.config.table_rows import row_label
from pipeline_src.errors import InputError
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.options import NonNegativeInt
from pipeline_src.tasks.table import TASKS
from pipeline_src.tasks.task import task_of


@dataclass(frozen=True)
class Point:
    """One combination of a study's axis values, as jobs are told of it.

    `labels` are its axis labels, `settings` its values by key path, `label` that of its table row.
    """

    name: str
    label: str
    labels: dict[str, str]
    settings: dict[str, Any]
    dataset: str
    backbone: str
    model: dict[str, Any]
    recipe: RunRecipe
    evaluation: Evaluation
    init_from: InitFrom | None
    first_seed: int


class _Spec(Section):
    """What an axis may change."""

    dataset: str = Field(description="Key of an entry of `datasets`.")
    model: ModelSpec = Field(description="The network.")  # of the study's own class, see `_spec_of`
    recipe: RecipeSection = Field(description="The training recipe.")
    evaluation: EvaluationSection = Field(description="How a trained network is evaluated.")
    init_from: InitFrom | None = Field(description="The training that it starts from.")
    first_seed: NonNegativeInt = Field(description="The first of its seeds.")


@cache
def _spec_of(model: type[ModelSpec]) -> type[_Spec]:
    """`_Spec` for networks of a class that knows the user's own components."""
    description = _Spec.model_fields["model"].description
    return create_model("_Spec", __base__=_Spec, model=(model, Field(description=description)))


def points_of(params: Params, key: str) -> list[Point]:
    """All points of a study, in the order of its table; raises `InputError` with the key path."""
    return [_point(params, key, *combination) for combination in _combinations(params, key)]


def _point(params: Params, key: str, name: str, labels: dict[str, str], settings: dict[str, Any]) -> Point:
    study = params.studies[key]
    spec = _resolve_spec(params, key, study, settings)
    recipe, evaluation = spec.recipe.given(), spec.evaluation.given()
    try:
        model = resolve_model(params, spec.model, len(params.datasets[spec.dataset].classes_by_id))
    except BrokenContract:
        raise
    except InputError as error:
        path, text = _place(str(error))
        raise params.wrong(key_path_of(key, study, settings, path), text) from None
    _check_point(params, partial(key_path_of, key, study, settings), spec, recipe, model)
    if model["detector"] is not None and evaluation.scales is None:
        evaluation = replace(evaluation, scales=recipe.augment.scales[-1:])
    return Point(
        name=name,
        label=row_label(params, key, labels, settings) or "base",
        labels=labels,
        settings=settings,
        dataset=spec.dataset,
        backbone=spec.model.backbone,
        model=model,
        recipe=recipe,
        evaluation=evaluation,
        init_from=spec.init_from,
        first_seed=spec.first_seed,
    )


def _combinations(params: Params, key: str) -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
    """`(name, axis labels, settings)` for every combination of the axes' values."""
    axes = []
    for axis, values in params.studies[key].vary.items():
        if not values:
            raise params.wrong(["studies", key, "vary", axis], "has no values; give at least one")
        if isinstance(values, dict):
            _check_labels(params, key, axis, values)
            axes.append([(axis, str(label), dict(settings)) for label, settings in values.items()])
        else:
            axes.append([(axis, _slug(value), {axis: value}) for value in values])
        for slug, times in Counter(_slug(label) for _, label, _ in axes[-1]).items():
            if times > 1:
                explanation = f"{slug} would stand for {times} points; use others that differ in letters"
                raise params.wrong(["studies", key, "vary", axis], explanation)
    seen: set[str] = set()
    for combination in itertools.product(*axes):
        labels = {axis: label for axis, label, _ in combination}
        settings = {path: value for _, _, chosen in combination for path, value in chosen.items()}
        parts = [f"{_slug(axis.split('.')[-1])}-{_slug(label)}" for axis, label in labels.items()]
        name = f"{key}/{'_'.join(parts) or 'base'}"
        if name in seen:
            raise params.wrong(
                ["studies", key, "vary"],
                f"{name} would stand for two points; use labels that differ in letters",
            )
        if wrong := bad_name(name.removeprefix(f"{key}/")):
            longest = max(labels, key=lambda axis: len(f"{axis}{labels[axis]}"))
            raise params.wrong(["studies", key, "vary", longest], f"{wrong}, all axes together")
        seen.add(name)
        yield name, labels, settings


def _check_labels(params: Params, key: str, axis: str, values: dict[str, dict[str, Any]]) -> None:
    """Refuse two labels of an axis with the same settings: two rows of one training."""
    for (first, one), (second, other) in itertools.combinations(values.items(), 2):
        if one == other:
            raise params.wrong(
                ["studies", key, "vary", axis, second],
                f"says the same as {first!r}; use other values, or leave it out",
            )


def _resolve_spec(params: Params, key: str, study: Study, settings: dict[str, Any]) -> _Spec:
    recipe = settings.get("recipe", study.recipe)
    if not isinstance(recipe, str) or recipe not in params.recipes:
        where = key_path_of(key, study, settings, "recipe")
        raise params.wrong(where, f"{recipe!r} is not in recipes; use {one_of(params.recipes)}")
    evaluation = settings.get("evaluation", study.evaluation)
    if evaluation is not None and not (isinstance(evaluation, str) and evaluation in params.evaluations):
        where = key_path_of(key, study, settings, "evaluation")
        raise params.wrong(
            where, f"{evaluation!r} is not in evaluations; use {one_of([*params.evaluations, 'null'])}"
        )
    chosen = params.evaluation if evaluation is None else params.evaluations[evaluation]
    tree: dict[str, Any] = {
        "dataset": study.dataset,
        "model": study.model.model_dump(),
        "recipe": params.recipes[recipe].model_dump(),
        "evaluation": chosen.model_dump(),
        "init_from": None if study.init_from is None else study.init_from.model_dump(),
        "first_seed": study.first_seed,
    }
    for path, value in settings.items():
        if path not in ("recipe", "evaluation") and not _set(tree, path, value):
            raise params.wrong(
                key_path_of(key, study, settings, path),
                "there is no such key; an axis is a key path below dataset, model or recipe",
            )
    model = _spec_of(type(study.model))
    try:
        spec = model.model_validate(tree)
    except ValidationError as error:
        findings = list(explain(error, model))
        # a misspelt key explains why the right one is missing
        location, explanation = next((one for one in findings if one[1].startswith("unknown")), findings[0])
        raise params.wrong(key_path_of(key, study, settings, dotted(location)), explanation) from None
    for field, name, section in (
        ("dataset", spec.dataset, params.datasets),
        ("model.backbone", spec.model.backbone, params.backbones),
    ):
        if name not in section:
            where = key_path_of(key, study, settings, field)
            raise params.wrong(where, f"{name!r} is unknown; use {one_of(section)}")
    return spec


def _check_point(
    params: Params,
    key_path: Callable[[str], list[str | int]],
    spec: _Spec,
    recipe: RunRecipe,
    model: dict[str, Any],
) -> None:
    """Refuse what is valid by itself and does not go together, before any job finds out."""
    equalizer = model["equalizer"]
    task = params.datasets[spec.dataset].reader.task
    has, wants = TASKS[task], TASKS[task_of(model)]
    if has != wants:
        text = f"{spec.dataset!r} has {has.annotations}; {wants.network} learns from {wants.annotations}"
        raise params.wrong(key_path("dataset"), text)
    if not isinstance(recipe.augment, AUGMENTS[task]):
        text = f"a recipe for this data needs an augment with {has.sizes}, for images with {has.annotations}"
        raise params.wrong(key_path("recipe.augment"), text)
    family = params.component(f"backbone.{model['backbone']['family']}")
    if recipe.optimizer.layer_decay and not family.decays_by_depth:
        others = offering(params, "backbone", lambda one: one.decays_by_depth)
        explanation = (
            f"optimizer.layer_decay needs a backbone whose parameters have a depth, of family {others}; with "
            f"backbone {spec.model.backbone} use null"
        )
        raise params.wrong(key_path("recipe.optimizer.layer_decay"), explanation)
    images = equalizer["images"] if equalizer else None
    batch = recipe.batch // recipe.accumulate
    if images is not None and images < batch:
        explanation = f"{images} images are fewer than a batch of {batch}; use more, or null for all"
        raise params.wrong(key_path("model.equalizer.images"), explanation)


def _place(error: str) -> tuple[str, str]:
    """The key path that a finding about a model belongs to, and the finding without it."""
    head, _, text = error.partition(": ")
    if head.split(".")[0] in ("pyramid", "merge", "decoder", "auxiliary", "detector", "equalizer"):
        return f"model.{head}", text
    return "model", error


def _set(tree: dict[str, Any], path: str, value: Any) -> bool:
    """Set a value below existing mappings; False where there are none."""
    *parents, last = path.split(".")
    node: Any = tree
    for part in parents:
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict) or (not parents and last not in tree):
        return False
    node[last] = value
    return True


def key_path_of(key: str, study: Study, settings: dict[str, Any], path: str) -> list[str | int]:
    """The key path in the file that set `path`: an axis of the study, or its base."""
    # the last one that sets the key itself or a mapping around it, else one that sets something below it
    last_first = list(settings)[::-1]
    for setting in sorted(last_first, key=lambda one: one.startswith(f"{path}.")):
        below = path.removeprefix(setting) if path.startswith((f"{setting}.", f"{setting}[")) else ""
        if path == setting or below or setting.startswith(f"{path}."):
            # a recipe or evaluation is set by its name: its keys stand elsewhere
            named = setting in ("recipe", "evaluation")
            rest = [] if named else parts_of(below)
            for axis, values in study.vary.items():
                if axis == setting:
                    return ["studies", key, "vary", axis, *rest]
                for label, group in values.items() if isinstance(values, dict) else ():
                    if setting in group and group.items() <= settings.items():
                        return ["studies", key, "vary", axis, label, setting, *rest]
    if path.startswith("recipe."):
        return ["recipes", study.recipe, *parts_of(path)[1:]]
    return ["studies", key, *parts_of(path)]


def _slug(value: Any) -> str:
    """A value as part of a path: readable, and without characters that a shell or file system minds."""
    if isinstance(value, list):
        return "x".join(_slug(part) for part in value)
    return re.sub(r"[^A-Za-z0-9.]+", "-", str(value)).strip("-") or "none"
