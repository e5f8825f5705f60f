"""A model section by itself, without studies and data: validated and resolved as those of `params.yaml`."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pipeline_src.config.component_declarations import check_outside
from pipeline_src.config.explain import dotted, explain
from pipeline_src.config.model import model_spec
from pipeline_src.config.resolve import check_references, resolve_model
from pipeline_src.config.study import params_model
from pipeline_src.errors import InputError

KEY = "own"
"""Key of the one backbone."""


def resolve_section(
    model: Mapping[str, Any], num_classes: int, components: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The model section of a job, of a section `model` as a study has it.

    Its `backbone` is an entry of `backbones`, or timm's name with its tag for one of random weights.
    `components` are of the user's own, as in `components:`.

    Raises `InputError` that names the key for a section that is wrong or cannot be built.
    """
    outside = tuple(sorted((components or {}).items()))
    for kind, target in outside:
        check_outside(kind, target)
    if "backbone" not in model:
        raise InputError("model.backbone: is missing; give timm's name with its tag, or a section")
    given = model["backbone"]
    backbone = {"timm": given, "weights": "none"} if isinstance(given, str) else given
    tree = {
        "scale": KEY, "scales": {KEY: {}}, "components": dict(outside), "backbones": {KEY: backbone},
        "datasets": {}, "recipes": {}, "studies": {},
    }  # fmt: skip
    params = _validated(params_model(outside), tree, {f"backbones.{KEY}": "model.backbone"})
    check_references(params)
    spec = _validated(model_spec(outside), {**model, "backbone": KEY}, {"": "model"})
    try:
        return resolve_model(params, spec, num_classes)
    except InputError as error:
        raise InputError(f"model.{str(error).removeprefix(f'backbone {KEY}: ')}") from None


def _validated(kind: Any, tree: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    """A section of `kind`; findings are named with the beginnings of their keys replaced."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        lines = []
        for path, text in explain(error, kind):
            name = dotted(path)
            for old, new in names.items():
                name = f"{new}{name.removeprefix(old)}" if old else f"{new}.{name}"
            lines.append(f"{name}: {text}")
        raise InputError("\n       ".join(lines)) from None
