"""VOC's XML as readers and check see it: borders, folders of one's own, bad input is named."""

import shutil

import pytest
from PIL import Image

from pipeline_src.data.detection.objects import Objects
from pipeline_src.data.detection.voc_xml import parse_voc_xml
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.voc_detection import read_voc_detection, read_voc_xml
from pipeline_src.errors import InputError
from pipeline_src.tasks.detection.manifest import BoxChecks


def refusal(action):
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def xml(*objects, size=(30, 20)):
    body = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{box[0]}</xmin>"
        f"<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box, difficult in objects
    )
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation>{stated}{body}</annotation>"


@pytest.fixture
def own(tmp_path):
    for folder in ("img", "ann"):
        (tmp_path / folder).mkdir()
    for stem in "ab":
        Image.new("RGB", (30, 20)).save(tmp_path / "img" / f"{stem}.jpg")
        (tmp_path / "ann" / f"{stem}.xml").write_text(
            xml(("rbc", (1, 1, 30, 20), 0), ("wbc", (5, 6, 9, 9), 1))
        )
    return tmp_path


def build_voc(root, **changes):
    spec = {"images": "img", "annotations": "ann", **changes}
    classes = ["background", "rbc", "wbc"]
    return build_manifest({"train": read_voc_xml([root], "train", spec)}, BoxChecks(classes))


def test_vocs_pixels_become_borders_and_a_click_gets_no_area():
    text = xml(("cat", (1, 1, 30, 20), 0), ("cat", (4, 5, 4, 9), 1), ("dog", (7, 7, 7, 7), 0))
    labels = {"cat": 1, "dog": 2}
    parsed = parse_voc_xml(text.encode(), "x.xml", labels)
    assert parsed.size == (30, 20) and parsed.problems == []
    assert [item.box for item in parsed.objects] == [(0, 0, 30, 20), (3, 4, 4, 9), (6, 6, 6, 6)]
    assert [item.difficult for item in parsed.objects] == [False, True, False]
    borders = parse_voc_xml(text.encode(), "x.xml", labels, pixels=False)
    assert [item.box for item in borders.objects] == [(1, 1, 30, 20), (4, 5, 4, 9), (7, 7, 7, 7)]


def test_own_folders_of_xml(own):
    built = build_voc(own)
    objects = Objects.unpacked(built.index["columns"]["train"])
    assert objects.boxes.tolist() == [[0, 0, 30, 20], [4, 5, 9, 9]] * 2
    facts = built.facts["splits"]["train"]
    hard = objects.difficult
    scored = [int((objects.labels[~hard] == label).sum()) for label in (1, 2)]
    assert facts["counted"]["by_class"] == scored and sum(scored) == 2
    assert facts["counted"]["left_out"] == facts["difficult"] == hard.sum() == 2
    (own / "list.txt").write_text("b\n")
    assert [row["id"] for row in build_voc(own, list="list.txt").index["splits"]["train"]] == ["b"]


BAD_XML = {
    "nan": (xml(("rbc", ("nan", 1, 2, 3), 0)), "object 1: rbc: box (nan, 1, 2, 3) is not finite"),
    "inverted": (xml(("rbc", (9, 1, 8, 3), 0)), "object 1: rbc: box (9, 1, 8, 3) is inverted"),
    "class": (xml(("rbc", (1, 1, 8, 3), 0), ("ufo", (1, 1, 8, 3), 0)), "object 2: class 'ufo' is unknown"),
    "number": (xml(("rbc", ("left", 1, 8, 3), 0)), "object 1: rbc has no usable bndbox (xmin left"),
    "difficult": (xml(("rbc", (1, 1, 8, 3), 5)), "object 1: rbc: difficult is '5'"),
    "truncated": (xml(("rbc", (1, 1, 8, 3), 0))[:-30], "is not valid XML"),
    "foreign": ("<html></html>", "holds <html>"),
    "size": (xml(("rbc", (1, 1, 8, 3), 0), size=(31, 20)), "is 30x20 but its annotation says 31x20"),
}


@pytest.mark.parametrize("name", BAD_XML)
def test_bad_xml_is_refused_with_record_and_object(own, name):
    text, expected = BAD_XML[name]
    (own / "ann/b.xml").write_text(text)
    message = refusal(lambda: build_voc(own))
    assert message.startswith("train record 'b': ") and expected in message


def test_missing_files_of_a_record_are_named(own):
    (own / "ann/b.xml").unlink()
    assert "train record 'b': annotation ann/b.xml is missing" in refusal(lambda: build_voc(own))
    (own / "list.txt").write_text("a\nc\n")
    assert "train record 'c': no image (listed in list.txt)" in refusal(
        lambda: build_voc(own, list="list.txt")
    )


def test_image_set_of_a_year_that_is_not_there_is_named(own):
    message = refusal(lambda: read_voc_detection([own], "train", {"sets": ["2007/trainval"]}))
    assert message.startswith(f"{own}: no VOCdevkit/VOC2007/ImageSets/Main/trainval.txt")


def test_moved_data_set_keeps_its_content(own, tmp_path):
    before = build_voc(own).content
    moved = tmp_path / "moved"
    moved.mkdir()
    for folder in ("img", "ann"):
        shutil.move(own / folder, moved / folder)
    assert build_voc(moved).content == before
