"""A large file of parameters is parsed once; what was kept stands in for no other text or reader."""

import json
from pathlib import Path

import pytest

from pipeline_src.config import kept_trees
from pipeline_src.config.kept_trees import SMALL, kept_or_parsed
from pipeline_src.errors import InputError

TEXT = "a: [1, 2.5, null, true, é]\n" + "#" * SMALL
TREE = {"a": [1, 2.5, None, True, "é"], "b": {"c": 1e300, "d": -(2**62)}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    kept_trees._reader()  # from the real root, and remembered
    monkeypatch.setattr(kept_trees, "ROOT", tmp_path)
    return tmp_path / kept_trees.KEPT


def never():
    raise AssertionError("it is parsed again")


def test_what_was_parsed_is_not_parsed_again_unless_text_or_reader_changed(folder, monkeypatch):
    assert kept_or_parsed(TEXT, lambda: TREE) == TREE
    assert kept_or_parsed(TEXT, never) == TREE
    assert kept_or_parsed(TEXT + "#", lambda: 1) == 1
    monkeypatch.setattr(kept_trees, "_reader", lambda: b"another reader")
    assert kept_or_parsed(TEXT, lambda: 2) == 2
    assert len(list(folder.glob("*.json"))) == 3


def test_small_texts_are_parsed_each_time_and_errors_are_not_kept(folder):
    assert kept_or_parsed("a: 1", lambda: {"a": 1}) == {"a": 1}

    def refused():
        raise InputError("wrong")

    for _ in range(2):
        with pytest.raises(InputError, match="wrong"):
            kept_or_parsed(TEXT, refused)
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", "\x00"])
def test_a_damaged_file_is_made_again(folder, damage):
    kept_or_parsed(TEXT, lambda: TREE)
    (file,) = folder.glob("*.json")
    file.write_text(damage)
    assert kept_or_parsed(TEXT, lambda: TREE) == TREE
    assert json.loads(file.read_text()) == {"tree": TREE}


def test_a_folder_that_takes_nothing_only_costs_time(folder):
    folder.parent.mkdir()
    folder.write_text("a file stands where the folder should")
    assert kept_or_parsed(TEXT, lambda: TREE) == TREE


def test_the_reader_is_all_of_what_reads_yaml():
    reader = kept_trees._reader()
    for name in ("yaml_text", "yaml_nodes", "yaml_scalars", "yaml_loader"):
        assert Path(f"pipeline_src/config/{name}.py").read_bytes() in reader


def test_old_files_go(folder):
    for number in range(kept_trees.MOST + 5):
        kept_or_parsed(f"{TEXT}{number}", lambda: TREE)
    assert len(list(folder.glob("*.json"))) == kept_trees.MOST
    assert kept_or_parsed(f"{TEXT}{kept_trees.MOST + 4}", never) == TREE
