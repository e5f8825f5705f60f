"""A timm network as a feature pyramid whose segments can be run one by one.

A family (ResNet, ConvNeXt, Swin, Twins, MobileNetV2) says how its network divides into segments
and runs one of them; everything else is here.
"""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.create_timm import check_args, create_network, load_weights, refuse_missing
from pipeline_src.models.backbones.padding import pad_to_patches
from pipeline_src.models.backbones.segments import Segment, minimum_side, strides_after
from pipeline_src.models.backbones.table import BackboneArchitecture, lookup, lookup_architecture
from pipeline_src.models.blocks import ChannelLayerNorm
from pipeline_src.models.pyramid import FeaturePyramid

OUTPUT_STRIDES = (8, 16, 32)


class StagedBackbone(FeaturePyramid):
    """A timm network without classifier, as a sequence of segments and a pyramid of its levels.

    `name`: timm name, with or without weight tag. `args`: extra arguments of `timm.create_model`;
    drop-path is 0 unless given there. `output_stride`: 8, 16 or 32; stages beyond it are dilated.
    `out_norm`: a trainable LayerNorm over channels on each output level, as MMSegmentation adds to Swin,
    ConvNeXt (what runs onward is not normalised) and Twins (where it is). `out_levels`: the levels to give,
    all by default; stages above the last one are not kept. `weights_path`: a safetensors file.

    `segments[i]` describes what `run(x, i, i + 1)` does; `net` is the timm network, under timm's names.
    Raises `InputError` for anything that the family or timm cannot do.

    A family is a component of kind `backbone`. It sets: `network_class`, timm's class;
    `supports_output_stride`; `default_args` of `timm.create_model`; `out_norm_eps`; `norm_in_stream`,
    whether the next stage reads the normalised map; `pads_itself`, whether its down-samplings cope with odd
    sizes; `weight_filter`, timm's conversion of checkpoint keys;
    `architectures`, the timm names without tag that the committed table lists, and `normalises_levels`,
    their default of `out_norm`; `freezable`, the parts of the timm network that make its stem and stages 1
    to 4 (stage `n` ends level `n + 1`, as a ResNet's layer1 ends level 2), empty where nothing can be
    frozen; `decays_by_depth`, whether `parameter_depth` is known, for a learning rate that falls with depth.
    It has `_divide`, `_trim`, `_run_segment`.
    """

    network_class: ClassVar[type[nn.Module]]
    supports_output_stride: ClassVar[bool] = True
    default_args: ClassVar[dict[str, Any]] = {}
    out_norm_eps: ClassVar[float] = 1e-5
    norm_in_stream: ClassVar[bool] = False
    pads_itself: ClassVar[bool] = True
    weight_filter: ClassVar[Callable | None] = None
    architectures: ClassVar[tuple[str, ...]] = ()
    normalises_levels: ClassVar[bool] = False
    freezable: ClassVar[tuple[tuple[str, ...], ...]] = ()
    decays_by_depth: ClassVar[bool] = False

    segments: tuple[Segment, ...]

    def __init__(
        self,
        name: str,
        *,
        args: dict[str, Any] | None = None,
        output_stride: int = 32,
        out_norm: bool = False,
        out_levels: list[int] | None = None,
        weights_path: str | Path | None = None,
    ) -> None:
        super().__init__()
        args = args or {}
        check_args(name, args)
        self._check_output_stride(name, output_stride)
        options = {"drop_path_rate": 0.0, **self.default_args, **args}
        if self.supports_output_stride:
            options["output_stride"] = output_stride
        self.name = name
        self.net = create_network(name, options)
        if not isinstance(self.net, self.network_class):
            raise InputError(
                f"backbone {name}: not a {self.network_class.__name__} as {type(self).__name__} needs"
            )
        missing = [] if weights_path is None else load_weights(self.net, weights_path, self.weight_filter)

        segments = self._divide(output_stride)
        available = {
            segment.level: index for index, segment in enumerate(segments) if segment.level is not None
        }
        self.levels = sorted(available if out_levels is None else set(out_levels))
        if not self.levels or not set(self.levels) <= available.keys():
            raise InputError(
                f"backbone {name}: no levels {out_levels}; it has {', '.join(map(str, sorted(available)))} "
                "(level l has stride 2**l)"
            )
        last = available[self.levels[-1]]
        self.segments = tuple(segments[: last + 1])
        self._trim(last)
        if weights_path is not None:
            refuse_missing(self.net, missing, weights_path)

        strides = strides_after(self.segments)
        self.strides = [strides[available[level]] for level in self.levels]
        self.channels = [segments[available[level]].channels or 0 for level in self.levels]
        self.out_norms = nn.ModuleDict()
        if out_norm:
            for segment in self.segments:
                if segment.level in self.levels or (self.norm_in_stream and segment.level is not None):
                    norm = ChannelLayerNorm(segment.channels or 0, eps=self.out_norm_eps)
                    self.out_norms[str(segment.level)] = norm

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of `images` `(N, 3, H, W)`, one per level; `InputError` for too small images."""
        self.check_size(images)
        _, features = self.collect(images, 0, len(self.segments))
        return list(features.values())

    def check_size(self, images: Tensor) -> None:
        """Refuse `images` `(N, 3, H, W)` that are too small for the whole backbone (`InputError`)."""
        smallest = minimum_side(self.segments)
        height, width = images.shape[-2:]
        if min(height, width) < smallest:
            raise InputError(
                f"backbone {self.name}: image of {width}x{height} pixels; needs at least {smallest} per side"
            )

    def run(self, x: Tensor, start: int, stop: int) -> Tensor:
        """Run segments `start` to `stop - 1` on `x` `(N, C, H, W)`, the map that enters segment `start`."""
        return self.collect(x, start, stop)[0]

    def collect(self, x: Tensor, start: int, stop: int) -> tuple[Tensor, dict[int, Tensor]]:
        """As `run`, and the output levels that end on the way, by level, normalised where `out_norm`."""
        features = {}
        for index in range(start, stop):
            x = self.step(index, x)
            level = self.segments[index].level
            if level is not None:
                x, given = self.end(level, x)
                if level in self.levels:
                    features[level] = given
        return x, features

    def end(self, level: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """What runs onward and what is given of `x` `(N, C, H, W)`, the map that ends `level`."""
        if str(level) not in self.out_norms:
            return x, x
        normalised = self.out_norms[str(level)](x)
        return (normalised if self.norm_in_stream else x), normalised

    def step(self, index: int, x: Tensor) -> Tensor:
        """Run one segment on `x` `(N, C, H, W)`, without the norm of the level that it may end."""
        segment = self.segments[index]
        if not segment.dilated and segment.factor > 1 and not self.pads_itself:
            x = pad_to_patches(x, segment.factor)
        return self._run_segment(index, x)

    @staticmethod
    def facts(name: str) -> BackboneArchitecture:
        """What planning has to know of the timm model `name`; a model with a weight tag has `BackboneFacts`.

        The committed table's row. A family of models that the table does not have says it itself.
        """
        return lookup(name) if "." in name else lookup_architecture(name)

    @staticmethod
    def parameter_depth(name: str) -> int | None:
        """Depth of a timm network's parameter: 0 in the stem and the down-samplings, n in stage n's blocks.

        None for parameters that take no part in a learning rate by depth.
        """
        return None

    @abstractmethod
    def _divide(self, output_stride: int) -> list[Segment]:
        """The segments of `self.net`, all of them."""

    @abstractmethod
    def _trim(self, last: int) -> None:
        """Remove from `self.net` what runs after segment `last`: stages, final norm, head."""

    @abstractmethod
    def _run_segment(self, index: int, x: Tensor) -> Tensor:
        """Run one segment on `x` `(N, C, H, W)`; a map that is not self-padded has a fitting size."""

    def _check_output_stride(self, name: str, output_stride: int) -> None:
        if output_stride not in OUTPUT_STRIDES:
            raise InputError(f"backbone {name}: output_stride {output_stride}; allowed: 8, 16, 32")
        if output_stride != 32 and not self.supports_output_stride:
            raise InputError(f"backbone {name}: output_stride {output_stride}; this family has only 32")
