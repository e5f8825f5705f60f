"""A study's base and axes become points, points become runs (one training each), rows point at runs."""

import itertools
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pydantic import Field, ValidationError

from pipeline_src.config.base import Section
from pipeline_src.config.costing import cost_setting, costing, without_weights
from pipeline_src.config.detection_data import DetectionDataset
from pipeline_src.config.experiments import Architecture, Experiments, Row, Run, Scoring
from pipeline_src.config.explain import dotted, explain, one_of
from pipeline_src.config.model import ModelSpec
from pipeline_src.config.recipe import DetectionAugment, Evaluation, Recipe
from pipeline_src.config.resolve import check_references, dataset_classes, resolve_model
from pipeline_src.config.study import Params, Study
from pipeline_src.config.table_rows import check_rows, row_label, with_baselines
from pipeline_src.errors import InputError
from pipeline_src.files import digest_of


class _Point(Section):
    """What an axis may change."""

    dataset: str = Field(description="Key of an entry of `datasets`.")
    model: ModelSpec = Field(description="The network.")
    recipe: Recipe = Field(description="The training recipe.")
    evaluation: Evaluation = Field(description="How a trained network is evaluated.")


def expand(params: Params) -> Experiments:
    """Expand the selected studies; raises `InputError` (one line a finding, with its key path)."""
    check_references(params)
    runs: dict[str, Run] = {}
    scorings: dict[str, Scoring] = {}
    rows: dict[str, list[Row]] = {}
    architectures: dict[str, Architecture] = {}
    run_names: dict[str, str] = {}
    scoring_names: dict[str, str] = {}
    architecture_names: dict[str, str] = {}
    for key in selected(params):
        study = params.studies[key]
        rows[key] = []
        axis_labels = []
        for name, labels, settings in _points(params, key):
            point = _resolve_point(params, key, study, settings)
            classes = len(dataset_classes(params.datasets[point.dataset]))
            try:
                model = resolve_model(params, point.model, classes)
            except InputError as error:
                path, text = _place(str(error))
                raise params.wrong(_origin(key, study, settings, path), text) from None
            _check_point(params, partial(_origin, key, study, settings), point, model)
            recipe, evaluation = point.recipe.model_dump(), point.evaluation.model_dump()
            if model["detector"] is not None and evaluation["scales"] is None:
                evaluation["scales"] = recipe["augment"]["scales"][-1:]
            setting = cost_setting(params, recipe)
            network = costing(model)
            cost_key = digest_of([without_weights(network), setting])
            architecture = architecture_names.setdefault(cost_key, name)
            architectures.setdefault(architecture, Architecture(architecture, key, network, setting))
            names, scored = [], []
            for seed in range(_seeds(params, key, settings)):
                own_name = f"{name}/seed-{seed}"
                run_name = run_names.setdefault(digest_of([point.dataset, model, recipe, seed]), own_name)
                run = Run(run_name, key, point.dataset, point.model.backbone, model, recipe, seed)
                runs.setdefault(run_name, run)
                names.append(run_name)
                scoring = scoring_names.setdefault(digest_of([run_name, evaluation]), own_name)
                scorings.setdefault(scoring, Scoring(scoring, run_name, evaluation))
                scored.append(scoring)
            axis_labels.append(labels)
            rows[key].append(
                Row(
                    study=key,
                    label=row_label(params, key, labels, settings) or "base",
                    settings=settings,
                    runs=tuple(names),
                    scorings=tuple(scored),
                    seeds=tuple(range(len(names))),
                    architecture=architecture,
                    baseline=None,
                    dataset=point.dataset,
                    pair=row_label(params, key, labels, settings, "pair"),
                )
            )
        check_rows(params, key, rows[key])
        rows[key] = with_baselines(params, key, rows[key], axis_labels)
    return Experiments(runs, scorings, rows, architectures)


def selected(params: Params) -> list[str]:
    """Keys of the studies to plan, in the file's order."""
    return [key for key in params.studies if params.select == "all" or key in params.select]


def _points(params: Params, key: str) -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
    """`(name, axis labels, settings)` for every combination of the axes' values."""
    axes = []
    for axis, values in params.studies[key].vary.items():
        if not values:
            raise params.wrong(["studies", key, "vary", axis], "has no values; give at least one")
        if isinstance(values, dict):
            axes.append([(axis, str(label), dict(settings)) for label, settings in values.items()])
        else:
            axes.append([(axis, _slug(value), {axis: value}) for value in values])
    seen: set[str] = set()
    for combination in itertools.product(*axes):
        labels = {axis: label for axis, label, _ in combination}
        settings = {path: value for _, _, chosen in combination for path, value in chosen.items()}
        parts = [f"{axis.split('.')[-1]}-{_slug(label)}" for axis, label in labels.items()]
        name = f"{key}/{'_'.join(parts) or 'base'}"
        if name in seen:
            raise params.wrong(
                ["studies", key, "vary"],
                f"{name} would stand for two points; use labels that differ in letters",
            )
        seen.add(name)
        yield name, labels, settings


def _resolve_point(params: Params, key: str, study: Study, settings: dict[str, Any]) -> _Point:
    recipe = settings.get("recipe", study.recipe)
    if recipe not in params.recipes:
        origin = _origin(key, study, settings, "recipe")
        raise params.wrong(origin, f"{recipe!r} is not in recipes; use {one_of(params.recipes)}")
    evaluation = settings.get("evaluation", study.evaluation)
    if evaluation is not None and evaluation not in params.evaluations:
        origin = _origin(key, study, settings, "evaluation")
        raise params.wrong(origin, f"{evaluation!r} is not in evaluations; use {one_of(params.evaluations)}")
    chosen = params.evaluation if evaluation is None else params.evaluations[evaluation]
    tree: dict[str, Any] = {
        "dataset": study.dataset,
        "model": study.model.model_dump(),
        "recipe": params.recipes[recipe].model_dump(),
        "evaluation": chosen.model_dump(),
    }
    for path, value in settings.items():
        if path not in ("recipe", "evaluation") and not _set(tree, path, value):
            raise params.wrong(
                _origin(key, study, settings, path),
                "there is no such key; an axis is a key path below dataset, model or recipe",
            )
    try:
        point = _Point.model_validate(tree)
    except ValidationError as error:
        findings = list(explain(error, _Point))
        # a misspelt key explains why the right one is missing
        location, explanation = next((one for one in findings if one[1].startswith("unknown")), findings[0])
        raise params.wrong(_origin(key, study, settings, dotted(location)), explanation) from None
    for field, name, section in (
        ("dataset", point.dataset, params.datasets),
        ("model.backbone", point.model.backbone, params.backbones),
    ):
        if name not in section:
            origin = _origin(key, study, settings, field)
            raise params.wrong(origin, f"{name!r} is unknown; use {one_of(section)}")
    return point


def _check_point(
    params: Params, origin: Callable[[str], list[str | int]], point: _Point, model: dict[str, Any]
) -> None:
    """Refuse what is valid by itself and does not go together, before any job finds out."""
    recipe, equalizer = point.recipe, model["equalizer"]
    boxes = isinstance(params.datasets[point.dataset], DetectionDataset)
    if boxes and point.model.detector is None:
        raise params.wrong(origin("dataset"), f"{point.dataset!r} has boxes; a decoder learns from masks")
    if not boxes and point.model.detector is not None:
        raise params.wrong(origin("dataset"), f"{point.dataset!r} has masks; a detector learns from boxes")
    if boxes != isinstance(recipe.augment, DetectionAugment):
        wanted = "scales, for images with boxes" if boxes else "a crop, for images with masks"
        raise params.wrong(origin("recipe.augment"), f"a recipe for this data needs an augment with {wanted}")
    if getattr(recipe.optimizer, "layer_decay", None) and model["backbone"]["family"] != "convnext":
        explanation = f"optimizer.layer_decay is for ConvNeXt; with backbone {point.model.backbone} use null"
        raise params.wrong(origin("recipe.optimizer.layer_decay"), explanation)
    images = equalizer["images"] if equalizer else None
    batch = recipe.batch // recipe.accumulate
    if images is not None and images < batch:
        explanation = f"{images} images are fewer than a batch of {batch}; use more, or null for all"
        raise params.wrong(origin("model.equalizer.images"), explanation)


def _place(error: str) -> tuple[str, str]:
    """The key path that a finding about a model belongs to, and the finding without it."""
    head, _, text = error.partition(": ")
    if head.split(".")[0] in ("pyramid", "decoder", "auxiliary", "detector", "equalizer"):
        return f"model.{head}", text
    return "model.pyramid.depth", error


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


def _origin(key: str, study: Study, settings: dict[str, Any], path: str) -> list[str | int]:
    """The key path in the file that set `path`: an axis of the study, or its base."""
    for setting in settings:
        below = path.removeprefix(setting) if path.startswith((f"{setting}.", f"{setting}[")) else ""
        if path == setting or below or setting.startswith(f"{path}."):
            # a recipe or evaluation is set by its name: its keys stand elsewhere
            named = setting in ("recipe", "evaluation")
            rest: list[str | int] = [*below.strip(".").split(".")] if below and not named else []
            for axis, values in study.vary.items():
                if axis == setting:
                    return ["studies", key, "vary", axis, *rest]
                for label, group in values.items() if isinstance(values, dict) else ():
                    if setting in group and group.items() <= settings.items():
                        return ["studies", key, "vary", axis, label, setting, *rest]
    if path.startswith("recipe."):
        return ["recipes", study.recipe, *path.split(".")[1:]]
    return ["studies", key, *path.split(".")]


def _seeds(params: Params, key: str, settings: dict[str, Any]) -> int:
    study = params.studies[key]
    seeds = study.seeds or params.seeds
    for index, extra in enumerate(study.extra_seeds):
        for path in extra.where:
            if path not in settings:
                where: list[str | int] = ["studies", key, "extra_seeds", index, "where", path]
                raise params.wrong(where, f"is not an axis of `vary`; use {one_of(settings)}")
        if all(settings.get(path) == value for path, value in extra.where.items()):
            seeds = max(seeds, extra.seeds)
    return seeds


def _slug(value: Any) -> str:
    """A value as part of a path: readable, and without characters that a shell or file system minds."""
    if isinstance(value, list):
        return "x".join(_slug(part) for part in value)
    return re.sub(r"[^A-Za-z0-9.]+", "-", str(value)).strip("-") or "none"
