"""Tables kept by hand: what is damaged is named by its line, for every reader of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline_src.csv_rows import read_rows
from pipeline_src.data.accepted_checksums import read_accepted
from pipeline_src.data.archives import load_archives, load_weights
from pipeline_src.errors import InputError
from pipeline_src.models.backbones import table
from pipeline_src.reporting.reference import read_assumptions, read_paper_values, read_quoted_values


def backbones(path: str) -> Any:
    table.read_table.cache_clear()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table, "TABLE", Path(path))
            return table.read_table()
    finally:
        table.read_table.cache_clear()


READERS: dict[str, Callable[[str], Any]] = {
    "data/archives.csv": load_archives,
    "data/weights.csv": load_weights,
    "workflow/reference/paper_values.csv": read_paper_values,
    "workflow/reference/quoted_values.csv": read_quoted_values,
    "workflow/reference/assumptions.csv": read_assumptions,
    "pipeline_src/models/backbones/table.csv": backbones,
}


@pytest.mark.parametrize("path", READERS)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text + b"\xff\n", r":{last}: is not UTF-8 text; save the file as UTF-8"),
        (lambda text: text + b'"never closed\nand on\n', r":{last}: not valid CSV from here on"),
        (lambda text: text + b"a,b\n", r":{last}: expected \d+ cells"),
        (lambda text: b"x" + text, r":1: columns are \['x"),
        (lambda text: b"", r":1: columns are None"),
    ],
    ids=["bytes", "quote", "cells", "columns", "empty"],
)
def test_a_damaged_table_is_named_by_its_line(tmp_path, path, damage, said):
    whole = Path(path).read_bytes()
    READERS[path](path)
    file = tmp_path / "table.csv"
    file.write_bytes(damage(whole))
    last = whole.count(b"\n") + 1
    with pytest.raises(InputError, match=f"^{file}{said.format(last=last)}") as error:
        READERS[path](str(file))
    assert "\n" not in str(error.value)


def test_a_mark_of_utf_8_at_the_beginning_is_no_column(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("\ufeffa,b\n 1 , 2\n", encoding="utf-8")
    assert list(read_rows(file, ["a", "b"])) == [(2, {"a": "1", "b": "2"})]


@pytest.mark.parametrize("cell", ["64 x 256", ""])
def test_a_wrong_number_among_the_backbones_is_named_by_its_line(tmp_path, cell):
    lines = table.TABLE.read_text(encoding="utf-8").splitlines()
    cells = lines[1].split(",")
    cells[10] = cell
    file = tmp_path / "table.csv"
    file.write_text("\n".join([lines[0], ",".join(cells), *lines[2:], ""]), encoding="utf-8")
    with pytest.raises(InputError, match=rf"^{file}:2: invalid literal for int"):
        backbones(str(file))


def test_a_table_that_is_a_folder_or_not_there(tmp_path):
    with pytest.raises(InputError, match="no such table"):
        list(read_rows(tmp_path / "none.csv", ["a"]))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_rows(tmp_path, ["a"]))
    assert read_accepted(tmp_path / "none.csv") == {}
