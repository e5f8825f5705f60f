"""What the studies compare, in a sentence each, from the descriptions of the components of their runs."""

import inspect
from collections.abc import Iterable

from pipeline_src.config.experiments import Run
from pipeline_src.config.study import Params
from pipeline_src.models.fusion.equalizer_options import EqualizerOptions

PARTS = ("pyramid", "merge")
"""Sections of a network that hold ideas; equalizers are one more."""


def compared_ideas(params: Params, runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Name and description of every idea that some run has, each once."""
    models = [run.model for run in runs]
    found: dict[str, str] = {}
    for part in PARTS:
        kinds = [model[part]["kind"] if model.get(part) else None for model in models]
        for kind in dict.fromkeys(kind for kind in kinds if kind is not None):
            found |= _described(params.component(f"{part}.{kind}").Options)
    if any(model.get("equalizer") for model in models):
        found |= _described(EqualizerOptions)
    return list(found.items())


def _described(options: type) -> dict[str, str]:
    """The first line of a description and its next paragraph; nothing where there is only one."""
    name, _, rest = inspect.cleandoc(options.__doc__ or "").partition("\n\n")
    sentence = " ".join(rest.partition("\n\n")[0].split())
    return {name.rstrip("."): sentence} if sentence else {}
