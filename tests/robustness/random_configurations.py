"""Random damage to configurations, from a seed: of a file as `params.yaml`, or of an overlay."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from pipeline_src.config.explain import dotted
from pipeline_src.config.yaml_text import read_yaml

KeyPath = tuple[str | int, ...]
Tree = dict[str, Any]

WRONG: list[Any] = [
    None, True, False, 0, 1, -1, -3, 7, 10**6, 2**62, 0.5, -0.5, 1e-300, 1e300, "", " ", "x", "none",
    "dfp", "../x", "a/b", "{a}", "{", "$NOT_SET_HERE", "~nobody-at-all", "x" * 300, "x" * 9000, "é", "名",
    "a: b", "# a", "- a", "[a", "'", "%s", "{0}", "\u202e", "😀", [], [[]], [None], [1], [0, 0], [-1, 2],
    [1, 2, 3, 4, 5], ["x"], [{}], [[1, [2]]], list(range(3000)), {}, {"a": 1}, {"kind": "x"},
    {"kind": None}, {"kind": ["fcn"]}, {"x": {"y": {"z": []}}}, {"": 1}, {"a b": 1}, {"é": {}},
]  # fmt: skip
"""Values for places where others belong."""

RAW = [
    "no", "Yes", "on", "y", "1:30", "1:30.5", "010", "08", "0x1F", "0b11", "0o17", "1_000", "-.5", ".5e3",
    "1e3", "5e-4", ".nan", "-.inf", "1e999", "99999999999999999999", "2024-01-01", "2024-01-01 10:00:00",
    "=", "~", "!mine 3", "!!set {a}", "!!binary aGk=", "!!python/name:os.system x", "!!str 3", "!!int x",
    "&x [*x]", "*nowhere", "<<", "[1, 2", "{a: 1", "]", "}", "'a", '"a', "'a' b", "a: b", "a: b: c", "@a",
    "`a`", "%a", "\"\\x\"", "\"\\ud800\"", "\"\\UFFFFFFFF\"", "|", ">-", "? a", "- a", "a #b", "\ta",
    "{a: 1, a: 2}", "{{a}}", "{4: a}", "{on: a}", "{? : a}", "{<<: 3}", "{<<: [1]}", "[" * 100 + "]" * 100,
    "[" * 3000, "{a: " * 70 + "1" + "}" * 70, "x" * 10_500, "[" + "1, " * 500 + "]",
]  # fmt: skip
"""Pieces of YAML to put in the place of a value."""

INSERTED = [
    ":", "-", "[", "]", "{", "}", "'", '"', "\t", "#", "&", "*", "!", "|", ">", "%", "@", "?", ",", "  ",
    "\n", "\x07", "\x00", "\x85", "\u2028", "\ufeff", "\\", "<<: ", "---\n", "...\n",
]  # fmt: skip
"""Characters to put anywhere."""

MARK = "HERE0THE0PIECE"
"""Stands in a dumped file where a piece of YAML will be put."""


@dataclass(frozen=True)
class Damaged:
    """A configuration: a base file, perhaps an overlay, and the damaged keys or line of the last one."""

    base: bytes
    overlay: bytes | None
    what: str
    keys: tuple[KeyPath, ...]
    line: int | None = None


def all_parameters() -> Tree:
    """`params.yaml`, without aliases."""
    tree: Tree = json.loads(json.dumps(read_yaml("params.yaml")))
    return tree


def small_parameters() -> Tree:
    """`params.yaml` with two studies and the scale of tests: it is planned within a tenth of a second."""
    tree = all_parameters()
    smoke = tree["scales"]["smoke"]
    kept = {
        "studies": ("dfp", "ipg_positions"),
        "recipes": ("dfp", "ipg_coco"),
        "datasets": ("voc2012", "coco"),
        "backbones": ("resnet50",),
    }
    for section, names in kept.items():
        for part in (tree, smoke):
            part[section] = {name: part[section][name] for name in names if name in part[section]}
    return {**tree, "scale": "smoke", "scales": {"smoke": smoke}}


def damaged(parameters: Tree, seed: int) -> Damaged:
    """The random configuration of a seed."""
    chance = random.Random(seed)
    if chance.random() < 0.3:
        return _damaged_text(parameters, chance)
    return _damaged_tree(parameters, chance)


# --- damage to the tree ---------------------------------------------------------------------------


def _damaged_tree(parameters: Tree, chance: random.Random) -> Damaged:
    """One key dropped, renamed, added or given another value; of a base file sometimes two."""
    tree, raws, keys, what = copy.deepcopy(parameters), list[str](), list[KeyPath](), list[str]()
    as_overlay = chance.random() < 0.5
    overlay: Tree = {}
    for _ in range(1 if as_overlay or chance.random() < 0.8 else 2):
        paths = [path for path in paths_of(tree) if path]
        path = chance.choice(paths)
        kinds: list[Callable[..., list[KeyPath]]] = [
            _replaced,
            _replaced,
            _piece,
            _piece,
            _exchanged,
            _renamed,
            _added,
        ]
        change = chance.choice([*kinds, _dropped, _dropped] if not as_overlay else kinds)
        if as_overlay:  # a list is replaced as a whole
            lists = (place for place, part in enumerate(path) if isinstance(part, int))
            whole = path[: next(lists, len(path))]
            _put(overlay, whole, copy.deepcopy(at(parameters, whole)))
        keys += change(overlay if as_overlay else tree, path, chance, raws)
        what.append(f"{change.__name__.strip('_')} {dotted(list(path))[:100]}")
    text = _dumped(overlay if as_overlay else tree, chance)
    for number, piece in enumerate(raws):
        text = text.replace(f"{MARK}{number}X", piece)
    base = _dumped(parameters, chance) if as_overlay else text
    return Damaged(base.encode(), text.encode() if as_overlay else None, "; ".join(what), tuple(keys))


def paths_of(tree: Any, above: KeyPath = ()) -> list[KeyPath]:
    """The key paths of everything in a tree."""
    found = [above]
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in below:
        found += paths_of(value, (*above, key))
    return found


def at(tree: Any, path: KeyPath) -> Any:
    """What stands at a key path; None where nothing does."""
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def _put(tree: Any, path: KeyPath, value: Any) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {}) if isinstance(tree, dict) else tree[part]
    tree[path[-1]] = value


def _replaced(tree: Tree, path: KeyPath, chance: random.Random, raws: list[str]) -> list[KeyPath]:
    _put(tree, path, copy.deepcopy(chance.choice(WRONG)))
    return [path]


def _piece(tree: Tree, path: KeyPath, chance: random.Random, raws: list[str]) -> list[KeyPath]:
    _put(tree, path, f"{MARK}{len(raws)}X")
    raws.append(chance.choice(RAW))
    return [path]


def _exchanged(tree: Tree, path: KeyPath, chance: random.Random, raws: list[str]) -> list[KeyPath]:
    """The value of another key."""
    other = chance.choice(paths_of(tree))
    _put(tree, path, copy.deepcopy(at(tree, other)))
    return [path]


def _dropped(tree: Tree, path: KeyPath, chance: random.Random, raws: list[str]) -> list[KeyPath]:
    del at(tree, path[:-1])[path[-1]]
    return [path]


def _renamed(tree: Tree, path: KeyPath, chance: random.Random, raws: list[str]) -> list[KeyPath]:
    """A key with a slip of the pen; of an entry of a list, another value."""
    parent = at(tree, path[:-1])
    if not isinstance(parent, dict):
        return _replaced(tree, path, chance, raws)
    old = str(path[-1])
    place = chance.randrange(len(old))
    new = chance.choice([
        old[:place] + old[place + 1 :], old[:place] + chance.choice("abxyz_ .-é{") + old[place:], old.upper(),
        f"{old} ", old + "\n", "x" * 250, old[::-1], "\u200b" + old,
    ])  # fmt: skip
    entries = [(new if key == old else key, value) for key, value in parent.items()]
    parent.clear()
    parent.update(entries)
    return [(*path[:-1], new), path]


def _added(tree: Tree, path: KeyPath, chance: random.Random, raws: list[str]) -> list[KeyPath]:
    """A key that does not belong there."""
    parent = at(tree, path)
    if not isinstance(parent, dict):
        return _replaced(tree, path, chance, raws)
    key = chance.choice(
        ["x", "kind", "lr", "seeds", "scale", "scales", "args", "a b", "model.depth", "é", "4", "no"]
    )
    parent[key] = copy.deepcopy(chance.choice(WRONG))
    return [(*path, key)]


def _dumped(tree: Tree, chance: random.Random) -> str:
    flow = chance.choice([False, False, None, True])
    text: str = yaml.safe_dump(
        json.loads(json.dumps(tree)),
        sort_keys=False,
        default_flow_style=flow,
        width=100_000,
        allow_unicode=True,
    )
    return text


# --- damage to the text ---------------------------------------------------------------------------


def _damaged_text(parameters: Tree, chance: random.Random) -> Damaged:
    """Characters deleted, put in, doubled; a line taken out of its place; the end cut off."""
    base = _dumped(parameters, chance)
    as_overlay = chance.random() < 0.5
    section = chance.choice([key for key in parameters if key != "scale"])
    text = _dumped({section: parameters[section]}, chance) if as_overlay else base
    lines = text.split("\n")[:-1]
    number = chance.randrange(len(lines))
    line, damage = (
        lines[number],
        chance.choice(["delete", "insert", "indent", "double", "cut", "byte", "join"]),
    )
    place = chance.randrange(len(line) + 1)
    if damage == "delete":
        structure = [index for index, character in enumerate(line) if character in ":[]{}'\"-, "]
        place = chance.choice(structure or [0])
        lines[number] = line[:place] + line[place + 1 :]
    elif damage == "insert":
        lines[number] = line[:place] + chance.choice(INSERTED) + line[place:]
    elif damage == "indent":
        lines[number] = chance.choice([f" {line}", f"   {line}", line[1:], line.lstrip(), f"\t{line}"])
    elif damage == "double":
        lines[number] = f"{line}\n{line}"
    elif damage == "cut":
        lines[number:] = [line[:place]]
    elif damage == "join" and number + 1 < len(lines):
        lines[number : number + 2] = [line + lines[number + 1].strip()]
    whole = "\n".join([*lines, ""]).encode()
    if damage == "byte":
        start = sum(len(one.encode()) + 1 for one in lines[:number])
        cut = start + chance.randrange(len(line.encode()) + 1)
        whole = whole[:cut] + bytes([chance.choice([0x80, 0xC3, 0xE9, 0xFF, 0xFE])]) + whole[cut:]
    keys = _changed(text, whole) or (_key_on(text, number, place),)
    if damage == "join":  # makes one key of two
        keys = (*keys, (*keys[0][:-1], lines[number].strip().split(": ")[0].rstrip(":")))
    files = (base.encode(), whole) if as_overlay else (whole, None)
    return Damaged(*files, f"{damage} {number + 1}", keys, number + 1)


def _changed(before: str, after: bytes) -> tuple[KeyPath, ...]:
    """The key paths that differ; none where a text cannot be read."""
    try:
        return tuple(_differences(yaml.safe_load(before), yaml.safe_load(after.decode())))
    except (yaml.YAMLError, ValueError, TypeError):
        return ()


def _differences(one: Any, other: Any, above: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            if key in one and key in other:
                yield from _differences(one[key], other[key], (*above, key))
            else:
                yield (*above, key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (first, second) in enumerate(zip(one, other, strict=True)):
            yield from _differences(first, second, (*above, index))
    elif one != other:
        yield above


def _key_on(text: str, line: int, column: int) -> KeyPath:
    """The key path of the last key that begins before a column of a line."""
    found: KeyPath = ()

    def look(node: yaml.Node, path: KeyPath) -> None:
        nonlocal found
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if (key.start_mark.line, key.start_mark.column) <= (line, column):
                    found = (*path, key.value)
                    look(value, found)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                if (value.start_mark.line, value.start_mark.column) <= (line, column):
                    found = (*path, index)
                    look(value, found)

    root = yaml.compose(text, yaml.SafeLoader)
    assert root is not None
    look(root, ())
    return found
