"""Data sets of the public formats: what the configuration accepts, and one line for what it refuses."""

import pytest

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.errors import InputError

SETS = {
    "ade20k": {"train": {"set": "training"}, "val": {"set": "validation"}},
    "cityscapes": {"train": {"set": "train"}, "val": {"set": "val"}},
    "voc2012": {"train": {"set": "train"}, "val": {"set": "val"}},
}


def section(layout, source, **changes):
    return {"format": layout, "source": source, "splits": SETS[layout], **changes}


def scenes(layout, classes=5, images=None, **changes):
    images = images or {"train": 2, "val": 2}
    source = {"kind": "scenes", "images": images, "size": [64, 48], "classes": classes}
    return section(layout, source, **changes)


def load(dataset):
    params = load_params(overlays=[Layer("my.yaml", {"datasets": {"mine": dataset}})], scale="paper")
    expand(params)
    return params.datasets["mine"]


def archives(layout, *names):
    return section(layout, {"kind": "archives", "names": list(names)})


@pytest.mark.parametrize(
    "dataset",
    [
        archives("ade20k", "ade20k"),
        archives("cityscapes", "cityscapes_images", "cityscapes_gtfine"),
        section("cityscapes", {"kind": "folder", "root": "$CITYSCAPES"}),
        scenes("ade20k", 20),
        scenes("cityscapes", 18),
        scenes(
            "voc2012",
            images={"train": 2, "val": 2, "aug": 3},
            splits={"train": {"set": "trainaug"}, "val": {"set": "val"}},
        ),
        section("ade20k", {"kind": "folder", "root": "/x"}, classes=["a", "b"]),
    ],
)
def test_usual_sections_are_accepted(dataset):
    assert load(dataset).format == dataset["format"]


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (
            scenes("cityscapes", 19),
            "my.yaml: datasets.mine.source.classes: 19 is too many; cityscapes scenes have at most 18",
        ),
        (
            scenes("ade20k", 21),
            "my.yaml: datasets.mine.source.classes: 21 is too many; ade20k scenes have at most 20",
        ),
        (
            scenes("voc2012", 21),
            "my.yaml: datasets.mine.source.classes: 21 is too many; voc2012 scenes have at most 20",
        ),
        (
            scenes("ade20k", images={"train": 1}),
            "my.yaml: datasets.mine.source.images: says nothing of split val",
        ),
        (
            scenes("ade20k", images={"train": 1, "val": 1, "aug": 1}),
            "my.yaml: datasets.mine.source.images: 'aug' is no split of ade20k scenes; use train or val",
        ),
        (
            scenes("ade20k", splits={"train": {"set": "train"}, "val": {"set": "validation"}}),
            "my.yaml: datasets.mine.splits.train.set: 'train' is not allowed; use training or validation",
        ),
        (
            scenes("cityscapes", splits={"train": {"set": "train"}, "val": {"set": "test"}}),
            "my.yaml: datasets.mine.splits.val.set: 'test' is not allowed; use train or val",
        ),
        (
            scenes("cityscapes", splits={"train": {"set": "train"}}),
            "my.yaml: datasets.mine.splits: has only train; it needs train and val",
        ),
        (
            scenes("cityscapes", ignore_index=255),
            "my.yaml: datasets.mine.ignore_index: unknown key",
        ),
        (
            section("ade20k", {"kind": "folder", "root": "/x"}, classes=["a", "a"]),
            "my.yaml: datasets.mine.classes: 'a' stands twice",
        ),
        (
            section("ade20k", {"kind": "folder", "root": " "}),
            "my.yaml: datasets.mine.source.root: is empty",
        ),
        (
            archives("cityscapes", "cityscapes_images"),
            "my.yaml: datasets.mine.source.names: images and labels are two archives; add cityscapes_gtfine",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_with_its_key(dataset, expected):
    with pytest.raises(InputError) as caught:
        load(dataset)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


# --- detection -------------------------------------------------------------------------------------

BOXES = {
    "coco": {"train": {"set": "train2017"}, "val": {"set": "val2017"}},
    "voc_detection": {"train": {"sets": ["2007/trainval", "2012/trainval"]}, "val": {"sets": ["2007/test"]}},
    "coco_json": {name: {"images": "img", "annotations": f"{name}.json"} for name in ("train", "val")},
    "voc_xml": {name: {"images": "img", "annotations": "xml"} for name in ("train", "val")},
}
FOLDER = {"kind": "folder", "root": "/x"}


def boxes(layout, source=FOLDER, **changes):
    return {"format": layout, "source": source, "splits": BOXES[layout], **changes}


def drawn(classes, **images):
    return {"kind": "scenes", "images": images, "size": [64, 48], "classes": classes}


@pytest.mark.parametrize(
    ("dataset", "classes", "first"),
    [
        (boxes("coco"), 81, "person"),
        (boxes("coco", {"kind": "archives", "names": ["coco2017_train"]}), 81, "person"),
        (boxes("coco", drawn(7, train=1, val=1)), 8, "person"),
        (boxes("voc_detection"), 21, "aeroplane"),
        (boxes("voc_detection", drawn(20, train=1, val=1, extra=1)), 21, "aeroplane"),
        (boxes("coco_json", classes=["owl"]), 2, "owl"),
        (boxes("voc_xml", classes=["RBC", "WBC", "Platelets"]), 4, "RBC"),
    ],
)
def test_detection_counts_the_background_as_class_0(dataset, classes, first):
    dataset = load(dataset)
    data, _ = dataset.described("mine")
    assert dataset.reader.task == "detection" and data.num_classes == classes == len(data.classes)
    assert data.classes[:2] == ["background", first]


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (boxes("coco_json"), "datasets.mine.classes: is missing"),
        (boxes("voc_xml", classes=["background", "a"]), "datasets.mine.classes: 'background' stands twice"),
        (boxes("coco", splits={"train": {"set": "train2017"}}), "datasets.mine.splits: has only train"),
        (
            boxes("coco", drawn(21, train=1, val=1)),
            "datasets.mine.source.classes: 21 is too many; coco scenes have at most 20",
        ),
        (
            boxes("coco", drawn(3, train=1, val=1, extra=1)),
            "datasets.mine.source.images: 'extra' is no split of coco scenes; use train or val",
        ),
        (
            boxes(
                "voc_detection", splits={"train": {"sets": ["2010/train"]}, "val": {"sets": ["2007/test"]}}
            ),
            "datasets.mine.splits.train.sets",
        ),
        (boxes("voc_xml", ["x"], classes=["a"]), "datasets.mine.source"),
    ],
)
def test_detection_section_that_does_not_fit_is_one_line_with_its_key(dataset, expected):
    with pytest.raises(InputError) as caught:
        load(dataset)
    assert expected in str(caught.value) and "\n" not in str(caught.value)
