"""Objects that an annotation calls difficult: learned from where asked for, and always evaluated with."""

import numpy as np
import pytest
from PIL import Image

from pipeline_src.data.detection.dataset import DetectionDataset
from pipeline_src.data.detection.transforms import DetectionTrainTransform
from pipeline_src.data.loader import SampleKey
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.voc_detection import read_voc_xml
from pipeline_src.files import write_json
from pipeline_src.tasks.detection.manifest import BoxChecks

CLASSES = ["background", "cat", "dog"]
WIDTH, HEIGHT = 40, 30
SPEC = {"images": "img", "annotations": "ann", "boxes": "borders"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A manifest of 14 images with 0 to 4 objects each, and the objects as they were drawn: every third image
    has difficult ones alone."""
    root = tmp_path_factory.mktemp("voc")
    rng = np.random.default_rng(2)
    stated = []
    for folder in ("img", "ann"):
        (root / folder).mkdir()
    for number in range(14):
        Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(
            root / f"img/{number:02}.png"
        )
        objects = []
        for _ in range(number % 5):
            x, y = int(rng.integers(0, WIDTH - 9)), int(rng.integers(0, HEIGHT - 9))
            box = [x, y, x + int(rng.integers(1, 9)), y + int(rng.integers(1, 9))]
            difficult = bool(number % 3 == 0 or rng.random() < 0.4)
            objects.append((int(rng.integers(1, 3)), box, difficult))
        stated.append(objects)
        body = "".join(
            f"<object><name>{CLASSES[label]}</name><difficult>{int(difficult)}</difficult><bndbox>"
            + "".join(f"<{key}>{side}</{key}>" for key, side in zip(("xmin", "ymin", "xmax", "ymax"), box))
            + "</bndbox></object>"
            for label, box, difficult in objects
        )
        (root / f"ann/{number:02}.xml").write_text(f"<annotation>{body}</annotation>")
    built = build_manifest({"all": read_voc_xml([root], "all", SPEC)}, BoxChecks(CLASSES))
    write_json(root / "index.json", built.index)
    facts = {"dataset": "own", "index": str(root / "index.json"), "classes": CLASSES, **built.facts}
    write_json(root / "manifest.json", {"content": built.content, **facts})
    return root / "manifest.json", stated


@pytest.mark.parametrize("asked_for", [False, True])
def test_a_training_learns_from_difficult_objects_only_where_it_is_asked_to(drawn, asked_for):
    path, stated = drawn
    transform = DetectionTrainTransform(((WIDTH, HEIGHT),), 0.0, [0] * 3, [1] * 3)
    dataset = DetectionDataset(path, "all", transform, difficult=asked_for)
    learned = [[one for one in objects if asked_for or not one[2]] for objects in stated]
    assert dataset.records.tolist() == [number for number, objects in enumerate(learned) if objects]
    for sample, record in enumerate(dataset.records.tolist()):
        _, target = dataset[SampleKey(0, 0, sample)]
        assert target["boxes"].tolist() == [box for _, box, _ in learned[record]]
        assert target["labels"].tolist() == [label for label, _, _ in learned[record]]
        assert target["difficult"].tolist() == [int(difficult) for _, _, difficult in learned[record]]


@pytest.mark.parametrize("asked_for", [False, True])
def test_an_evaluation_is_told_of_every_object_and_which_are_difficult(drawn, asked_for):
    path, stated = drawn
    dataset = DetectionDataset(path, "all", difficult=asked_for)
    assert len(dataset) == len(stated)
    for number, objects in enumerate(stated):
        _, target, name = dataset[number]
        assert name == f"{number:02}" and target["image_id"] == number
        assert target["difficult"].tolist() == [int(difficult) for _, _, difficult in objects]
        assert target["boxes"].tolist() == [box for _, box, _ in objects]
        assert target["size"].tolist() == [HEIGHT, WIDTH]
