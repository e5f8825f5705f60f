"""What a source file says: a function of its text, kept by that text, made again where it is damaged."""

import json
import re
from pathlib import Path

import pytest

from pipeline_src.errors import InputError
from pipeline_src.provenance.closure import ROOT, code_identity
from pipeline_src.provenance.source import Source

TEXT = """import os
from pipeline_src.files import read_json as read

COMPONENTS = {"net.a": "a:A"}
PACKAGE_FILES = ["table.csv"]


def f(x):
    return eval(x)
"""


def kept_files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_all_that_matters_is_read(tmp_path):
    (tmp_path / "a.py").write_text(TEXT)
    found = Source.read(tmp_path / "a.py", tmp_path / "kept")
    assert [(one.line, one.base, one.names) for one in found.imports] == [
        (1, None, ["os"]),
        (2, "pipeline_src.files", ["read_json"]),
    ]
    assert (found.dynamic, found.package_files) == ([(9, "eval")], ["table.csv"])
    assert found.table == {"net.a": "a:A"}
    assert found.code and set(found.definitions) == {"f", "<module>"}
    assert not Source.of('"""Only words."""').code


def test_what_is_kept_is_what_parsing_finds(tmp_path):
    paths = sorted(ROOT.glob("pipeline_src/**/*.py"))
    for path in paths:
        first = Source.read(path, tmp_path)
        assert first == Source.read(path, tmp_path) == Source.of(path.read_text()), path
    texts = {path.read_bytes() for path in paths}
    assert len(kept_files(tmp_path)) == len(texts) > 100


def test_another_text_is_parsed_anew(tmp_path):
    file, kept = tmp_path / "a.py", tmp_path / "kept"
    file.write_text("X = 1\n")
    first = Source.read(file, kept)
    file.write_text("X = 2\n")
    assert Source.read(file, kept).definitions != first.definitions
    file.write_text("X = 1  # a remark\n")
    assert Source.read(file, kept) == first
    assert len(kept_files(kept)) == 3


ELSE = """from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import only_read
else:
    import at_once
    try:
        import below
    except ImportError:
        NAMES = eval("[]")
"""


def test_what_runs_instead_of_a_type_check_counts_at_any_depth():
    found = Source.of(ELSE)
    assert sorted(name for one in found.imports for name in one.names) == [
        "TYPE_CHECKING",
        "at_once",
        "below",
    ]
    assert found.dynamic == [(10, "eval")]


PROPERTY = """class Net:
    @property
    def width(self):
        return {0}

    @width.setter
    def width(self, value):
        self.channels = {1}
"""


def test_a_property_and_its_setter_are_two_definitions():
    before = Source.of(PROPERTY.format("self.channels", "value")).definitions
    assert len(before) == 4
    for getter, setter in (("2 * self.channels", "value"), ("self.channels", "2 * value")):
        after = Source.of(PROPERTY.format(getter, setter)).definitions
        assert after.keys() == before.keys()
        assert sum(after[name] != before[name] for name in before) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"imports": 3}', '{"imports": [], "dynamic": [1]}'])
def test_a_damaged_record_is_made_again(tmp_path, damage):
    file, kept = tmp_path / "a.py", tmp_path / "kept"
    file.write_text(TEXT)
    first = Source.read(file, kept)
    (record,) = kept_files(kept)
    record.write_text(damage)
    assert Source.read(file, kept) == first
    assert json.loads(record.read_text())["package_files"] == ["table.csv"]


def test_a_folder_that_cannot_be_written_to_costs_only_time(tmp_path):
    file, kept = tmp_path / "a.py", tmp_path / "kept"
    file.write_text(TEXT)
    kept.write_text("a file stands here")
    assert Source.read(file, kept) == Source.of(TEXT)


def test_an_identity_from_kept_sources_is_the_same(run_python):
    code = (
        "from pipeline_src.provenance.closure import code_identity\n"
        "print(code_identity('pipeline_src.steps.train', ('decoder.uper',))['digest'])"
    )
    assert run_python(code).strip() == code_identity("pipeline_src.steps.train", ("decoder.uper",))["digest"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"x = 1\ndef f(:\n", ":2: not valid Python: invalid syntax"),
        (b"if True:\nx = 1\n", ":2: not valid Python: expected an indented block"),
        (b"x = '\xff'\n", ": not valid Python: 'utf-8' codec"),
        (b"x = 1\0\n", ": not valid Python: "),
    ],
)
def test_what_is_no_python_is_one_line_that_names_file_and_line(tmp_path, text, said):
    file = tmp_path / "code.py"
    file.write_bytes(text)
    with pytest.raises(InputError, match=f"^{re.escape(str(file) + said)}"):
        Source.read(file, tmp_path / "kept")
