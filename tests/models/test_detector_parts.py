"""Parts of the detectors: batches, FPN and pooling at real strides, anchors, frozen backbones, precision."""

import math

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import _default_anchorgen
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, roi_align

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.resnet import ResNetPyramid
from pipeline_src.models.detectors.boxes import BatchImages, FullPrecisionBoxCoder, anchor_generator
from pipeline_src.models.detectors.cascade_rcnn import CascadeRCNN
from pipeline_src.models.detectors.faster_rcnn import FasterRCNN
from pipeline_src.models.detectors.fpn import PyramidWithFPN
from pipeline_src.models.detectors.frozen import freeze_backbone
from pipeline_src.models.detectors.options import AnchorOptions, DetectionOptions, RoiOptions
from pipeline_src.models.detectors.retinanet import RetinaNet
from pipeline_src.models.detectors.roi_align import roi_pool
from pipeline_src.models.fusion.dfp import DeepFeaturePyramid
from pipeline_src.models.pyramid import FeaturePyramid
from tests.models.detections import (
    FEW,
    SMALL,
    detections_of,
    gradients_of,
    images_and_targets,
    losses_of,
    make,
    no_boxes,
)
from tests.models.miniatures import FAMILIES, miniature


class Deep(FeaturePyramid):
    """Seven stages; with `keep` the last three stay at stride 32."""

    def __init__(self, keep: bool) -> None:
        super().__init__()
        self.levels = [2, 3, 4, 5, 6, 7, 8]
        self.strides = [4, 8, 16, 32, *([32, 32, 32] if keep else [64, 128, 256])]
        self.channels = [3] * 7
        self.scale = nn.Parameter(torch.ones(7))

    def forward(self, images: Tensor) -> list[Tensor]:
        height, width = images.shape[-2:]
        sizes = [(math.ceil(height / stride), math.ceil(width / stride)) for stride in self.strides]
        pooled = [nn.functional.adaptive_avg_pool2d(images, size) for size in sizes]
        return [one * scale for one, scale in zip(pooled, self.scale, strict=True)]


# --- batches ---------------------------------------------------------------------------------


def test_batches_are_torchvisions_without_its_resize() -> None:
    images, targets = images_and_targets(0, ((65, 97), (65, 66), (65, 128)))
    theirs = GeneralizedRCNNTransform(65, 10_000, [0.0] * 3, [1.0] * 3).eval()
    expected, expected_targets = theirs(images, targets)
    batch, found_targets = BatchImages()(images, targets)
    assert batch.tensors.shape == (3, 3, 96, 128)
    assert torch.equal(batch.tensors, expected.tensors)
    assert batch.image_sizes == expected.image_sizes == [(65, 97), (65, 66), (65, 128)]
    for found, expected in zip(found_targets, expected_targets, strict=True):
        assert torch.equal(found["boxes"], expected["boxes"])


# --- FPN and pooling -------------------------------------------------------------------------


@pytest.mark.parametrize("extra", ["none", "pool", "p6p7"])
@pytest.mark.parametrize("keep", [False, True])
def test_fpn_on_deep_levels_has_the_strides_that_it_says(keep: bool, extra: str) -> None:
    backbone = PyramidWithFPN(Deep(keep), [5, 6, 7, 8], 8, extra)
    maps = backbone(torch.randn(1, 3, 512, 768))
    assert list(maps)[:4] == ["5", "6", "7", "8"]
    assert len(maps) == len(backbone.strides) == {"none": 4, "pool": 5, "p6p7": 6}[extra]
    assert backbone.strides[:4] == ([32] * 4 if keep else [32, 64, 128, 256])
    for feature_map, stride in zip(maps.values(), backbone.strides, strict=True):
        assert feature_map.shape == (1, 8, math.ceil(512 / stride), math.ceil(768 / stride))


class Sum(nn.Module):
    def forward(self, lateral: Tensor, above: Tensor) -> Tensor:
        return lateral + above


@pytest.mark.parametrize("extra", ["none", "pool", "p6p7"])
def test_merges_that_add_change_nothing_of_an_fpn_and_of_the_levels_above_it(extra: str) -> None:
    backbone = PyramidWithFPN(Deep(keep=False), [3, 4, 5], 8, extra)
    images = torch.rand(2, 3, 96, 80, generator=torch.Generator().manual_seed(1))
    plain = backbone(images)
    backbone.fpn.merges = nn.ModuleList([Sum(), Sum()])
    merged = backbone(images)
    assert list(merged) == list(plain)
    for name, expected in plain.items():
        torch.testing.assert_close(merged[name], expected)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_regions_are_pooled_as_torchvision_does_at_sizes_where_it_infers_rightly(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    backbone = PyramidWithFPN(miniature("resnet"), [2, 3, 4, 5], 8)
    maps = {
        str(level): torch.randn(1, 8, 1024 // 2**level, 1024 // 2**level, generator=generator)
        for level in (2, 3, 4, 5)
    }
    corners = torch.rand(60, 2, 2, generator=generator).pow(2).sort(dim=1).values * 1000
    corners[:, 1] += 1
    boxes = [corners.reshape(-1, 4)]
    expected = MultiScaleRoIAlign(["2", "3", "4", "5"], 7, 2)(maps, boxes, [(1024, 1024)])
    assert torch.equal(roi_pool(backbone, RoiOptions())(maps, boxes, [(1024, 1024)]), expected)


def test_pooling_does_not_depend_on_the_first_batch() -> None:
    # 33 pixels are padded to 64: torchvision would infer a stride of 16 for level 5, and keep it
    backbone = PyramidWithFPN(miniature("resnet"), [2, 3, 4, 5], 8)
    pool = roi_pool(backbone, RoiOptions())
    assert pool.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    maps = {str(level): torch.zeros(1, 8, 64 >> level, 64 >> level) for level in (2, 3, 4, 5)}
    pool(maps, [torch.zeros(1, 4)], [(33, 33)])
    assert pool.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]


def test_a_dilated_stage_keeps_the_boxes_of_its_level() -> None:
    backbone = PyramidWithFPN(miniature("resnet", output_stride=16), [2, 3, 4, 5], 8)
    assert backbone.strides == [4, 8, 16, 16, 32]
    pool = roi_pool(backbone, RoiOptions())
    maps = {level: torch.randn(1, 8, 512 // s, 512 // s) for level, s in zip("2345", (4, 8, 16, 16))}
    large = torch.tensor([[10.0, 20.0, 490.0, 500.0]])
    expected = roi_align(maps["5"], [large], 7, 1 / 16, 2)
    assert torch.equal(pool(maps, [large], [(512, 512)]), expected)


@pytest.mark.parametrize(
    ("levels", "roi_levels", "message"),
    [
        ([2, 3, 8], [2, 3], "levels: 8: the pyramid has 1, 2, 3, 4, 5"),
        ([3, 2], [2, 3], "levels: [3, 2]; it needs at least one level, each once and in rising order"),
        ([2, 3, 4], [3, 5], "roi.levels: 5: the pyramid has 2, 3, 4"),
        ([2, 3, 4], [2, 4], "roi.levels: [2, 4] has a gap; a box's size tells the level to pool it from"),
    ],
)
def test_levels_that_do_not_fit_are_refused(levels: list[int], roi_levels: list[int], message: str) -> None:
    with pytest.raises(InputError) as error:
        FasterRCNN(miniature("resnet"), 3, levels=levels, fpn_channels=8, roi=RoiOptions(levels=roi_levels))
    assert str(error.value) == message


# --- anchors ---------------------------------------------------------------------------------


def test_anchors_of_stride_8_to_128_are_those_of_torchvisions_retinanet() -> None:
    ours = anchor_generator([8, 16, 32, 64, 128], AnchorOptions(scale=4.0, octaves=3))
    assert ours.sizes == _default_anchorgen().sizes
    for found, expected in zip(ours.cell_anchors, _default_anchorgen().cell_anchors, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("shape", [(256, 512), (320, 192), (800, 1344)])
def test_nominal_anchors_stand_at_multiples_of_the_stride(shape: tuple[int, int]) -> None:
    strides = [32, 64, 256]
    grids = [(math.ceil(shape[0] / stride), math.ceil(shape[1] / stride)) for stride in strides]
    images = ImageList(torch.zeros(2, 3, *shape), [shape, shape])
    maps = [torch.zeros(2, 1, *grid) for grid in grids]
    found = anchor_generator(strides, AnchorOptions(strides="nominal"))(images, maps)
    assert len(found) == 2 and torch.equal(found[0], found[1])
    expected = []
    for stride, (rows, columns) in zip(strides, grids, strict=True):
        for y, x in [(y * stride, x * stride) for y in range(rows) for x in range(columns)]:
            for ratio in (0.5, 1.0, 2.0):
                w, h = 8 * stride / math.sqrt(ratio), 8 * stride * math.sqrt(ratio)
                expected.append([x - round(w / 2), y - round(h / 2), x + round(w / 2), y + round(h / 2)])
    assert torch.equal(found[0], torch.tensor(expected, dtype=torch.float32))
    inferred = AnchorGenerator([(8 * stride,) for stride in strides], ((0.5, 1.0, 2.0),) * 3)(images, maps)
    exact = all(side % stride == 0 for side in shape for stride in strides)
    assert torch.equal(found[0], inferred[0]) == exact


# --- frozen backbones ------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("stages", [None, 0, 1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_stages_are_exactly_those_that_their_levels_need(
    family: str, stages: int | None, wrapped: bool
) -> None:
    backbone = miniature(family)
    pyramid = DeepFeaturePyramid(backbone, depth=1) if wrapped else backbone
    images = torch.randn(1, 3, 64, 64)
    before = backbone(images)
    frozen = {}
    if stages is not None:
        # Each stage ends its level; the stem is what runs before the one segment of stage 1.
        ends = [index for index, one in enumerate(backbone.segments) if one.level == max(stages, 1) + 1]
        backbone.run(images, 0, ends[0] + (stages > 0)).square().sum().backward()
        frozen = {name for name, p in backbone.net.named_parameters() if p.grad is not None}
        backbone.zero_grad()
    freeze_backbone(pyramid, stages=stages, norm=False)
    found = {name for name, p in backbone.net.named_parameters() if not p.requires_grad}
    norms = {name for name, m in backbone.net.named_modules() if type(m).__name__.startswith("FrozenBatch")}
    learned = {name for name in frozen if name.rpartition(".")[0] not in norms}
    assert found == learned
    torch.testing.assert_close(backbone.eval()(images), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_norms_are_buffers_with_the_same_output(family: str) -> None:
    backbone = miniature(family)
    images = torch.randn(2, 3, 64, 64)
    before = backbone(images)
    state = {name: value.clone() for name, value in backbone.state_dict().items()}
    freeze_backbone(backbone, stages=None)
    backbone.train()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    torch.testing.assert_close(backbone(images), before, rtol=1e-4, atol=1e-4)
    after = backbone.state_dict()
    assert after.keys() == {name for name in state if not name.endswith("num_batches_tracked")}
    assert all(torch.equal(after[name], state[name]) for name in after)


def test_what_a_pyramid_adds_still_learns() -> None:
    pyramid = DeepFeaturePyramid(miniature("resnet"), depth=2)
    freeze_backbone(pyramid, stages=4)
    assert not any(p.requires_grad for p in pyramid.backbone.net.parameters())
    assert all(p.requires_grad for p in pyramid.encoders.parameters())
    assert any(isinstance(module, nn.BatchNorm2d) for module in pyramid.encoders.modules())
    assert any(isinstance(module, FrozenBatchNorm2d) for module in pyramid.backbone.modules())


class Unknown(ResNetPyramid):
    """A family that does not say which parts can be frozen."""

    freezable = ()


@pytest.mark.parametrize(
    ("backbone", "stages", "message"),
    [
        (
            Unknown("resnet18", args={"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}),
            1,
            "1: the parts of this backbone's family are not known; use null",
        ),
        (miniature("resnet"), 5, "5; use null for none, or 0 (the stem) to 4"),
    ],
)
def test_stages_that_cannot_be_frozen_are_refused(
    backbone: FeaturePyramid, stages: int, message: str
) -> None:
    with pytest.raises(InputError) as error:
        freeze_backbone(backbone, stages=stages)
    assert str(error.value) == f"frozen_stages: {message}"


def test_a_pyramid_without_a_backbone_is_refused() -> None:
    with pytest.raises(InputError, match="Deep: has no stages that could be frozen"):
        freeze_backbone(Deep(keep=False))


# --- whole detectors -------------------------------------------------------------------------

BUILDS = {
    "faster_rcnn": (FasterRCNN, {"proposals": FEW, "roi": SMALL}),
    "retinanet": (RetinaNet, {}),
    "cascade_rcnn": (CascadeRCNN, {"proposals": FEW, "roi": SMALL}),
}


@pytest.mark.parametrize("kind", BUILDS)
def test_images_without_boxes_train(kind: str) -> None:
    build, options = BUILDS[kind]
    model = make(build, **options)
    images, targets = images_and_targets(3, ((64, 64), (71, 93)), classes=7)
    for given in (targets, [no_boxes(), targets[1]], [no_boxes(), no_boxes()]):
        losses = losses_of(model, images, given, seed=0)
        gradients = gradients_of(model, losses)
        assert all(torch.isfinite(loss) for loss in losses.values())
        assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
        assert gradients.keys() == dict(model.named_parameters()).keys()


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kind", BUILDS)
def test_detectors_take_seven_stages(kind: str, keep: bool) -> None:
    build, options = BUILDS[kind]
    levels = [5, 6, 7, 8] if kind == "retinanet" else [2, 3, 4, 5, 6, 7, 8]
    model = build(Deep(keep), 7, levels=levels, fpn_channels=8, extra="none", **options)
    images, targets = images_and_targets(1, ((300, 333), (257, 200)), classes=7)
    losses = losses_of(model, images, targets, seed=0)
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert gradients_of(model, losses)["backbone.pyramid.scale"][-4:].abs().min() > 0
    assert len(detections_of(model, images)) == 2


@pytest.mark.parametrize("kind", BUILDS)
def test_boxes_are_float32_under_autocast(kind: str) -> None:
    build, options = BUILDS[kind]
    model = make(build, **options, test=DetectionOptions(score=0.001))
    images, targets = images_and_targets(4, ((64, 96), (64, 80)), classes=7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses, detections = losses_of(model, images, targets, seed=0), detections_of(model, images)
    assert all(torch.isfinite(loss) for loss in losses.values())
    for one in detections:
        assert len(one["boxes"])
        assert one["boxes"].dtype == torch.float32
    boxes = torch.tensor([[1001.0, 533.25, 1331.5, 799.0]])
    coders = [module.box_coder for module in model.modules() if hasattr(module, "box_coder")]
    decoding = [coder for coder in coders if type(coder) is FullPrecisionBoxCoder]
    # RetinaNet's regression head only encodes
    assert len(coders) - len(decoding) == (kind == "retinanet")
    for coder in decoding:
        decoded = coder.decode_single(torch.zeros(1, 4, dtype=torch.bfloat16), boxes)
        torch.testing.assert_close(decoded, boxes)
