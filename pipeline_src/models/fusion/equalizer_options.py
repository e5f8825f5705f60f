"""Which concatenations of a network are equalised, and how; no torch, so that a planner can ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline_src.errors import InputError
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.options import REQUIRED, PositiveInt, option


@dataclass(frozen=True)
class Form:
    """One way to equalise, and what others need to know of it.

    `meaning` says it in words. A `calibrated` form needs the mean and standard deviation of every branch
    before training. `in_network`: the network is another one with it, and costs something else.
    """

    meaning: str
    calibrated: bool = True
    in_network: bool = True


FORMS = {
    "folded": Form(
        "divide the fusion convolution's weights by each branch's global standard deviation (the paper's "
        "Algorithm 1)",
        in_network=False,
    ),
    "module": Form("normalise each branch in the forward pass by its global mean and deviation"),
    "up_bn": Form(
        "batch normalisation after the upsampling (section 3.2's costly alternative, which is not "
        "calibrated)",
        calibrated=False,
    ),
}
"""By name; `scale_equalizer.py` holds what each does."""


@dataclass(frozen=True)
class EqualizerOptions:
    """Scale equalizers (Scale Equalization, section 3.2).

    Each branch of a concatenation is divided by its standard deviation, measured before the training, so
    that no branch begins louder than another.
    """

    form: Literal["folded", "module", "up_bn"] = option(
        REQUIRED, "; ".join(f"`{name}`: {form.meaning}" for name, form in FORMS.items()) + "."
    )
    concatenations: list[str] | None = option(
        None,
        "Which concatenations, such as `decoder.concat`; null: those that the paper equalises, "
        "and those of a pyramid.",
        min_length=1,
    )
    images: PositiveInt | None = option(
        None, "Calibrate on so many training images (whole batches); null: the whole training set."
    )


def equalised(
    available: Sequence[Concatenation],
    chosen: list[str] | None,
    key: str = "equalizer.concatenations",
    others: str = "",
) -> list[list[str]]:
    """Names of the concatenations to equalise, one list per nesting level in the order of calibration.

    `chosen` None: those that are equalised by default. Raises `InputError` naming `key` for an unknown
    name, and where there is nothing to equalise; it then names `others`, decoders that have something.
    """
    names = [one.name for one in available]
    for name in chosen or ():
        if name not in names:
            raise InputError(
                f"{key}: {name!r} is no concatenation of this network; it has {', '.join(names) or 'none'}"
            )
    taken = [one for one in available if (one.default if chosen is None else one.name in chosen)]
    if not taken:
        raise InputError(
            f"{key.removesuffix('.concatenations')}: this network concatenates nothing that could be "
            f"equalised; use null here, or a decoder that concatenates{others and f', such as {others}'}"
        )
    levels = sorted({one.nesting for one in taken})
    return [[one.name for one in taken if one.nesting == level] for level in levels]
