"""Reading `params.yaml`: layers merged (base, scale, user's overlay), validated, errors in one line each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline_src.config.component_declarations import check_outside
from pipeline_src.config.default_tables import with_default_tables
from pipeline_src.config.explain import explain, in_short, one_of, suggest
from pipeline_src.config.model import Outside
from pipeline_src.config.parameter_layers import Layer, locate, merge
from pipeline_src.config.study import Params, params_model
from pipeline_src.config.yaml_text import read_yaml
from pipeline_src.errors import InputError
from pipeline_src.provenance.closure import ROOT

BASE_FILE = "params.yaml"
MOST_LINES = 20
"""Findings that are listed."""
MOST_SCALES = 100
"""Scales that may be there: each is validated."""


def load_params(
    base: str | Path = BASE_FILE,
    overlays: list[Layer] | None = None,
    scale: str | None = None,
) -> Params:
    """Merge and validate the parameters of one scale.

    Later layers win: the base file, its `scales.<scale>` block, then the overlays in order (an
    overlay's own `scales` block extends the base's first). `scale` wins over every layer's `scale`.

    Raises `InputError` with one line for every finding, each naming file and key path.
    """
    if not Path(base).exists() and str(base) == BASE_FILE:
        raise InputError(
            f"{Path.cwd()}: holds no {BASE_FILE}; start in the root of the checkout: cd {ROOT}, "
            f"or snakemake --directory {ROOT}"
        )
    layers = [Layer(str(base), read_yaml(base)), *(overlays or [])]
    scales: dict[str, Any] = {}
    for layer in layers:
        scales = merge(scales, _mapping(layer.tree.get("scales"), layer, "scales"))
    name = scale or next((la.tree["scale"] for la in reversed(layers) if "scale" in la.tree), None)
    if not scales:
        raise InputError(f"{base}: scales: is missing or empty; give at least one scale, as `demo: {{}}`")
    if not isinstance(name, str) or name not in scales:
        where = next((la.where for la in reversed(layers) if "scale" in la.tree), str(base))
        raise InputError(
            f"{where}: scale: {name!r} is not a scale{suggest(str(name), scales)}; use {one_of(scales)}"
        )
    if len(scales) > MOST_SCALES:
        where = locate(["scales"], [layer for layer in layers if layer.tree.get("scales")])
        raise InputError(f"{where}: has {len(scales):,} scales; use at most {MOST_SCALES}")
    blocks = {str(one): _scale_layer(str(one), block, layers) for one, block in scales.items()}
    # first with every layer, so that what is wrong in an overlay is looked for there
    params = _validated(layers[0], [blocks[name], *layers[1:]], scales)
    for other, block in blocks.items():
        if other != name:
            _validated(layers[0], [block], scales)
    return params


def _scale_layer(name: str, block: Any, layers: list[Layer]) -> Layer:
    source = next(la for la in reversed(layers) if name in _mapping(la.tree.get("scales"), la, "scales"))
    tree = _mapping(block, source, f"scales.{name}")
    for key in ("scale", "scales"):
        if key in tree:
            raise InputError(f"{source.where}: scales.{name}.{key}: a scale cannot set {key}; remove it")
    return Layer(source.where, {"scale": name, **tree}, ("scales", name))


def _validated(base: Layer, overlays: list[Layer], scales: dict[str, Any]) -> Params:
    layers = [base, *overlays]
    tree: dict[str, Any] = {}
    for layer in layers:
        tree = merge(tree, {key: value for key, value in layer.tree.items() if key != "scales"})
    tree["scale"], tree["scales"] = overlays[0].tree["scale"], scales
    outside = _outside(tree.get("components"), layers)
    model = params_model(outside)
    try:
        params = model.model_validate(with_default_tables(tree, outside))
    except ValidationError as error:
        lines = [in_short(f"{locate(path, layers)}: {text}") for path, text in explain(error, model)]
        if len(lines) > MOST_LINES:
            lines[MOST_LINES:] = [f"... and {len(lines) - MOST_LINES} more"]
        raise InputError("\n       ".join(lines)) from None
    params._layers = layers
    return params


def _outside(components: Any, layers: list[Layer]) -> Outside:
    """The components of the user's own; anything but a mapping of strings is left to the validation."""
    if not isinstance(components, Mapping):
        return ()
    found = {kind: target for kind, target in components.items() if isinstance(kind, str)}
    if not all(isinstance(target, str) for target in found.values()):
        return ()
    for kind, target in found.items():
        try:
            check_outside(kind, target)
        except InputError as error:
            raise InputError(f"{locate(['components', kind], layers)}: {error}") from None
    return tuple(sorted(found.items()))


def _mapping(value: Any, layer: Layer, key: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{layer.where}: {key}: {value!r} is not allowed; use a mapping")
    return dict(value)
