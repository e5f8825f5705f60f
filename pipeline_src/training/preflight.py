"""Checks of a recipe that need the data set's size and the number of processes, before anything is built."""

import math
from collections.abc import Sequence
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.models.build_pyramid import component_of
from pipeline_src.training.recipe import Recipe
from pipeline_src.training.timetable import Timetable


def check_batch(recipe: Recipe, samples: int, world: int) -> None:
    """Refuse a batch that this data set or this number of processes cannot form.

    Raises `InputError` that names the key of the recipe.
    """
    batch, accumulate = recipe.batch, recipe.accumulate
    parts = world * accumulate
    split = f"{world} processes x {accumulate} micro-batches"
    if batch % parts:
        fewer = f", or a smaller recipe.accumulate than {accumulate}" if accumulate > 1 else ""
        raise InputError(
            f"recipe.batch: {batch} cannot be split into {split}; use a multiple of {parts}{fewer}"
        )
    if samples == 0:
        raise InputError("split train: holds no samples; training needs at least one")
    if not recipe.drop_last:
        rest = samples % batch
        if rest % parts:
            raise InputError(
                f"recipe.drop_last: false leaves a last batch of {rest} samples, which cannot be split into "
                f"{split}; use true"
            )
    elif samples < batch:
        raise InputError(
            f"recipe.batch: {batch} is more than the {samples} samples of split train, and recipe.drop_last "
            f"drops short batches; use a batch of at most {samples}"
        )


def check_warmup(recipe: Recipe, samples: int) -> None:
    """Refuse a warm-up that leaves nothing of a training whose length is given in epochs.

    Raises `InputError` that names the key of the recipe.
    """
    total = Timetable.of(recipe, samples).total_steps
    if recipe.warmup is not None and recipe.warmup.iterations >= total:
        raise InputError(
            f"recipe.warmup.iterations: {recipe.warmup.iterations} leaves nothing of the {total} iterations "
            "of this training; use fewer, or recipe.warmup null for none"
        )


def check_crop(recipe: Recipe, crop: Sequence[int], model: dict[str, Any], samples: int) -> None:
    """Refuse a crop or batch that leaves batch normalisation with one value per channel: no variance.

    `crop` is height and width, `samples` are those of the training split. Some decoders pool a whole map to
    one cell, whatever the crop. Raises `InputError` that names the key of the recipe.
    """
    stride = float(model["backbone"]["output_stride"])
    if model["pyramid"] is not None:
        pyramid, options = component_of("pyramid", model["pyramid"])
        stride *= pyramid.reduction(options)
    height, width = crop
    cells = math.ceil(height / stride) * math.ceil(width / stride)
    # Synchronised over ranks, not over micro-batches.
    part = recipe.batch // recipe.accumulate
    if cells * part < 2:
        raise InputError(
            f"recipe.augment.crop: {height}x{width} at stride {stride:g} leaves one value per channel in a "
            f"micro-batch of {part}, which has no variance; use a larger crop or batch"
        )
    decoder, options = component_of("decoder", model["decoder"])
    if not decoder.pools_to_one_cell(options):
        return
    pooled = "the decoder's 1x1 pooling branch has one value per channel, which has no variance"
    least = 2 * recipe.accumulate
    if part < 2:
        raise InputError(
            f"recipe.batch: {recipe.batch} leaves {part} sample in a micro-batch, of which {pooled}; "
            f"use at least {least}"
        )
    rest = samples % recipe.batch
    if not recipe.drop_last and 0 < rest < least:
        raise InputError(
            f"recipe.drop_last: false leaves a last batch of {rest}, with a micro-batch of 1 sample, of "
            f"which {pooled}; use true"
        )
