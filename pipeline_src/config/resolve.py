"""From a study's section to what a job gets: backbones looked up, data sets described, rules checked.

The results are plain dictionaries: a job needs neither pydantic nor the configuration tree.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline_src.config.data import (
    SCENE_CLASSES,
    SCENE_SPLITS,
    VOC_CLASSES,
    CityscapesDataset,
    Dataset,
    MasksDataset,
    VocDataset,
)
from pipeline_src.config.detection_data import DetectionDataset
from pipeline_src.config.explain import dotted, one_of, suggest
from pipeline_src.config.model import Backbone, Equalizer, IpgPyramid, ModelSpec, WeightsFile
from pipeline_src.config.sources import ArchivesSource, FolderSource, ScenesSource
from pipeline_src.config.study import Params
from pipeline_src.data.coco_categories import COCO_CATEGORIES
from pipeline_src.data.detection.records import BACKGROUND
from pipeline_src.data.label_tables import LABEL_TABLES
from pipeline_src.errors import InputError
from pipeline_src.files import digest_of
from pipeline_src.models.backbones.table import Architecture, lookup, lookup_architecture
from pipeline_src.models.detectors.options import check_detector
from pipeline_src.models.fusion.dfp_rules import check_depth
from pipeline_src.models.fusion.equalizer_rules import concatenations, equalised, head_levels
from pipeline_src.models.fusion.ipg_rules import BACKBONE_STAGES, resolve_ipg


def resolve_model(params: Params, spec: ModelSpec, num_classes: int) -> dict[str, Any]:
    """The model section of a job: everything that `models.build` needs, and no paths.

    A pyramid that adds nothing (DFP at depth 0 without an encoder, IPG without fusions and extra stages)
    resolves to none: such runs neither depend on its code nor train twice what another study trains as its
    plain model.

    Raises `InputError` without a location; the caller knows the key path, or the message begins with it.
    """
    backbone = params.backbones[spec.backbone]
    facts = backbone_facts(backbone)
    parts = {
        name: None if (part := getattr(spec, name)) is None else part.model_dump()
        for name in ("decoder", "auxiliary", "detector")
    }
    read = {name: max(_levels_of(name, part)) for name, part in parts.items() if part is not None}
    model = {
        "num_classes": num_classes,
        "backbone": resolve_backbone(backbone, facts),
        "pyramid": _resolve_pyramid(spec, facts, read),
        **parts,
    }
    if parts["detector"] is not None:
        check_detector(parts["detector"], range(2, _stages_of(spec) + 2), facts.family)
    return {**model, "equalizer": _resolve_equalizer(model, spec.equalizer)}


def _levels_of(name: str, part: dict[str, Any]) -> list[int]:
    """The levels that a head, a decoder or a detector reads."""
    return list(part["levels"]) if name == "detector" else list(head_levels(part))


def _stages_of(spec: ModelSpec) -> int:
    return spec.pyramid.stages if isinstance(spec.pyramid, IpgPyramid) else BACKBONE_STAGES


def _resolve_pyramid(spec: ModelSpec, facts: Architecture, read: dict[str, int]) -> dict[str, Any] | None:
    """The pyramid that gives the highest levels that are `read`, by key; None for one that adds nothing."""
    pyramid, stages = spec.pyramid, _stages_of(spec)
    for key, level in read.items():
        if level > stages + 1:
            end = "levels" if key == "detector" else "level"
            raise InputError(
                f"{key}.{end}: {level} is not there; this network's levels are 2 to {stages + 1}"
            )
    if isinstance(pyramid, IpgPyramid):
        return resolve_ipg(pyramid.model_dump(), max(read.values()))
    if pyramid is None:
        return None
    if pyramid.depth == 0:
        # One scale: of the options only the encoder is left.
        return {"kind": "dfp", "depth": 0} if pyramid.encoder_at_depth_0 else None
    check_depth(pyramid.depth, facts.stem_stride, key=f"backbone {spec.backbone}")
    return pyramid.model_dump(exclude={"encoder_at_depth_0"})


def _resolve_equalizer(model: dict[str, Any], spec: Equalizer | None) -> dict[str, Any] | None:
    """The equalizer with the names of its concatenations, one list per nesting level."""
    if spec is None:
        return None
    order = equalised(concatenations(model), spec.concatenations, "equalizer.concatenations")
    return {"form": spec.form, "concatenations": order, "images": spec.images}


def backbone_facts(backbone: Backbone) -> Architecture:
    """What is known of a backbone: of its tag or, for weights of the user's own, of its architecture."""
    own_weights = isinstance(backbone.weights, WeightsFile)
    return lookup_architecture(backbone.timm) if own_weights else lookup(backbone.timm)


def resolve_backbone(backbone: Backbone, facts: Architecture) -> dict[str, Any]:
    """The backbone part of a model section; normalisation follows the weights."""
    if backbone.output_stride != 32 and not facts.supports_output_stride:
        raise InputError(f"{backbone.output_stride} is not allowed; {backbone.timm} has only 32")
    weights = backbone.weights
    if isinstance(weights, WeightsFile):
        expected = {"mean": weights.mean, "std": weights.std}
        args = {**weights.model_args, **backbone.args}
    else:
        tag = lookup(backbone.timm)
        expected, args = {"mean": list(tag.mean), "std": list(tag.std)}, dict(backbone.args)
    return {
        "timm": backbone.timm,
        "family": facts.family,
        "weights": "file" if isinstance(weights, WeightsFile) else weights,
        "args": args,
        "output_stride": backbone.output_stride,
        "out_norm": facts.out_norm if backbone.out_norm is None else backbone.out_norm,
        **expected,
    }


def model_components(model: dict[str, Any]) -> list[str]:
    """Component kinds that a resolved model names: the dynamic edges of its code identity."""
    kinds = [f"backbone.{model['backbone']['family']}"]
    heads = [part for part in ("decoder", "detector") if model.get(part) is not None]
    kinds += [f"{part}.{model[part]['kind']}" for part in heads]
    if model["pyramid"] is not None:
        kinds.append(f"pyramid.{model['pyramid']['kind']}")
    if (auxiliary := model.get("auxiliary")) is not None:
        kinds.append(f"decoder.{auxiliary['kind']}")
    if model.get("equalizer") is not None:
        kinds.append("equalizer.structure")
    return sorted(set(kinds))


def dataset_classes(dataset: Dataset) -> list[str]:
    """Class names by training id; the format's own where the configuration gives none. Detection names
    objects only, and class 0 is the background.

    Generated scenes have the format's first classes: the background is class 0, object class c class c.
    """
    if not isinstance(dataset, CityscapesDataset) and dataset.classes is not None:
        objects_only = isinstance(dataset, DetectionDataset)
        return [BACKGROUND, *dataset.classes] if objects_only else list(dataset.classes)
    names = _format_classes(dataset.format)
    return names[: dataset.source.classes + 1] if isinstance(dataset.source, ScenesSource) else names


def label_params(dataset: Dataset) -> dict[str, Any]:
    """What the manifest job is told of a data set's classes: their names and mask ids.

    Formats with a table of their own give `class_ids` and `ignored_ids`, the others an `ignore_index`;
    detection has neither.
    """
    classes = dataset_classes(dataset)
    detection = isinstance(dataset, DetectionDataset)
    params: dict[str, Any] = {
        "task": "detection" if detection else "segmentation",
        "num_classes": len(classes),
        "classes": classes,
    }
    if detection:
        return params
    if isinstance(dataset, VocDataset | MasksDataset):
        return {**params, "ignore_index": dataset.ignore_index}
    table = LABEL_TABLES[dataset.format]
    return {
        **params,
        "ignore_index": None,
        "class_ids": list(table.class_ids[: len(classes)]),
        "ignored_ids": list(table.ignored_ids),
    }


def _format_classes(layout: str) -> list[str]:
    if layout == "coco":
        return [BACKGROUND, *(category.name for category in COCO_CATEGORIES)]
    return list(LABEL_TABLES[layout].classes if layout in LABEL_TABLES else VOC_CLASSES)


def expand_path(text: str) -> Path:
    """Expand `~`, `$VARIABLE` and `${VARIABLE:-default}`; an unset variable is an `InputError`."""

    def replace(match: re.Match[str]) -> str:
        name, default = match["name"] or match["bare"], match["default"]
        value = os.environ.get(name) or default
        if value is None:
            raise InputError(f"{text!r} needs the environment variable {name}, which is not set")
        return value

    pattern = r"\$(?:\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}|(?P<bare>\w+))"
    return Path(re.sub(pattern, replace, text)).expanduser()


def scenes_name(key: str, source: ScenesSource, layout: str) -> str:
    """Folder name of generated scenes: the data set's name and a digest of what is drawn."""
    return f"{key}-{digest_of({'layout': layout, **source.model_dump()})[:8]}"


def check_references(params: Params) -> None:
    """Refuse names that point nowhere and settings that do not go together (`InputError`)."""

    def known(path: list[str | int], name: str, section: Mapping[str, Any], what: str) -> None:
        if name not in section:
            hint = suggest(name, section)
            raise params.wrong(path, f"{name!r} is not in {what}{hint}; use {one_of(section)}")

    for key, backbone in params.backbones.items():
        try:
            facts = backbone_facts(backbone)
        except InputError as error:
            raise params.wrong(["backbones", key, "timm"], str(error)) from None
        try:
            resolve_backbone(backbone, facts)
        except InputError as error:
            raise params.wrong(["backbones", key, "output_stride"], str(error)) from None
    for key, dataset in params.datasets.items():
        for path, finding in _check_dataset(dataset):
            raise params.wrong(["datasets", key, *path], finding)
    for key, study in params.studies.items():
        known(["studies", key, "dataset"], study.dataset, params.datasets, "datasets")
        known(["studies", key, "recipe"], study.recipe, params.recipes, "recipes")
        known(["studies", key, "model", "backbone"], study.model.backbone, params.backbones, "backbones")
    _check_file_names(params)
    for name in params.select if isinstance(params.select, list) else []:
        known(["select"], name, params.studies, "studies")


def _check_file_names(params: Params) -> None:
    """Refuse two tables or figures that would be written to the same files."""
    places: dict[str, str] = {}
    for key, study in params.studies.items():
        files = [("tables", index, "number", f"table{one.number}") for index, one in enumerate(study.tables)]
        files += [("figures", index, "subject", one.subject) for index, one in enumerate(study.figures)]
        for section, index, field, file in files:
            name = f"{study.prefix or key}_{file}"
            place: list[str | int] = ["studies", key, section, index, field]
            if name in places:
                raise params.wrong(place, f"{name!r} is the file of {places[name]} as well; use another")
            places[name] = dotted(place)


def _check_dataset(dataset: Dataset) -> Iterator[tuple[list[str], str]]:
    classes = dataset_classes(dataset)
    if doubled := sorted({name for name in classes if classes.count(name) > 1}):
        yield ["classes"], f"{doubled[0]!r} stands twice; every class needs a name of its own"
    if isinstance(dataset, VocDataset | MasksDataset) and dataset.ignore_index < len(classes):
        yield (
            ["ignore_index"],
            f"{dataset.ignore_index} is the id of class {classes[dataset.ignore_index]!r}; "
            f"use one from {len(classes)} to 255",
        )
    if set(dataset.splits) != {"train", "val"}:
        yield ["splits"], f"has only {one_of(dataset.splits)}; it needs train and val"
    if isinstance(dataset, VocDataset):
        augmented = any(split.set == "trainaug" for split in dataset.splits.values())
        if augmented and isinstance(dataset.source, ArchivesSource) and "sbd" not in dataset.source.names:
            yield ["source", "names"], "trainaug takes its masks from SBD; add sbd"
    if isinstance(dataset, CityscapesDataset) and isinstance(dataset.source, ArchivesSource):
        parts = {"cityscapes_images", "cityscapes_gtfine"}
        if len(lacking := sorted(parts - set(dataset.source.names))) == 1:
            yield ["source", "names"], f"images and labels are two archives; add {lacking[0]}"
    if isinstance(dataset.source, ScenesSource):
        yield from _check_scenes(dataset.format, dataset.source, set(dataset.splits))
    if isinstance(dataset.source, FolderSource) and not dataset.source.root.strip():
        yield ["source", "root"], "is empty; name the folder that holds your data"


def _check_scenes(layout: str, source: ScenesSource, splits: set[Any]) -> Iterator[tuple[list[str], str]]:
    if missing := splits - set(source.images):
        yield ["source", "images"], f"says nothing of split {one_of(sorted(missing))}"
    if unknown := sorted(set(source.images) - set(SCENE_SPLITS[layout])):
        yield (
            ["source", "images"],
            f"{unknown[0]!r} is no split of {layout} scenes; use {one_of(SCENE_SPLITS[layout])}",
        )
    most = min(SCENE_CLASSES, len(_format_classes(layout)) - 1)
    if source.classes > most:
        yield ["source", "classes"], f"{source.classes} is too many; {layout} scenes have at most {most}"
