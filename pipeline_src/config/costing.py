"""What of a network decides a training, and what its costs, so that equal ones are made once."""

from typing import Any

from pipeline_src.config.model import HEADS
from pipeline_src.config.recipe import RunRecipe
from pipeline_src.config.study import Params
from pipeline_src.models.fusion.equalizer_options import FORMS
from pipeline_src.options import Use, to_json, without_uses
from pipeline_src.training.loss_options import AUXILIARY_WEIGHT


def cost_setting(params: Params, recipe: RunRecipe) -> dict[str, Any]:
    """What besides the network decides the cost of a step.

    An optimiser's numbers and a loss's weight do not, only whether they are zero: others are replaced by
    customary ones. Nor does it matter what a loss is divided by. A batch that a recipe splits is measured by
    one of its micro-batches.
    """
    customary = {"lr": 1e-3, "weight_decay": 1e-4, "momentum": 0.9, "betas": [0.9, 0.999]}
    optimizer = {
        key: customary[key] if key in customary and value else value
        for key, value in to_json(recipe.optimizer).items()
        if key not in ("no_decay", "no_decay_1d", "layer_decay")
    }
    loss = to_json(recipe.loss)
    weight = AUXILIARY_WEIGHT if loss["auxiliary_weight"] else loss["auxiliary_weight"]
    return {
        "crop": params.cost.crop or recipe.augment.size,
        "batch": params.cost.batch or recipe.batch // recipe.accumulate,
        "recipe": {
            "optimizer": optimizer,
            "accumulate": 1,
            "amp": recipe.amp,
            "loss": {**loss, "reduction": "labelled_pixels", "auxiliary_weight": weight},
        },
    }


def trained(params: Params, model: dict[str, Any]) -> dict[str, Any]:
    """The network as its training is told of it: without what only a test reads.

    Validation during a training, for the curves, is done at the defaults of these.
    """
    return _without(params, model, "inference", "choice")


def costing(params: Params, model: dict[str, Any]) -> dict[str, Any]:
    """The network whose cost is measured.

    An equalizer that is folded into weights leaves no trace in it. Which detections remain is left at the
    defaults: an untrained network has no results to choose from.
    """
    equalizer = model["equalizer"]
    if equalizer is not None and not FORMS[equalizer["form"]].in_network:
        model = {**model, "equalizer": None}
    return _without(params, model, "choice")


def _without(params: Params, model: dict[str, Any], *uses: Use) -> dict[str, Any]:
    heads = {name: model[name] for name in HEADS if model.get(name) is not None}
    for name, section in heads.items():
        options = params.component(f"{HEADS[name]}.{section['kind']}").Options
        heads[name] = without_uses(options, section, *uses)
    return {**model, **heads}


def without_weights(model: dict[str, Any]) -> dict[str, Any]:
    """Where weights come from does not change what a network costs."""
    return {**model, "backbone": {**model["backbone"], "weights": None, "mean": None, "std": None}}
