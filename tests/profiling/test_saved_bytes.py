"""Bytes saved for backward: by hand, by walking the graph, and fake tensors against real ones."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.profiling.parameter_count import count_parameters
from pipeline_src.profiling.saved_bytes import saved_bytes
from pipeline_src.tasks.segmentation.costs import training_saved_bytes
from tests.profiling.sections import section, with_auxiliary


def test_linear_saves_its_input() -> None:
    layer, x = nn.Linear(7, 3), torch.randn(5, 7)
    assert saved_bytes(lambda: layer(x), layer) == 5 * 7 * 4


def test_a_tensor_that_two_operators_need_counts_once() -> None:
    for inplace in (False, True):
        model = nn.Sequential(nn.Linear(7, 6), nn.ReLU(inplace=inplace), nn.Linear(6, 2))
        x = torch.randn(5, 7)
        # ReLU and the second layer keep the same activations.
        assert saved_bytes(lambda model=model, x=x: model(x), model) == (5 * 7 + 5 * 6) * 4


def test_batch_norm_saves_its_input_and_the_statistics_of_the_batch() -> None:
    model, x = nn.BatchNorm2d(3), torch.randn(2, 3, 4, 5)
    assert saved_bytes(lambda: model(x), model) == (2 * 3 * 4 * 5 + 2 * 3) * 4


def test_views_of_one_storage_count_once_and_whole() -> None:
    weight = nn.Parameter(torch.ones(4))
    x = torch.randn(10, 4)
    holder = nn.ParameterList([weight])
    assert saved_bytes(lambda: (x[:3] * weight).sum() + (x[5:] * weight).sum(), holder) == 10 * 4 * 4


def test_parameters_and_buffers_do_not_count() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(6))
            self.register_buffer("scale", torch.randn(6))

        def forward(self) -> Tensor:
            return self.weight * self.scale * self.weight

    model = Scaled()
    # Only the product of weight and scale is new.
    assert saved_bytes(model, model) == 6 * 4


def test_what_is_discarded_during_the_forward_pass_does_not_count() -> None:
    layer, x = nn.Linear(8, 8), torch.randn(4, 8)

    def forward() -> Tensor:
        layer(torch.randn(100, 8))
        return layer(x)

    assert saved_bytes(forward, layer) == 4 * 8 * 4


def test_without_gradients_nothing_is_saved() -> None:
    layer, x = nn.Linear(8, 8).requires_grad_(False), torch.randn(4, 8)
    assert saved_bytes(lambda: layer(x), layer) == 0


def bytes_in_graph(loss: Tensor, module: nn.Module) -> int:
    """Brute force: every `_saved_*` tensor of every node that can be reached from the loss."""
    storages, seen, queue = {}, set(), [loss.grad_fn]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        queue += [following for following, _ in node.next_functions]
        for name in dir(node):
            if name.startswith("_saved_"):
                value = getattr(node, name)
                for tensor in value if isinstance(value, tuple | list) else [value]:
                    if isinstance(tensor, Tensor):
                        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    return sum(size for pointer, size in storages.items() if pointer not in own)


CASES = [
    ("resnet", None),
    ("resnet", 0),
    ("resnet", 3),
    ("resnet", 5),
    ("convnext", 2),
    ("swin", 3),
    ("twins", 1),
    ("mobilenetv2", 2),
]


@pytest.mark.parametrize(("family", "depth"), CASES)
def test_fake_tensors_give_the_bytes_of_a_real_cpu_step(family: str, depth: int | None) -> None:
    params = section(family, depth)
    for batch, crop in [(2, (75, 66))]:
        torch.manual_seed(0)
        model = build_segmentor(params).train()
        images, labels = torch.randn(batch, 3, *crop), torch.zeros(batch, *crop, dtype=torch.int64)
        kept: list[Any] = []

        def forward(model=model, images=images, labels=labels, kept=kept) -> Tensor:
            kept.append(F.cross_entropy(model(images), labels))
            return kept[0]

        real = saved_bytes(forward, model)
        assert training_saved_bytes(lambda: build_segmentor(params), batch, crop) == real


@pytest.mark.parametrize(("family", "depth"), [("resnet", None), ("mobilenetv2", 2)])
def test_the_graph_of_an_auxiliary_head_is_kept_as_well(family: str, depth: int | None) -> None:
    params = with_auxiliary(family, depth)
    model = build_segmentor(params).train()
    images, labels = torch.randn(2, 3, 75, 66), torch.zeros(2, 75, 66, dtype=torch.int64)

    def forward() -> Tensor:
        logits, auxiliary = model(images)
        return F.cross_entropy(logits, labels) + F.cross_entropy(auxiliary, labels)

    real = saved_bytes(forward, model)
    without = {**params, "auxiliary": None}
    assert training_saved_bytes(lambda: build_segmentor(params), 2, (75, 66)) == real
    assert training_saved_bytes(lambda: build_segmentor(without), 2, (75, 66)) < real
    assert bytes_in_graph(forward(), model) == real


@pytest.mark.parametrize(("family", "depth"), [("resnet", 0), ("resnet", 3), ("mobilenetv2", 2)])
def test_bytes_equal_a_walk_over_the_graph(family: str, depth: int) -> None:
    model = build_segmentor(section(family, depth)).train()
    images, labels = torch.randn(2, 3, 64, 90), torch.zeros(2, 64, 90, dtype=torch.int64)
    loss = F.cross_entropy(model(images), labels)
    expected = bytes_in_graph(loss, model)
    measured = saved_bytes(lambda: F.cross_entropy(model(images), labels), model)
    assert measured == expected > 0


def test_saved_bytes_rise_with_depth() -> None:
    values = [
        training_saved_bytes(lambda depth=depth: build_segmentor(section("resnet", depth)), 2, (128, 128))
        for depth in (None, *range(6))
    ]
    assert values == sorted(set(values))


def test_the_papers_memory_by_depth_says_how_many_encoders_there_are() -> None:
    """Decision 0003: ResNet-50, batch 3, 512x512, against the 74 MB and 1.43 of DFP's Table 1."""
    saved, weights = {}, {}
    for depth in (None, 0, 1, 5):
        model = section("resnet", depth)
        model["backbone"]["args"], model["num_classes"] = {}, 21
        with torch.device("meta"):
            weights[depth] = count_parameters(build_segmentor(model))
        saved[depth] = training_saved_bytes(lambda model=model: build_segmentor(model), 3, (512, 512))
    encoder = 2048 * 1024 + 9 * 1024 * 1024 + 4 * 1024
    assert weights[0] == weights[None] + encoder - 1024 * 21

    def step(depth: int | None, encoders: int = 1) -> float:
        """MiB of a step with momentum: what is kept for backward, weights, gradients and momenta."""
        return (saved[depth] + 3 * 4 * (weights[depth] + (encoders - 1) * encoder)) / 2**20

    # from depth 1 to 0: an encoder per branch and none at 0, one and none at 0, one at both
    falls = [step(1, 3) - step(None), step(1) - step(None), step(1) - step(0)]
    assert [round(fall) for fall in falls] == [493, 229, 85]
    ratios = [step(5, 3) / step(None), step(5) / step(None), step(5) / step(0)]
    assert [round(ratio, 2) for ratio in ratios] == [1.91, 1.74, 1.60]
