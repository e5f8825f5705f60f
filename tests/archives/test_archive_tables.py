"""The tables of archives and weights: what they hold, and what a broken row is told."""

import re
from pathlib import Path

import pytest

from pipeline_src.data.accepted_checksums import read_accepted, record_accepted, weights_row, with_accepted
from pipeline_src.data.archives import RemoteFile, load_archives, load_weights
from pipeline_src.data.checksums import FileFacts
from pipeline_src.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]
ARCHIVES = REPOSITORY / "data" / "archives.csv"
WEIGHTS = REPOSITORY / "data" / "weights.csv"


def edited(table: Path, tmp_path: Path, line: int, old: str, new: str) -> Path:
    """A copy of a table with a change in one line (1 = header)."""
    lines = table.read_text().splitlines()
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    copy = tmp_path / table.name
    copy.write_text("\n".join(lines) + "\n")
    return copy


def test_table_has_every_data_set_of_the_four_papers():
    by_dataset: dict[str, set[str]] = {}
    for row in load_archives(ARCHIVES).values():
        by_dataset.setdefault(row.dataset, set()).add(row.file)
    assert by_dataset == {
        "VOC2012": {"VOCtrainval_11-May-2012.tar", "VOC2012test.tar"},
        "VOC2007": {"VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"},
        "SBD": {"benchmark.tgz", "train_noval.txt"},
        "ADE20K": {"ADEChallengeData2016.zip", "release_test.zip"},
        "COCO": {
            "train2017.zip",
            "val2017.zip",
            "annotations_trainval2017.zip",
            "test2017.zip",
            "image_info_test2017.zip",
        },
        "Cityscapes": {"leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"},
    }


def test_every_archive_can_be_verified():
    assert all(row.checksums for row in load_archives(ARCHIVES).values())


def test_the_copied_sha1_of_coco_test_is_not_used():
    rows = load_archives(ARCHIVES)
    assert rows["coco2017_test"].sha1 is None
    assert rows["voc2012_trainval"].sha1 == "4e443f8a2eca6b1dac8a6c57641b67dd40621a49"


def test_only_cityscapes_needs_a_login_and_offers_no_address_to_a_program():
    for row in load_archives(ARCHIVES).values():
        assert (row.login is not None) == (row.dataset == "Cityscapes")
        assert bool(row.urls) == (row.login is None)
    login = load_archives(ARCHIVES)["cityscapes_gtfine"].login
    assert login is not None and "packageID=1" in login and "/register/" in login


@pytest.mark.parametrize("name", sorted(load_archives(ARCHIVES)))
def test_job_parameters_bring_back_the_row(name: str):
    row = load_archives(ARCHIVES)[name]
    again = RemoteFile.from_params(row.params())
    for key in ("name", "file", "urls", "bytes", "checksums", "login"):
        assert getattr(again, key) == getattr(row, key)
    assert None not in row.params().values()


def test_weights_are_timms_own_tags_with_its_licences():
    from timm.models import get_pretrained_cfg

    rows = load_weights(WEIGHTS)
    assert len(rows) == 18
    for tag, row in rows.items():
        known = get_pretrained_cfg(tag)
        assert known is not None and known.license == row.licence
        assert row.urls == (f"https://huggingface.co/{known.hf_hub_id}/resolve/main/model.safetensors",)


@pytest.mark.parametrize(
    ("line", "old", "new", "message"),
    [
        (2, "voc2012_trainval", "voc 2012", "name 'voc 2012'"),
        (3, "VOC2012test.tar", "../VOC2012test.tar", "plain file name"),
        (3, "VOC2012test.tar", "x.dvc", "plain file name"),
        (3, "1850626560", "1.8e9", "bytes is '1.8e9'"),
        (3, "1850626560", "0", "bytes is '0'"),
        (3, "f08582b1935816c5", "F08582b1935816c5", "sha256 'F08582b"),
        (7, "79bff800c5f0b1ec", "79bff800", "md5 '79bff800"),
        (3, "http://pjreddie", "ftp://pjreddie", "is not an http, https or file address"),
        (3, "http://pjreddie.com/media/files/VOC2012test.tar", "", "'' is not an http"),
        (15, ",yes,", ",no,", "login is 'no'"),
        (15, ",yes,", ",,", "given together"),
        (4, "voc2007_trainval", "voc2012_test", "voc2012_test is in the table twice"),
        (5, "VOCtest_06-Nov-2007.tar", "VOCtrainval_06-Nov-2007.tar", "already that of voc2007_trainval"),
        (13, ",6646970404,,,", ",6646970404,,4e443f8a2eca6b1dac8a6c57641b67dd40621a49,", "a copy error"),
        (6, ",", "", "expected 16 cells"),
        (6, ",", ",,", "expected 16 cells"),
    ],
)
def test_a_broken_archive_row_is_named_by_file_and_line(
    tmp_path: Path, line: int, old: str, new: str, message: str
):
    table = edited(ARCHIVES, tmp_path, line, old, new)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        load_archives(table)
    assert str(caught.value).startswith(f"{table}:{line}: ")
    assert "\n" not in str(caught.value)


def test_a_table_with_other_columns_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"archives\.csv:1: columns are"):
        load_archives(edited(ARCHIVES, tmp_path, 1, "sha256", "sha512"))


def test_a_missing_table_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.csv: no such table"):
        load_archives(tmp_path / "none.csv")


def test_a_weights_file_is_named_after_its_tag(tmp_path: Path):
    table = edited(WEIGHTS, tmp_path, 2, "tv_in1k.safetensors", "safetensors")
    with pytest.raises(InputError, match=r"weights\.csv:2: file is 'resnet18\.safetensors'"):
        load_weights(table)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("file", "a/b.tar", "plain file name"),
        ("file", 3, "file is 3"),
        ("urls", "http://x/y", "not a list"),
        ("bytes", True, "bytes is True"),
        ("md5", "0" * 31, "32 lower-case hex"),
        ("name", None, "name ''"),
    ],
)
def test_broken_job_parameters_are_named(key: str, value: object, message: str):
    params = {**load_archives(ARCHIVES)["voc2012_trainval"].params(), key: value}
    with pytest.raises(InputError, match=re.escape(message)):
        RemoteFile.from_params(params)


FACTS = FileFacts(10, "a" * 32, "b" * 40, "c" * 64)
ROW = RemoteFile("net.tag", "net.tag.safetensors", ("https://example.org/net",))


def test_the_repository_starts_with_no_accepted_weights_but_the_header():
    assert (REPOSITORY / "data/weights/accepted.csv").read_text().splitlines()[
        0
    ] == "tag,file,bytes,sha256,url"
    read_accepted(REPOSITORY / "data/weights/accepted.csv")


def test_an_accepted_checksum_is_known_afterwards(tmp_path: Path):
    table = tmp_path / "accepted.csv"
    assert with_accepted(ROW, table) == ROW
    record_accepted(ROW, FACTS, "https://example.org/net, with a comma", table)
    record_accepted(ROW, FACTS, "elsewhere", table)
    assert with_accepted(ROW, table).checksums == {"sha256": "c" * 64}
    assert with_accepted(ROW, table).bytes == 10
    assert len(table.read_text().splitlines()) == 2


def test_other_bytes_than_the_accepted_ones_are_refused(tmp_path: Path):
    table = tmp_path / "accepted.csv"
    record_accepted(ROW, FACTS, "here", table)
    with pytest.raises(InputError, match=r"was accepted with sha256 cccc.*remove the row"):
        record_accepted(ROW, FileFacts(10, "a" * 32, "b" * 40, "d" * 64), "here", table)
    contradicting = RemoteFile(ROW.name, ROW.file, ROW.urls, sha256="e" * 64)
    with pytest.raises(InputError, match="its table row has eeee"):
        with_accepted(contradicting, table)


@pytest.mark.parametrize(
    "rows", ["net.tag,net.tag.safetensors,10,abc,here", "net.tag,f,ten," + "c" * 64 + ",here"]
)
def test_a_broken_accepted_row_is_named(tmp_path: Path, rows: str):
    table = tmp_path / "accepted.csv"
    table.write_text(f"tag,file,bytes,sha256,url\n{rows}\n")
    with pytest.raises(InputError, match=r"accepted\.csv:2: "):
        read_accepted(table)


def test_an_unknown_tag_lists_the_known_ones():
    with pytest.raises(InputError, match=r"unknown tag 'resnet50'; known: convnext_base\.fb_in1k, "):
        weights_row("resnet50", REPOSITORY)


def test_the_version_of_an_archive_is_part_of_what_identifies_it(tmp_path: Path):
    """Another release under the same file name is another archive."""
    rows = load_archives(ARCHIVES)
    for line, (name, row) in enumerate(rows.items(), 2):
        cell = f"{name},{row.dataset},"
        assert row.version, name
        table = edited(ARCHIVES, tmp_path, line, f"{cell}{row.version},", f"{cell}{row.version}b,")
        params = load_archives(table)[name].params()
        assert params == {**row.params(), "version": f"{row.version}b"}
        assert (
            "version"
            not in load_archives(edited(table, tmp_path, line, f"{row.version}b,", ","))[name].params()
        )
