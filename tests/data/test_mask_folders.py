from pathlib import Path

import pytest

from pipeline_src.data.readers.mask_folders import MasksReader, read_masks
from pipeline_src.data.records import Record
from pipeline_src.errors import InputError


@pytest.fixture
def folder(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


SPEC = {"images": "img", "masks": "lab", "list": None, "limit": None}


def read(root, **changes):
    return read_masks([root], "train", {**SPEC, **changes})


def ids(listing):
    return [record.id for record in listing.records]


def test_pairs_images_and_masks_by_stem_in_sorted_order(folder):
    root = folder("img/b.JPG", "img/a.png", "lab/a.png", "lab/b.png")
    listing = read(root)
    assert listing.records == (Record("a", "img/a.png", "lab/a.png"), Record("b", "img/b.JPG", "lab/b.png"))
    assert listing.problems == () and listing.warnings == ()
    assert listing.sources == ("img", "lab") and listing.root == root


def test_ignores_hidden_files_and_files_that_are_no_images(folder):
    root = folder("img/a.png", "img/.a2.png", "img/Thumbs.db", "img/notes.txt", "lab/a.png", "lab/.b.png")
    assert ids(read(root)) == ["a"]


def test_list_may_hold_stems_and_file_names_in_its_own_order(folder):
    root = folder("img/a.jpg", "img/b.jpg", "img/c.d.jpg", "lab/a.png", "lab/b.png", "lab/c.d.png")
    (root / "train.txt").write_bytes(b"\xef\xbb\xbfc.d\r\nb.jpg\r\n\r\n  a.png  \r\n")
    listing = read(root, list="train.txt")
    assert ids(listing) == ["c.d", "b", "a"] and listing.problems == ()
    assert listing.sources == ("img", "lab", "train.txt")


def test_mask_suffix_joins_stem_and_mask(folder):
    root = folder("img/a.png", "lab/a_L.png")
    assert read(root, mask_suffix="_L").records == (Record("a", "img/a.png", "lab/a_L.png"),)


def test_one_folder_for_both_needs_a_suffix(folder):
    root = folder("img/a.png", "img/a_L.png")
    assert ids(read(root, masks="img", mask_suffix="_L")) == ["a"]
    with pytest.raises(InputError, match="images and masks in one folder; give the mask_suffix"):
        read(root, masks="img")


def test_missing_mask_is_listed_under_the_name_that_it_should_have(folder):
    root = folder("img/a.png", "lab/b_L.png")
    listing = read(root, mask_suffix="_L")
    assert listing.records == (Record("a", "img/a.png", "lab/a_L.png"),)
    assert listing.warnings == ("train: 1 masks in lab have no image, first 'b_L'",)


def test_list_entry_without_image_is_named(folder):
    root = folder("img/a.png", "lab/a.png")
    (root / "train.txt").write_text("a\nzz\n")
    listing = read(root, list="train.txt")
    assert ids(listing) == ["a"]
    assert listing.problems == ("train record 'zz': no image in img (listed in train.txt)",)


@pytest.mark.parametrize(
    "line", ["img/a.png", "a.png", "a", "a 1", "a.png -1", "/img/a.png /lab/a.png", "a.jpg\t1"]
)
def test_a_line_of_a_list_may_be_a_name_a_path_or_have_a_column(folder, line):
    root = folder("img/a.png", "lab/a.png", "img/b 1.png", "lab/b 1.png")
    (root / "train.txt").write_text(f"{line}\nb 1\n")
    listing = read(root, list="train.txt")
    assert not listing.problems
    assert [record.image for record in listing.records] == ["img/a.png", "img/b 1.png"]


def test_names_pair_however_their_letters_are_composed(folder):
    composed, decomposed = "\u00e9", "e\u0301"
    root = folder(f"img/{decomposed}.png", f"lab/{composed}.png")
    (root / "train.txt").write_text(f"{composed}\n", encoding="utf-8")
    for listing in (read(root), read(root, list="train.txt")):
        assert not listing.problems and not listing.warnings
        assert [(one.image, one.mask) for one in listing.records] == [
            (f"img/{decomposed}.png", f"lab/{composed}.png")
        ]


def test_what_systems_leave_is_no_image_and_odd_names_are_names(folder):
    odd = "Shot at 1.00\u202fPM.png"
    root = folder(f"img/{odd}", f"lab/{odd}", "img/Icon\r", "img/Thumbs.db", "img/.DS_Store")
    assert [one.image for one in read(root).records] == [f"img/{odd}"]
    (root / "img/line\nend.png").touch()
    with pytest.raises(InputError, match="cannot be used; rename it"):
        read(root)


def test_a_link_to_nothing_is_named(folder):
    root = folder("img/a.png", "lab/a.png")
    (root / "img/b.png").symlink_to("gone.png")
    with pytest.raises(InputError, match=r"b\.png is a link to gone\.png, which is not there"):
        read(root)


def test_two_files_of_one_stem_are_refused_unless_the_list_says_which(folder):
    root = folder("img/a.png", "img/a.jpg", "lab/a.png")
    assert read(root).problems == ("train record 'a': a.jpg and a.png in img share one stem; keep one",)
    (root / "train.txt").write_text("a.jpg\n")
    listing = read(root, list="train.txt")
    assert listing.problems == () and listing.records[0].image == "img/a.jpg"
    folder("lab/a.bmp")
    assert read(root, list="train.txt").problems == (
        "train record 'a': a.bmp and a.png in lab are both its mask; keep one",
    )


def test_mask_saved_as_jpeg_is_refused_with_advice(folder):
    root = folder("img/a.png", "lab/a.jpg")
    assert read(root).problems == (
        "train record 'a': mask a.jpg is of a type that alters class ids; save masks as PNG",
    )


@pytest.mark.parametrize("change", [{"images": "none"}, {"masks": "none"}, {"list": "none.txt"}])
def test_missing_folder_or_list_is_named(folder, change):
    root = folder("img/a.png", "lab/a.png")
    with pytest.raises(InputError, match=str(root / next(iter(change.values())))):
        read(root, **change)


def test_list_that_is_no_text_is_named(folder):
    root = folder("img/a.png", "lab/a.png")
    (root / "train.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(InputError, match=r"train\.txt: the split list cannot be read"):
        read(root, list="train.txt")


def test_file_name_that_is_not_utf8_is_named(folder):
    root = folder("img/a.png", "lab/a.png")
    path = bytes(root / "img") + b"/\xff.png"
    with open(path, "wb"):
        pass
    with pytest.raises(InputError, match=r"file name '\\udcff\.png' cannot be used; rename it"):
        read(root)


def test_limit_keeps_a_seeded_choice_in_list_order(folder):
    names = [f"{number:03d}" for number in range(60)]
    root = folder(*[f"img/{n}.png" for n in names], *[f"lab/{n}.png" for n in names])
    chosen = {limit: ids(read(root, limit=limit)) for limit in (1, 7, 8, 59, 60, 100)}
    assert [len(kept) for kept in chosen.values()] == [1, 7, 8, 59, 60, 60]
    assert all(kept == sorted(kept) for kept in chosen.values())
    assert set(chosen[1]) < set(chosen[7]) < set(chosen[8]) < set(chosen[59])
    assert chosen[8] != names[:8]
    (root / "back.txt").write_text("\n".join(reversed(names)))
    assert ids(read(root, limit=8, list="back.txt")) == chosen[8][::-1]


def test_folder_given_as_dot_gives_plain_relative_paths(tmp_path: Path):
    for name in ("a.png", "a_L.png"):
        (tmp_path / name).write_bytes(b"")
    assert read(tmp_path, images=".", masks="./", mask_suffix="_L").records == (
        Record("a", "a.png", "a_L.png"),
    )


def test_only_what_ends_in_the_suffix_is_a_mask_where_both_share_a_folder(folder):
    """The suffix may stand within an image's own name, too."""
    root = folder("img/road_L_1.png", "img/road_L_1_L.png", "img/a.png", "img/a_L.png")
    listing = read(root, masks="img", mask_suffix="_L")
    assert ids(listing) == ["a", "road_L_1"] and listing.problems == listing.warnings == ()
    assert listing.records[1].mask == "img/road_L_1_L.png"


def test_a_mask_is_called_as_its_image_unless_the_data_set_says_more(folder):
    root = folder("img/a.png", "img/b.jpg", "lab/a.png", "lab/b.png", "lab/b_L.png")
    split = MasksReader.Split("img", "lab")
    for suffix, masks in (
        ({}, ["lab/a.png", "lab/b.png"]),
        ({"mask_suffix": "_L"}, ["lab/a_L.png", "lab/b_L.png"]),
    ):
        spec = MasksReader.spec(MasksReader.Options(["x", "y"], **suffix), split)
        assert [record.mask for record in MasksReader.read([root], "train", spec).records] == masks


@pytest.mark.parametrize(
    "entry", ["clip2/0001", "clip2/0001.png", "./images/clip2/0001.png", "clip2\\0001.png"]
)
def test_a_list_may_name_images_in_folders_below(tmp_path: Path, entry: str):
    for clip in ("clip1", "clip2"):
        for folder in ("images", "masks"):
            (tmp_path / folder / clip).mkdir(parents=True)
            (tmp_path / folder / clip / "0001.png").write_bytes(b"")
    (tmp_path / "train.txt").write_text(f"{entry}\n")
    spec = {"images": "images", "masks": "masks", "list": "train.txt"}
    listing = read_masks([tmp_path], "train", spec)
    assert not listing.problems
    assert listing.records == (Record("clip2/0001", "images/clip2/0001.png", "masks/clip2/0001.png"),)
    # a change in a folder below is seen, and in one that the list does not name is not
    assert listing.sources == ("images", "masks", "images/clip2", "masks/clip2", "train.txt")
