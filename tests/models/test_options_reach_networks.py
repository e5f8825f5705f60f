"""Whatever can be said of a detector or a decoder changes what is built, and changes that alone."""

import dataclasses
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from pipeline_src.components import load
from pipeline_src.models.backbones.resnet import ResNetPyramid

PLAIN = (bool, int, float, str, type(None))
SMALL = {
    "faster_rcnn": {"fpn_channels": 8, "roi": {"channels": 8}},
    "cascade_rcnn": {"fpn_channels": 8, "roi": {"channels": 8}},
    "retinanet": {"fpn_channels": 32},
}
OTHERWISE: dict[str, list[Any]] = {
    "extra": ["none"], "strides": ["nominal"], "average": ["logits"], "levels": [[3, 4, 5], [4, 5]],
    "nms_iou": [0.6], "box_weights": [[1.0, 2.0, 3.0, 4.0]], "level": [4], "positive_iou": [0.8],
    "negative_iou": [0.1],
}  # fmt: skip
"""Another value where one of the same type will not do."""


def leaves(options: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Key path and value of every option, those of sections and of lists of sections one by one."""
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        here = (*path, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, here)
        elif isinstance(value, list) and value and dataclasses.is_dataclass(value[0]):
            for index, one in enumerate(value):
                yield from leaves(one, (*here, index))
        else:
            yield here, value


def replaced(options: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Options with another value at a key path."""
    if not path:
        return value
    first, *rest = path
    if isinstance(options, list):
        return [
            replaced(one, tuple(rest), value) if place == first else one for place, one in enumerate(options)
        ]
    return dataclasses.replace(options, **{first: replaced(getattr(options, first), tuple(rest), value)})


def other(name: str, value: Any) -> Any:
    """A value of the option that is not its default."""
    if name in OTHERWISE:
        return next(one for one in OTHERWISE[name] if one != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value * 2
    if isinstance(value, float):
        return value * 0.6 if value else 0.3
    assert isinstance(value, list), f"{name}: say in OTHERWISE what it could be instead of {value!r}"
    return value[:-1]


def plain(value: Any) -> Any:
    """A value that can be compared: numbers and texts, in lists and mappings of any depth."""
    if isinstance(value, list | tuple):
        return tuple(plain(one) for one in value)
    if isinstance(value, dict):
        return tuple((key, plain(one)) for key, one in sorted(value.items(), key=lambda item: str(item[0])))
    if isinstance(value, torch.Size | torch.Tensor):
        return tuple(value.shape) if isinstance(value, torch.Tensor) else tuple(value)
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, nn.Module | types.FunctionType | types.MethodType):
        return None
    # such as torchvision's matchers, samplers and box coders
    return type(value).__name__, plain(vars(value) if hasattr(value, "__dict__") else {})


INNER = set(vars(nn.Module()))
"""What torch keeps in every module."""


def settings(network: nn.Module) -> dict[str, Any]:
    """All that a network was built with: attributes of its modules, shapes of its parameters."""
    found: dict[str, Any] = {name: tuple(value.shape) for name, value in network.named_parameters()}
    for name, module in network.named_modules():
        found |= {f"{name}.{key}": plain(value) for key, value in vars(module).items() if key not in INNER}
    return found


def section(name: str) -> Any:
    """The options of a small detector."""
    options = load(f"detector.{name}").Options()
    for key, value in SMALL[name].items():
        options = (
            dataclasses.replace(options, **{key: dataclasses.replace(getattr(options, key), **value)})
            if isinstance(value, dict)
            else dataclasses.replace(options, **{key: value})
        )
    return options


def detector(name: str, options: Any) -> nn.Module:
    with torch.device("meta"):
        pyramid = ResNetPyramid("resnet18", args={"layers": [1, 1, 1, 1], "channels": [8, 12, 16, 20]})
        return load(f"detector.{name}")(pyramid, 4, **vars(options))


CASES = [
    (name, path, value)
    for name in SMALL
    for path, value in leaves(section(name))
    # the freezing of a backbone is other code's, and regions are pooled from all levels of these
    if path[0] not in {"frozen_stages", "frozen_norm"} and (name == "retinanet" or path != ("levels",))
]


@pytest.mark.parametrize(("name", "path", "value"), CASES, ids=lambda one: str(one)[:60])
def test_every_option_of_a_detector_is_in_the_network(name, path, value):
    options = section(name)
    changed = replaced(options, path, other(path[-1], value))
    before, after = settings(detector(name, options)), settings(detector(name, changed))
    assert before != after
    # and it is found there under its own value, where it is a number that nothing else has
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and path[-1] not in ("octaves", "scale")
    ):
        flat = str([after[key] for key in after if after.get(key) != before.get(key)])
        assert str(other(path[-1], value)) in flat


@pytest.mark.parametrize("name", ["fcn", "psp", "aspp", "sep_aspp", "uper"])
def test_every_option_of_a_decoder_is_in_the_network(name):
    decoder = load(f"decoder.{name}")
    options = dataclasses.replace(decoder.Options(), channels=32)
    widths = dict(zip([2, 3, 4, 5], [8, 12, 16, 20]))

    def built(options: Any) -> dict[str, Any]:
        channels = [widths[level] for level in decoder.needed_levels(options)]
        return settings(decoder(channels, 4, **vars(options)))

    before = built(options)
    for (key,), value in leaves(options):
        changed = dataclasses.replace(options, **{key: other(key, value)})
        assert built(changed) != before, key
