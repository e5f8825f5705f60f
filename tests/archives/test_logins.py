"""Archives that need an account: which of them only a person can bring."""

from pathlib import Path

import pytest

from pipeline_src.data.archives import ARCHIVES_TABLE
from pipeline_src.data.logins import missing_logins
from pipeline_src.errors import InputError

from .conftest import REPOSITORY

IMAGES, LABELS = "leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"
NAMES = ["ade20k", "cityscapes_images", "cityscapes_gtfine"]


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the committed table, no file of it, and no settings of DVC."""
    (tmp_path / "data" / "archives").mkdir(parents=True)
    (tmp_path / ARCHIVES_TABLE).write_text((REPOSITORY / ARCHIVES_TABLE).read_text())
    for level in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"DVC_{level}_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def missing(mirror: str | Path | None = None, names: list[str] = NAMES) -> list[str]:
    return [row.name for row in missing_logins(names, mirror)]


def test_only_archives_with_a_login_are_missing_and_say_what_to_do():
    rows = missing_logins(NAMES)
    assert [row.name for row in rows] == ["cityscapes_images", "cityscapes_gtfine"]
    assert rows[0].login is not None and "register at https://www.cityscapes-dataset.com" in rows[0].login
    assert missing(names=["ade20k", "voc2012_trainval"]) == []
    assert missing(names=["cityscapes_images", "cityscapes_images"]) == ["cityscapes_images"]


def test_a_file_in_the_folder_or_the_record_of_a_fetch_is_enough(checkout: Path):
    (checkout / "data/archives" / IMAGES).write_bytes(b"x")
    assert missing() == ["cityscapes_gtfine"]
    (checkout / "data/archives/cityscapes_gtfine.json").write_text("{}")
    assert missing() == []


def test_a_refused_file_is_still_missing(checkout: Path):
    (checkout / "data/archives" / f"{IMAGES}.bad").write_bytes(b"x")
    assert "cityscapes_images" in missing()


def test_a_mirror_may_hold_it_in_either_place(checkout: Path):
    mirror = checkout / "mirror"
    (mirror / "cityscapes_gtfine").mkdir(parents=True)
    assert missing(mirror) == ["cityscapes_images", "cityscapes_gtfine"]
    (mirror / IMAGES).write_bytes(b"x")
    (mirror / "cityscapes_gtfine" / LABELS).write_bytes(b"x")
    assert missing(mirror) == missing(mirror.as_uri()) == []
    assert missing("https://mirror.example/archives") == []
    with pytest.raises(InputError, match=r"mirror .*nowhere: no such folder"):
        missing(checkout / "nowhere")


def test_a_name_that_the_table_does_not_have_is_named():
    with pytest.raises(
        InputError, match=r"archive 'cityscape' is not in data/archives\.csv; use voc2012_trainval, "
    ):
        missing(names=["cityscape"])


def test_asking_imports_neither_torch_nor_requests(run_python):
    code = "import sys, pipeline_src.data.logins; print({'torch', 'numpy', 'requests'} & set(sys.modules))"
    assert run_python(code).strip() == "set()"
