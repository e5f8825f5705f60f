"""Which concatenations a network has and which of them are equalised; no torch, so that a planner can ask.

A concatenation is named by its place in the network, such as `decoder.concat`. They are listed in the
order in which a forward pass meets them; one of a higher nesting level reads what the lower ones made,
so it is calibrated after them, with them equalised already. A pyramid's are below 1, a decoder's above 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.models.fusion.dfp_rules import first_fused_level

FORMS = ("folded", "module", "up_bn")
CALIBRATED_FORMS = ("folded", "module")
"""Forms that need the mean and standard deviation of every branch before training."""


@dataclass(frozen=True)
class Concatenation:
    """A concatenation of a network: its name, nesting level, and whether it is equalised by default."""

    name: str
    nesting: int
    default: bool = True


DECODERS = {
    "fcn": (Concatenation("decoder.concat", 1),),
    "psp": (Concatenation("decoder.ppm.concat", 1),),
    "aspp": (Concatenation("decoder.aspp.concat", 1),),
    # The fusion convolution of the second is depthwise with a BN of its own, so that an equalizer
    # does nothing there (up to the BN's eps).
    "sep_aspp": (Concatenation("decoder.aspp.concat", 1), Concatenation("decoder.concat", 2, default=False)),
    # The paper equalises the fusion of the four levels and does not mention the pooling module's.
    "uper": (Concatenation("decoder.ppm.concat", 1, default=False), Concatenation("decoder.concat", 2)),
}

DECODER_LEVELS = {"psp": (5,), "aspp": (5,), "sep_aspp": (2, 5), "uper": (2, 3, 4, 5)}
"""The levels of the pyramid that a decoder reads; an FCN head says which one in its options."""


def concatenations(model: Mapping[str, Any]) -> tuple[Concatenation, ...]:
    """The concatenations of a resolved `model` section, in the order of a forward pass."""
    decoder, auxiliary, pyramid = model["decoder"], model.get("auxiliary"), model["pyramid"]
    found: list[Concatenation] = []
    if (
        pyramid is not None
        and pyramid["kind"] == "dfp"
        and pyramid["depth"]
        and pyramid["fusion"] == "concat"
    ):
        read = {level for head in (decoder, auxiliary) if head is not None for level in head_levels(head)}
        first = first_fused_level(pyramid["depth"], pyramid["split"])
        found += [Concatenation(f"pyramid.fusions.{level}", 0) for level in sorted(read) if level >= first]
    if pyramid is not None and pyramid["kind"] == "ipg" and pyramid["fusion"] == "concat":
        # Each feeds the stages behind it. An equalized one is no identity, which a user has to want.
        found += [
            Concatenation(f"pyramid.fusions.stage{stage}.concat", stage - 8, not pyramid["identity_start"])
            for stage in pyramid["positions"]
        ]
    if decoder["kind"] != "fcn" or decoder["concat_input"]:
        found += DECODERS[decoder["kind"]]
    return tuple(found)


def head_levels(head: Mapping[str, Any]) -> tuple[int, ...]:
    """The levels of the pyramid that the head of a resolved section reads."""
    return DECODER_LEVELS.get(head["kind"]) or (head["level"],)


def equalised(
    available: tuple[Concatenation, ...], chosen: list[str] | None, key: str = "equalizer.concatenations"
) -> list[list[str]]:
    """Names of the concatenations to equalise, one list per nesting level in the order of calibration.

    `chosen` None: those that are equalised by default. Raises `InputError` naming `key` for an unknown
    name, and where there is nothing to equalise.
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
            "equalised; use null here, or a decoder that concatenates (uper, psp, aspp, sep_aspp, or fcn "
            "with num_convs above 0 and concat_input: true)"
        )
    levels = sorted({one.nesting for one in taken})
    return [[one.name for one in taken if one.nesting == level] for level in levels]
