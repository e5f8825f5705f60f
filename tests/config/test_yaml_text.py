"""YAML of a user: what is refused before anything is made of it, where, and with which advice."""

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_src.config.yaml_loader import MOST_BYTES, MOST_WRITTEN
from pipeline_src.config.yaml_nodes import DEEPEST, MOST_NODES, Place
from pipeline_src.config.yaml_text import as_written, parse, read_yaml
from pipeline_src.errors import InputError

X = Place("x.yaml")


def refusal(content: str | bytes, tmp_path: Path) -> str:
    """What is said of a file x.yaml, in one line."""
    file = tmp_path / "x.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        read_yaml(file)
    assert time.monotonic() - started < 5
    message = str(caught.value).replace(f"{tmp_path}/", "")
    assert len(message.splitlines()) == 1 and len(message) < 300
    return message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: 1\nb: {c: caf\xe9}\n", "x.yaml:2: b.c: the byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), "x.yaml:1: the byte 0xff is not UTF-8"),
        (b"a:\n  b: x\x07y\n", "x.yaml:2: a.b: the character U+0007 is not allowed in YAML; remove it"),
        ('a:\n  b: "\\ud800"\n', "x.yaml:2: a.b: has the character U+D800, which cannot be shown"),
        ('a:\n  "b\\0": 1\n', "x.yaml:2: a: key 'b\\x00' has the character U+0000"),
        ('a: ["", "\\u2028"]\n', "x.yaml:1: a[1]: has the character U+2028"),
        ("", "x.yaml: is empty; write at least one key"),
        ("# seeds: 3\n", "x.yaml: is empty; write at least one key"),
        ("~\n", "x.yaml: is empty"),
        ("- 1\n- 2\n", "x.yaml: must be a mapping of keys to values, not a list"),
        ("seeds 3\n", "x.yaml: must be a mapping of keys to values, not the value 'seeds 3'"),
        (f"a: {'x' * MOST_BYTES}\n", "x.yaml: has more than 500,000 bytes"),
    ],
)
def test_a_file_that_is_no_text_or_no_mapping_is_refused(tmp_path, content, expected):
    assert refusal(content, tmp_path).startswith(expected)


def test_a_file_that_is_missing_or_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: no such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="is a folder; name a file"):
        read_yaml(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n  b: 'x\nc: 1\n", "x.yaml:2: a.b: not valid YAML: a quote is opened here and never closed"),
        ("a: [1\n", "x.yaml:1: a: not valid YAML: a bracket is opened here and not closed by ]"),
        ("a: {b: 1\nc: 2\n", "x.yaml:1: a: not valid YAML: a bracket is opened here and not closed by }"),
        ("a:\n\tb: 1\n", "x.yaml:2: a: not valid YAML: a tab stands here; indent with spaces"),
        ("a:\n  b: c: d\n", "x.yaml:2: a.b: not valid YAML: a colon too many"),
        ("a:\n  b: 1\n  c 2\nd: 1\n", "x.yaml:3: a: not valid YAML: the line has no `key: value`"),
        ("a: @b\n", "x.yaml:1: a: not valid YAML: a text cannot begin with @; put it in quotes"),
        ("a: 'b' c\n", "x.yaml:1: a: not valid YAML: does not fit what stands before"),
        ("a:\n   b: 1\n  c: 1\n", "x.yaml:3: a: not valid YAML: does not fit what stands before"),
        ("a: 1\n---\nb: 1\n", "x.yaml:2: not valid YAML: a second document begins here; keep one"),
        ('a: "C:\\data"\n', "x.yaml:1: a: not valid YAML: an unknown escape in double quotes; write \\\\ or"),
        ('a: "\\UFFFFFFFF"\n', "x.yaml:1: a: not valid YAML: an escape that names no character; mend it"),
        ("a: *b\n", "x.yaml:1: a: not valid YAML: there is no &b above for the alias *b"),
        ("a: &x 1\nb: &x 2\n", "x.yaml:2: b: not valid YAML: this anchor was defined before"),
    ],
)
def test_what_is_no_yaml_is_refused_with_the_key_and_the_line(tmp_path, text, expected):
    assert refusal(text, tmp_path).startswith(expected)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
MERGE_BOMB = "a0: &a0 {b: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOMB, "x.yaml:5: a4: stands for more than 100,000 values, aliases written out"),
        (MERGE_BOMB, "x.yaml:16: a15.<<: stands for more than 100,000 values"),
        ("a: &a\n  b: *a\n", "x.yaml:2: a.b: refers to itself"),
        ("a: &a {<<: *a}\n", "x.yaml:1: a.<<: refers to itself"),
        ("a: &a [[*a]]\n", "x.yaml:1: a[0][0]: refers to itself"),
        (f"a: {'[' * 200_000}", "x.yaml:1: a[0][0][0]"),
        (f"a: {'{b: ' * 65}1{'}' * 65}", "x.yaml:1: a.b.b.b"),
        (f"a: &a {'[' * 40}{']' * 40}\nb:\n  c: {'[' * 30}*a{']' * 30}\n", "x.yaml:3: b.c[0]"),
        (f"a: [{'1,' * MOST_NODES}]\n", "x.yaml:1: a[29997]: the file has more than 30,000"),
        (
            f"a: {{b: &b [{'1,' * 20_000}], c: [*b, *b], d: [*b, *b]}}\n",
            "x.yaml:1: a: stands for more than 100,000",
        ),
        (f"a:\n  b: {'x' * 10_001}\n", "x.yaml:2: a.b: has 10,001 characters; use at most 10,000"),
        (f"a:\n  {'b' * 201}: 1\n", f"x.yaml:2: a: key '{'b' * 40}...' has 201 characters; use at most 200"),
    ],
)
def test_what_would_take_for_ever_or_has_no_end_is_refused_at_once(tmp_path, text, expected):
    assert refusal(text, tmp_path).startswith(expected)


def test_what_is_just_within_the_limits_is_read(tmp_path):
    deep = f"a: {'[' * (DEEPEST - 1)}1{']' * (DEEPEST - 1)}"
    assert str(parse(deep, X)["a"]).count("[") == DEEPEST - 1
    assert len(parse(f"a: [{'1,' * (MOST_WRITTEN - 3)}]\n", X)["a"]) == MOST_WRITTEN - 3
    assert parse(f"a: {'x' * 10_000}", X)["a"] == "x" * 10_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1:30", "1:30 is 90 to YAML (a colon makes it count in sixties); write 90, or '1:30' in quotes"),
        ("16:9", "16:9 is 969 to YAML (a colon makes it count in sixties); write 969, or '16:9' in quotes"),
        ("1:30.5", "1:30.5 is 90.5 to YAML (a colon"),
        ("010", "010 is 8 to YAML (the 0 in front makes it octal); write 10, or 8, or '010' in quotes"),
        ("-010", "-010 is -8 to YAML (the 0 in front makes it octal); write -10, or -8, or '-010' in quotes"),
        ("007", "007 is 7 to YAML (the 0 in front makes it octal); write 7, or '007' in quotes"),
        ("08", "08 is a text to YAML; write 8, or '08' in quotes"),
        ("0o17", "0o17 is a text to YAML; write 15, or '0o17' in quotes"),
        ("0b11", "0b11 is 3 to YAML (0b makes it binary); write 3, or '0b11' in quotes"),
        ("0b_", "0b_ is a number without digits to YAML; write '0b_' in quotes"),
        ("0x1F", "0x1F is 31 to YAML (0x makes it hexadecimal); write 31, or '0x1F' in quotes"),
        ("1_000", "1_000 is 1000 to YAML (underscores are dropped); write 1000, or '1_000' in quotes"),
        ("1_0.5", "1_0.5 is 10.5 to YAML (underscores are dropped); write 10.5"),
        ("no", "no is false to YAML; write false, or 'no' in quotes for a text"),
        ("Yes", "Yes is true to YAML; write true, or 'Yes' in quotes for a text"),
        ("on", "on is true to YAML; write true"),
        ("OFF", "OFF is false to YAML; write false"),
        ("y", "y is true to some readers and a text to YAML; write true, or 'y' in quotes"),
        ("N", "N is false to some readers and a text to YAML; write false, or 'N' in quotes"),
        ("-.5", "-.5 is a text to YAML; write -0.5, or '-.5' in quotes"),
        (".5e3", ".5e3 is a text to YAML; write 500.0"),
        (".nan", ".nan is not a number to YAML; write a finite number"),
        ("-.inf", "-.inf is infinite to YAML; write a finite number"),
        ("1e999", "1e999 is infinite to YAML; write a finite number"),
        ("9223372036854775808", "9223372036854775808 is an integer beyond 64 bits to YAML"),
        ("-9223372036854775809", "-9223372036854775809 is an integer beyond 64 bits to YAML"),
        ("1" * 5000, f"{'1' * 40}... is an integer beyond 64 bits to YAML"),
        ("2024-01-01", "2024-01-01 is a date to YAML; write '2024-01-01' in quotes"),
        ("2024-01-01 12:00:00", "2024-01-01 12:00:00 is a date to YAML"),
        ("=", "= is a sign of its own to YAML; write '=' in quotes"),
        ("!!python/name:os.system x", "has the tag !!python/name:os.system, which is not allowed; write the"),
        ("!mine 3", "has the tag !mine, which is not allowed; write the value alone"),
        ("!!binary aGk=", "has the tag !!binary"),
        ("!!set {b, c}", "has the tag !!set, which is not allowed; write a plain mapping or list"),
        ("!!map [b]", "has the tag !!map"),
        ("!!omap [b: 1]", "has the tag !!omap"),
        ("!!int 'b'", "has the tag !!int"),
        ("!!bool b", "has the tag !!bool"),
        ("!!timestamp b", "has the tag !!timestamp"),
    ],
)  # fmt: skip
def test_a_surprise_of_yaml_1_1_is_refused_by_key_with_what_was_meant(tmp_path, value, expected):
    assert refusal(f"a:\n  b: [{{c: {value}}}]\n", tmp_path).startswith(f"x.yaml:2: a.b[0].c: {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "x.yaml:4: a.b: stands twice, first on line 2; keep one"),
        ("a: &a {b: 1}\nc: {<<: *a, <<: *a}\n", "x.yaml:2: c.<<: stands twice"),
        ("a:\n  4: b\n", "x.yaml:2: a.4: the key is a number to YAML; put it in quotes"),
        ("a: {on: b}\n", "x.yaml:1: a.on: the key is true or false to YAML"),
        ("a: {2024-01-01: b}\n", "x.yaml:1: a.2024-01-01: the key is a date to YAML"),
        ("a: {~: b}\n", "x.yaml:1: a.~: the key is null to YAML"),
        ("a: {'': b}\n", "x.yaml:1: a: has an empty key; give it a name"),
        ("a: {{b}: c}\n", "x.yaml:1: a: has a mapping or a list for a key"),
        ("a:\n  ? [b]\n  : c\n", "x.yaml:2: a: has a mapping or a list for a key"),
        ("a: {!mine b: c}\n", "x.yaml:1: a.b: the key is no text to YAML"),
        ("a: {<<: 3}\n", "x.yaml:1: a.<<: takes over the keys of a mapping"),
        ("a: {<<: [3]}\n", "x.yaml:1: a.<<: takes over the keys of a mapping"),
    ],
)
def test_a_key_that_stands_twice_or_is_no_text_is_refused(tmp_path, text, expected):
    assert refusal(text, tmp_path).startswith(expected)


def test_plain_values_are_read_as_before(tmp_path):
    text = (
        "{a: 5e-4, b: -1E3, c: 5.0e-4, d: e5, e: .5, f: 0, g: -3, h: +3, i: true, j: False, k: ~, l: "
        ", m: null, n: 'no', o: \"010\", p: !!str 010, q: 9223372036854775807,"
        " r: 'é', s: 2007/test, t: 1.5.2}"
    )
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_yaml(tmp_path / "x.yaml") == {
        "a": 5e-4, "b": -1e3, "c": 5e-4, "d": "e5", "e": 0.5, "f": 0, "g": -3, "h": 3, "i": True, "j": False,
        "k": None, "l": None, "m": None, "n": "no", "o": "010", "p": "010", "q": 2**63 - 1, "r": "é",
        "s": "2007/test", "t": "1.5.2",
    }  # fmt: skip


def test_merges_give_what_pyyaml_gives():
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 5}\nd: {<<: *b, w: &w [1]}\ne: *w\n"
    assert parse(text, X) == yaml.safe_load(text)


@pytest.mark.parametrize("file", ["params.yaml", *map(str, Path("examples").glob("*.yaml"))])
def test_files_of_this_project_are_read_as_pyyaml_reads_them(file):
    assert read_yaml(file) == yaml.safe_load(Path(file).read_text())


@pytest.mark.parametrize("page", [str(p) for p in Path("docs").glob("*.md") if "```yaml" in p.read_text()])
def test_yaml_in_the_documentation_can_be_read(page):
    for piece in Path(page).read_text().split("```yaml\n")[1:]:
        assert isinstance(parse(piece.split("```")[0], Place(page)), dict)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.text(alphabet="ab:- \n\t[]{},'\"&*!|>?%@`#<~0123456789._xeEyno\\=", max_size=80),
    )
)
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        parse(text, X)
    except InputError as error:
        assert len(str(error).splitlines()) == 1


def test_texts_of_the_command_line_are_read_as_the_file_would_be():
    given = {"a": "true", "b": {"lr": "5e-4", "name": "demo", "path": "/x: y"}, "c": ["null", "3"], "d": 2}
    assert as_written(given, Place("--config", lines=False)) == {
        "a": True,
        "b": {"lr": 5e-4, "name": "demo", "path": "/x: y"},
        "c": [None, 3],
        "d": 2,
    }


def test_surprises_of_the_command_line_are_refused_by_key():
    cycle: list = []
    cycle.append(cycle)
    wide: list = [1]
    for _ in range(20):
        wide = [wide] * 10
    for value, expected in (
        ("no", "no is false to YAML; write false"),
        ("010", "010 is 8 to YAML (the 0 in front makes it octal); write 10, or 8"),
        (float("nan"), "nan is not a finite number; use one"),
        (10**30, "is an integer beyond 64 bits; use a smaller one"),
        ("a\0b", "has the character U+0000"),
        ("x" * 10_001, "has 10,001 characters"),
        ({"x\0": 1}, "key 'x\\x00' has the character U+0000"),
    ):
        with pytest.raises(InputError) as caught:
            as_written({"a": {"b": [value]}}, Place("--config", lines=False))
        assert str(caught.value).startswith(f"--config: a.b[0]: {expected}")
    for value, expected in ((cycle, "nested deeper than 64"), (wide, "more than 100,000 values are given")):
        with pytest.raises(InputError, match=f"--config: a.*{expected}"):
            as_written({"a": value}, Place("--config", lines=False))
