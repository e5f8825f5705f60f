"""The evaluation of masks from end to end: what a network that knows the truth scores, and the gap."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.ops import roi_align

from pipeline_src.data.instances.dataset import InstanceDataset
from pipeline_src.data.instances.outlines import unpack
from pipeline_src.data.scenes.cityscapes import write_cityscapes_instances
from pipeline_src.data.scenes.generator import SceneSettings, generate_scenes
from pipeline_src.evaluation.coco_ap import COCO_METRICS
from pipeline_src.evaluation.detect_multi_scale import merge_detections
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.instances.evaluation import InstanceEvaluation, fixed_part
from tests.data.test_instances import CLASSES, of_city
from tests.tasks.tiny_detection import CODE

CPU = torch.device("cpu")
# large objects: what a grid over a box loses is a border of a pixel
SETTINGS = SceneSettings(
    seed=8, smallest=(240, 180), largest=(260, 200), classes=4, objects=(1, 3), shares=(0.06, 0.3), crowds=0.0
)


class Oracle(nn.Module):
    """Gives the objects of the images that it expects, one call each, on grids of 56x56 over their boxes.

    `seen` are (dataset, place, whether it misses every second object).
    """

    def __init__(self, seen):
        super().__init__()
        self.seen = list(seen)

    def forward(self, images):
        dataset, place, misses = self.seen.pop(0)
        _, target, _ = dataset[place]
        height, width = target["size"].tolist()
        keep = ~target["iscrowd"].bool()
        if misses:
            keep[::2] = False
        which = torch.nonzero(keep).flatten().tolist()
        masks = np.stack(
            [unpack(target["outlines"][one], (width, height)) for one in which] or [np.zeros((height, width))]
        )[: len(which)]
        boxes = target["boxes"][which]
        grids = torch.zeros(len(which), 1, 56, 56)
        for one, (mask, box) in enumerate(zip(masks, boxes, strict=True)):
            grids[one] = roi_align(torch.from_numpy(mask)[None, None].float(), [box[None]], 56, aligned=True)[
                0
            ]
        ratios = torch.tensor([images[0].shape[2] / width, images[0].shape[1] / height] * 2)
        return [
            {
                "boxes": boxes * ratios,
                "scores": torch.linspace(0.99, 0.9, len(which)),
                "labels": target["labels"][which],
                "masks": grids,
            }
        ]


@pytest.fixture
def evaluation(tmp_path):
    splits = {"train": 6, "val": 4}
    drawn = (one for split, count in splits.items() for one in generate_scenes(SETTINGS, split, count))
    city = tmp_path / "city"
    write_cityscapes_instances(drawn, city)
    params = {
        "data": {"num_classes": len(CLASSES), "ignore_index": 255},
        "threads": 1,
        "deterministic": True,
        "model": {
            "backbone": {"mean": [0.5] * 3, "std": [0.5] * 3},
            "detector": {"test": {"nms_iou": 0.5, "detections": 100}},
        },
        "evaluation": {"split": "val", "scales": [[331, 250]], "overlays": 2},
    }
    job = Job("evaluate", "made", "demo", params, {"manifest": str(of_city(city))}, {}, CODE, "e" * 64)
    return InstanceEvaluation(job)


def seen_by(evaluation, misses):
    """The images of val, of which objects are missed, and then those of the part of train."""
    val = InstanceDataset(evaluation.job.input("manifest"), "val")
    train = InstanceDataset(evaluation.job.input("manifest"), "train")
    part = fixed_part(train, len(val))
    return [(val, place, misses) for place in range(len(val))] + [(train, one, False) for one in part.places]


def test_a_network_that_knows_the_truth_scores_high_on_both_protocols(evaluation, tmp_path):
    model = Oracle(seen_by(evaluation, False))
    metrics, index = evaluation.measure(model, tmp_path, CPU, 0)
    assert not model.seen
    assert metrics["ap"] > 0.99 and metrics["mask_ap"] > 0.9 and metrics["mask_ap50"] > 0.99
    assert metrics["cityscapes_ap50"] > 0.99 and metrics["cityscapes_ap"] > 0.9
    assert {f"mask_{name}" for name in COCO_METRICS} <= set(metrics)
    assert metrics["train_images"] == 4 and abs(metrics["mask_ap_gap"]) < 0.1
    occurring = [name for name, scores in metrics["per_class"].items() if scores["ap"] is not None]
    assert all(metrics["per_class"][name]["mask_ap50"] > 0.9 for name in occurring)
    for entry in index["images"]:
        assert all("outline" in one for one in [*entry["truth"], *entry["detections"]])


def test_the_gap_is_train_less_val(evaluation, tmp_path):
    metrics, _ = evaluation.measure(Oracle(seen_by(evaluation, True)), tmp_path, CPU, 0)
    assert metrics["mask_ap"] < 0.8 < metrics["train_mask_ap"]
    assert metrics["mask_ap_gap"] == pytest.approx(metrics["train_mask_ap"] - metrics["mask_ap"])


def test_the_part_of_train_is_the_same_for_every_run_and_within_it(evaluation):
    train = InstanceDataset(evaluation.job.input("manifest"), "train")
    part = fixed_part(train, 4)
    assert len(part) == 4 and part.places == fixed_part(train, 4).places == sorted(part.places)
    assert [part[place][2] for place in range(4)] == [train.index.ids[one] for one in part.places]
    assert len(fixed_part(train, 100)) == len(train)


def test_panels_show_masks_in_their_colours(evaluation, tmp_path):
    _, index = evaluation.measure(Oracle(seen_by(evaluation, False)), tmp_path, CPU, 0)
    entry = next(one for one in index["images"] if one["truth"])
    panel = np.asarray(Image.open(tmp_path / entry["panel"])).astype(int)
    image = np.asarray(Image.open(tmp_path / entry["image"])).astype(int)
    width, height = entry["size"][::-1]
    mask = unpack(entry["truth"][0]["outline"].encode(), (width, height)) > 0
    rows, columns = np.nonzero(mask)
    # the middle pixel of the object, in the panel's first tile
    scale = 240 / width
    y, x = int(np.median(rows)), int(np.median(columns[rows == int(np.median(rows))]))
    tile = panel[44 + int(y * scale), 8 + int(x * scale)]
    assert np.abs(tile - image[y, x]).max() > 20


def test_merging_test_sizes_keeps_every_boxs_own_mask():
    parts = [
        {
            "boxes": torch.tensor([[0.0, 0.0, 9.0, 9.0], [20.0, 0.0, 29.0, 9.0]]),
            "scores": torch.tensor(scores),
            "labels": torch.tensor([1, 2]),
            "masks": torch.tensor(marks).reshape(2, 1, 1, 1),
        }
        for scores, marks in (([0.9, 0.3], [0.1, 0.2]), ([0.5, 0.8], [0.3, 0.4]))
    ]
    merged = merge_detections(parts)
    assert merged["labels"].tolist() == [1, 2]
    assert merged["masks"].flatten().tolist() == pytest.approx([0.1, 0.4])
