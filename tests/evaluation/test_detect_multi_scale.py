"""Testing at several sizes: back to the original image, then NMS per class."""

import pytest
import torch
from torchvision.ops import box_iou

from pipeline_src.evaluation.detect_multi_scale import detect, merge_detections, to_original


def found_in(seed, count, size, classes=3):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(2, count, 2, generator=generator) * torch.tensor([size[1], size[0]])
    boxes = torch.cat([corners.amin(dim=0), corners.amax(dim=0)], dim=1)
    return {
        "boxes": boxes,
        "scores": torch.rand(count, generator=generator),
        "labels": torch.randint(1, classes + 1, (count,), generator=generator),
    }


def brute_force(parts, iou, limit):
    """One detection after the other by falling score, kept unless it repeats one of its class."""
    pool = [
        (float(part["scores"][row]), part["boxes"][row], int(part["labels"][row]))
        for part in parts
        for row in range(len(part["scores"]))
    ]
    kept = []
    for score, box, label in sorted(pool, key=lambda entry: -entry[0]):
        rivals = [other for _, other, other_label in kept if other_label == label]
        if all(box_iou(box[None].double(), other[None].double()).item() <= iou for other in rivals):
            kept.append((score, box, label))
    return kept[:limit]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("iou", "limit"), [(0.5, 100), (0.3, 20)])
def test_merging_equals_brute_force(seed, iou, limit):
    parts = [found_in(3 * seed + number, 60 + number, (375, 501)) for number in range(3)]
    merged = merge_detections(parts, iou=iou, limit=limit)
    expected = brute_force(parts, iou, limit)
    assert len(merged["scores"]) == len(expected) <= limit
    assert merged["scores"].tolist() == [score for score, _, _ in expected]
    assert merged["labels"].tolist() == [label for _, _, label in expected]
    assert torch.equal(merged["boxes"], torch.stack([box for _, box, _ in expected]))


def test_one_size_changes_nothing():
    part = found_in(0, 50, (300, 400))
    merged = merge_detections([part])
    assert all(torch.equal(merged[key], part[key]) for key in part)
    at_its_size = to_original(part, (300, 400), (300, 400))
    assert all(torch.equal(at_its_size[key], part[key]) for key in part)


def test_the_same_detections_twice_are_found_once():
    part = brute_force([found_in(1, 80, (300, 400))], 0.5, 100)
    part = {
        "boxes": torch.stack([box for _, box, _ in part]),
        "scores": torch.tensor([score for score, _, _ in part]),
        "labels": torch.tensor([label for _, _, label in part]),
    }
    merged = merge_detections([part, part, part])
    assert all(torch.equal(merged[key], part[key]) for key in part)


def test_classes_are_kept_apart():
    part = {"boxes": torch.ones(2, 4), "scores": torch.tensor([0.9, 0.8]), "labels": torch.tensor([1, 2])}
    part["boxes"][:, 2:] = 50
    assert merge_detections([part, part])["labels"].tolist() == [1, 2]


def test_nothing_found_stays_nothing():
    empty = found_in(0, 0, (10, 10))
    assert len(merge_detections([empty, empty])["boxes"]) == 0
    with pytest.raises(ValueError, match="at least one size"):
        merge_detections([])


class Echo(torch.nn.Module):
    """Finds what it is told, in pixels of the image that it sees."""

    def __init__(self, boxes):
        super().__init__()
        self.boxes, self.seen = boxes, []

    def forward(self, images):
        (image,) = images
        height, width = image.shape[-2:]
        self.seen.append((height, width))
        boxes = self.boxes * torch.tensor([width, height] * 2)
        scores = torch.arange(len(boxes), 0, -1) / 10 / len(self.seen)
        return [{"boxes": boxes, "scores": scores, "labels": torch.ones(len(boxes), dtype=torch.int64)}]


def test_boxes_of_all_sizes_meet_in_pixels_of_the_original_image():
    relative = torch.tensor([[0.1, 0.2, 0.4, 0.7], [0.5, 0.5, 1.0, 1.02]])
    model = Echo(relative)
    sizes = [(500, 751), (600, 901), (800, 1201)]
    found = detect(model, [torch.zeros(3, *size) for size in sizes], (375, 563))
    assert model.seen == sizes
    expected = (relative * torch.tensor([563, 375] * 2)).clamp(max=torch.tensor([563, 375] * 2))
    torch.testing.assert_close(found["boxes"], expected, atol=1e-3, rtol=0)
    assert found["scores"].tolist() == pytest.approx([0.2, 0.1])


def test_the_background_is_no_detection():
    class Young(torch.nn.Module):
        def forward(self, images):
            boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [1.0, 1.0, 5.0, 5.0], [2.0, 2.0, 6.0, 6.0]])
            return [
                {"boxes": boxes, "scores": torch.tensor([0.9, 0.5, 0.4]), "labels": torch.tensor([0, 2, 0])}
            ]

    found = detect(Young(), [torch.zeros(3, 8, 8)], (8, 8))
    assert found["labels"].tolist() == [2] and found["boxes"].tolist() == [[1.0, 1.0, 5.0, 5.0]]
