"""From a study's section to what a job gets: backbones looked up, data sets described, rules checked.

The results are plain dictionaries: a job needs neither pydantic nor the configuration tree.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline_src.config.component_contracts import BrokenContract
from pipeline_src.config.component_declarations import component
from pipeline_src.config.explain import dotted, one_of, suggest
from pipeline_src.config.model import HEADS, Backbone, ModelSpec, WeightsFile, kinds
from pipeline_src.config.path_lengths import bad_name, bad_path
from pipeline_src.config.sources import ScenesSource
from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.files import digest_of
from pipeline_src.models.backbones.table import (
    BackboneArchitecture,
    BackboneFacts,
    lookup,
    lookup_architecture,
)
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.equalizer_options import equalised
from pipeline_src.models.pyramid_place import BACKBONE_LEVELS, PyramidPlace
from pipeline_src.options import from_json


def resolve_model(params: Params, spec: ModelSpec, num_classes: int) -> dict[str, Any]:
    """The model section of a job: everything that `models.build_segmentor` needs, and no paths.

    A pyramid that adds nothing to its backbone (IPG without fusions and extra stages) resolves to none: such
    runs neither depend on its code nor train twice what another study trains as its plain model.

    Raises `InputError` without a location; the caller knows the key path, or the message begins with it.
    """
    backbone = params.backbones[spec.backbone]
    facts = backbone_facts(params, backbone)
    family = params.component(f"backbone.{facts.family}")
    heads = {name: section for name in HEADS if (section := getattr(spec, name)) is not None}
    read: dict[str, list[int]] = {}
    for name, section in heads.items():
        head = params.component(f"{HEADS[name]}.{section.kind}")
        read[name] = list(head.needed_levels(section.given()))
    available = _available_levels(params, spec, read)
    place = PyramidPlace(spec.backbone, facts.stem_stride, tuple(sorted({*chain(*read.values())})))
    pyramid = _resolve_pyramid(params, spec, place)
    if spec.detector is not None:
        detector = params.component(f"detector.{spec.detector.kind}")
        with _below("detector"):
            detector.check(spec.detector.given(), available, family.freezable)
    model = {
        "task": params.component(f"{HEADS[spec.head]}.{heads[spec.head].kind}").task,
        "num_classes": num_classes,
        "backbone": resolve_backbone(backbone, facts),
        "pyramid": pyramid,
        "merge": _resolve_merge(params, spec),
        **{name: heads[name].model_dump() if name in heads else None for name in HEADS},
    }
    equalizer = None
    if spec.equalizer is not None:
        chosen = spec.equalizer.given()
        found = concatenations(model, params.components)
        others = offering(params, "decoder", _is_equalised)
        order = equalised(found, chosen.concatenations, "equalizer.concatenations", others)
        equalizer = {"form": chosen.form, "concatenations": order, "images": chosen.images}
    return {**model, "equalizer": equalizer}


def _available_levels(params: Params, spec: ModelSpec, read: dict[str, list[int]]) -> list[int]:
    """The levels that the network has; refuses one that is `read` (by section) and not there."""
    available = list(BACKBONE_LEVELS)
    if spec.pyramid is not None:
        available = params.component(f"pyramid.{spec.pyramid.kind}").available_levels(spec.pyramid.given())
    for name, levels in read.items():
        if missing := [level for level in levels if level not in available]:
            key = "levels" if hasattr(getattr(spec, name), "levels") else "level"
            raise InputError(
                f"{name}.{key}: {missing[-1]} is not there; this network's levels are {available[0]} to "
                f"{available[-1]}"
            )
    return available


def _resolve_pyramid(params: Params, spec: ModelSpec, place: PyramidPlace) -> dict[str, Any] | None:
    """The pyramid as a job is told of it; None for one that adds nothing."""
    if spec.pyramid is None:
        return None
    pyramid = params.component(f"pyramid.{spec.pyramid.kind}")
    with _below("pyramid"):
        resolved = pyramid.resolve(spec.pyramid.given(), place)
        _check_resolved(params, f"pyramid.{spec.pyramid.kind}", resolved)
    return None if resolved is None else {"kind": spec.pyramid.kind, **resolved}


def _resolve_merge(params: Params, spec: ModelSpec) -> dict[str, Any] | None:
    """The merges as a job is told of them; None for plain sums. The head must merge something."""
    if spec.merge is None:
        return None
    name, family = spec.head, HEADS[spec.head]
    section = getattr(spec, name)
    if not params.component(f"{family}.{section.kind}").merge_places(section.given()):
        others = offering(params, family, lambda head: head.merge_places(from_json(head.Options, {})))
        use = f"use null here{f', or {name} {others}' if others else ''}"
        raise InputError(f"merge: {name} {section.kind} merges no two maps; {use}")
    merge = params.component(f"merge.{spec.merge.kind}")
    with _below("merge"):
        resolved = merge.resolve(spec.merge.given())
        _check_resolved(params, f"merge.{spec.merge.kind}", resolved)
    return None if resolved is None else {"kind": spec.merge.kind, **resolved}


def offering(params: Params, family: str, offers: Callable[[Any], Any]) -> str:
    """For a message: the components of a family that offer something."""
    found = []
    for kind in kinds(family, params.components):
        declared = params.component(f"{family}.{kind}")
        # what a user's own component does wrong is told where it is used
        with suppress(InputError):
            if offers(declared):
                found.append(kind)
    return one_of(found) if found else ""


def _is_equalised(decoder: Any) -> bool:
    return any(one.default for one in decoder.concatenations(from_json(decoder.Options, {})))


def _check_resolved(params: Params, kind: str, resolved: dict[str, Any] | None) -> None:
    """Refuse what `resolve` of a user's own component gives and its job could not read."""
    if resolved is None or kind not in params.components:
        return
    try:
        where = f"components.{kind}: {params.components[kind]}.resolve gave"
        from_json(params.component(kind).Options, resolved, where)
    except InputError as error:
        raise BrokenContract(str(error)) from None


@contextmanager
def _below(section: str) -> Iterator[None]:
    """Findings about an option begin with the section that it stands in."""
    try:
        yield
    except BrokenContract:
        raise
    except InputError as error:
        raise InputError(f"{section}.{error}") from None


def concatenations(
    model: Mapping[str, Any], outside: Mapping[str, str] = MappingProxyType({})
) -> list[Concatenation]:
    """The concatenations of a resolved `model` section with a decoder, in the order of a forward pass."""

    def declared(family: str, section: Mapping[str, Any]) -> tuple[Any, Any]:
        found = component(f"{family}.{section['kind']}", outside)
        given = {key: value for key, value in section.items() if key != "kind"}
        return found, from_json(found.Options, given)

    heads = [declared("decoder", model[name]) for name in ("decoder", "auxiliary") if model.get(name)]
    found: list[Concatenation] = []
    if model["pyramid"] is not None:
        pyramid, options = declared("pyramid", model["pyramid"])
        read = sorted({level for head, given in heads for level in head.needed_levels(given)})
        found += _placed("pyramid", pyramid.concatenations(options, read))
    decoder, options = heads[0]
    found += _placed("decoder", decoder.concatenations(options))
    if model.get("merge") is not None:
        merge, chosen = declared("merge", model["merge"])
        for index, place in enumerate(decoder.merge_places(options)):
            inside = [replace(one, nesting=place.nesting) for one in merge.concatenations(chosen)]
            found += _placed(f"decoder.merges.{index}", inside)
    return sorted(found, key=lambda one: one.nesting)


def _placed(section: str, found: list[Concatenation]) -> list[Concatenation]:
    return [replace(one, name=f"{section}.{one.name}") for one in found]


def backbone_facts(params: Params, backbone: Backbone) -> BackboneArchitecture:
    """What is known of a backbone: of its tag or, for weights of the user's own, of its architecture."""
    if backbone.family is None:
        own_weights = isinstance(backbone.weights, WeightsFile)
        return lookup_architecture(backbone.timm) if own_weights else lookup(backbone.timm)
    known = kinds("backbone", params.components)
    if backbone.family not in known:
        raise InputError(f"family: {backbone.family!r} is not there; use {one_of(known)}")
    return replace(
        params.component(f"backbone.{backbone.family}").facts(backbone.timm), family=backbone.family
    )


def resolve_backbone(backbone: Backbone, facts: BackboneArchitecture) -> dict[str, Any]:
    """The backbone part of a model section; normalisation follows the weights."""
    if backbone.output_stride != 32 and not facts.supports_output_stride:
        raise InputError(f"{backbone.output_stride} is not allowed; {backbone.timm} has only 32")
    weights = backbone.weights
    if isinstance(weights, WeightsFile):
        expected = {"mean": weights.mean, "std": weights.std}
        args = {**weights.model_args, **backbone.args}
    else:
        if not isinstance(facts, BackboneFacts):
            raise InputError(
                f"family: {facts.family} knows no mean and std of {backbone.timm}; its facts() must give "
                "BackboneFacts, or set weights: {file: ...}"
            )
        expected, args = {"mean": list(facts.mean), "std": list(facts.std)}, dict(backbone.args)
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
    named = {**HEADS, "pyramid": "pyramid", "merge": "merge"}
    found = [f"backbone.{model['backbone']['family']}"]
    found += [
        f"{family}.{model[name]['kind']}" for name, family in named.items() if model.get(name) is not None
    ]
    if model.get("equalizer") is not None:
        found.append("equalizer.structure")
    return sorted(set(found))


def expand_path(text: str) -> Path:
    """Expand `~`, `$VARIABLE` and `${VARIABLE:-default}`.

    Raises `InputError` for a variable that is not set, an unknown user, and a path that no disk takes.
    """

    def replace(match: re.Match[str]) -> str:
        name, default = match["name"] or match["bare"], match["default"]
        value = os.environ.get(name) or default
        if value is None:
            raise InputError(f"{text!r} needs the environment variable {name}, which is not set")
        return value

    pattern = r"\$(?:\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}|(?P<bare>\w+))"
    expanded = re.sub(pattern, replace, text)
    if wrong := bad_path(expanded):
        raise InputError(wrong)
    try:
        return Path(expanded).expanduser()
    except RuntimeError:
        raise InputError(f"{text!r} begins with the home of a user who is not known here") from None


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
        field = "timm"
        try:
            facts = backbone_facts(params, backbone)
            field = "output_stride"
            resolve_backbone(backbone, facts)
        except BrokenContract:
            raise
        except InputError as error:
            text = str(error)
            field = "family" if text.startswith("family: ") else field
            raise params.wrong(["backbones", key, field], text.removeprefix("family: ")) from None
        for name in {**backbone.args, **_args_beside(backbone.weights)}:
            if facts.arguments and name not in facts.arguments:
                part = ["args"] if name in backbone.args else ["weights", "model_args"]
                takes = f"{suggest(name, facts.arguments)}; it takes {', '.join(facts.arguments)}"
                raise params.wrong(
                    ["backbones", key, *part, name], f"is no argument of {backbone.timm}{takes}"
                )
    for key, dataset in params.datasets.items():
        for path, finding in dataset.findings():
            raise params.wrong(["datasets", key, *path], finding)
    for key, study in params.studies.items():
        known(["studies", key, "dataset"], study.dataset, params.datasets, "datasets")
        known(["studies", key, "recipe"], study.recipe, params.recipes, "recipes")
        known(["studies", key, "model", "backbone"], study.model.backbone, params.backbones, "backbones")
    _check_file_names(params)
    if params.mirror is not None and (wrong := bad_path(params.mirror)):
        raise params.wrong(["mirror"], wrong)
    for name in params.select if isinstance(params.select, list) else []:
        known(["select"], name, params.studies, "studies")


def _args_beside(weights: WeightsFile | str) -> dict[str, Any]:
    return weights.model_args if isinstance(weights, WeightsFile) else {}


def _check_file_names(params: Params) -> None:
    """Refuse two tables or figures that would be written to the same files."""
    places: dict[str, str] = {}
    for key, study in params.studies.items():
        files = [("tables", index, "number", f"table{one.number}") for index, one in enumerate(study.tables)]
        files += [("figures", index, "subject", one.subject) for index, one in enumerate(study.figures)]
        for section, index, field, file in files:
            name = f"{study.prefix or key}_{file}"
            place: list[str | int] = ["studies", key, section, index, field]
            if wrong := bad_name(name):
                longer = len(file) > len(study.prefix or key)
                raise params.wrong(place if longer else ["studies", key, "prefix"], wrong)
            if name in places:
                raise params.wrong(place, f"{name!r} is the file of {places[name]} as well; use another")
            places[name] = dotted(place)
