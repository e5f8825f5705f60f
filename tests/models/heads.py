"""Small decoders, their input maps, and the means to compare them with other libraries' ones."""

from typing import Any

import torch
from torch import Tensor, nn

from pipeline_src.models.build_pyramid import component_of
from pipeline_src.models.decoders.head import DecodeHead
from tests.models.miniatures import copy_in_order, randomise

CHANNELS = {2: 5, 3: 6, 4: 7, 5: 9}
SIZES = {2: (19, 26), 3: (10, 13), 4: (5, 7), 5: (3, 4)}
"""Odd ones; the coarsest map is smaller than the finest grid of the pyramid pooling."""

SECTIONS: dict[str, dict[str, Any]] = {
    "classifier": {"kind": "fcn", "num_convs": 0, "concat_input": False},
    "classifier_of_level_3": {"kind": "fcn", "num_convs": 0, "concat_input": False, "level": 3},
    "fcn": {"kind": "fcn", "num_convs": 2, "channels": 8, "concat_input": True, "dropout": 0.1},
    "fcn_of_level_4": {"kind": "fcn", "num_convs": 1, "channels": 8, "concat_input": False, "level": 4},
    "psp": {"kind": "psp", "channels": 8},
    "aspp": {"kind": "aspp", "channels": 8, "dilations": [1, 2, 3]},
    "sep_aspp": {"kind": "sep_aspp", "channels": 8, "dilations": [1, 2, 3], "c1_channels": 4},
    "uper": {"kind": "uper", "channels": 8},
}
"""Sections of small decoders by a readable name."""


def small_head(name: str, seed: int = 0, **options: Any) -> DecodeHead:
    """A decoder of `SECTIONS` for 4 classes, in evaluation mode, with random BN statistics."""
    section = {**SECTIONS[name], **options}
    torch.manual_seed(seed)
    head_class, given = component_of("decoder", section)
    head = head_class([CHANNELS[level] for level in head_class.needed_levels(given)], 4, **vars(given))
    enlarge_classifier(head)
    return randomise(head).eval()


def levels_of(section: dict[str, Any]) -> list[int]:
    """The levels that the decoder of a section reads."""
    head_class, given = component_of("decoder", section)
    return head_class.needed_levels(given)


def enlarge_classifier(head: nn.Module) -> None:
    """Undo the small initial weights of the classifier, which would leave only its bias to be seen."""
    nn.init.normal_(head.classifier.weight)


def maps(head: DecodeHead, section: dict[str, Any], seed: int = 0, batch: int = 2) -> dict[int, Tensor]:
    """Random maps `(batch, C, H, W)` of the levels that `head` reads, by level."""
    generator = torch.Generator().manual_seed(seed)
    levels = levels_of(section)
    return {
        level: torch.randn(batch, CHANNELS[level], *SIZES[level], generator=generator) for level in levels
    }


def copy_pairs(*pairs: tuple[nn.Module, nn.Module]) -> None:
    """Copy the tensors of the first of each pair into the second, by position."""
    with torch.no_grad():
        for source, target in pairs:
            copy_in_order(source, target)


def assert_near(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Equal shapes, and no difference above `tolerance` of the largest expected value."""
    assert actual.shape == expected.shape
    assert expected.abs().max() > 1e-2
    difference = (actual - expected).abs().max() / expected.abs().max()
    assert difference <= tolerance, f"relative difference {difference.item():.2g}"
