"""Every value of `params.yaml`, changed one at a time, and the jobs that are others then."""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline_src.config.expand import expand
from pipeline_src.config.experiments import Experiments
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.study import Params
from pipeline_src.config.yaml_text import read_yaml
from pipeline_src.errors import InputError
from pipeline_src.planning.data_jobs import without_missing_data
from pipeline_src.planning.planned_job import Key, Plan
from pipeline_src.planning.summary_jobs import plan_everything

KeyPath = tuple[str | int, ...]
SCALE = "paper"
MIRROR = ""
"""Folder in which archives are looked for."""

SUMMARY = {"tabulate", "table", "figure", "join", "report"}


@cache
def tree() -> dict[str, Any]:
    """`params.yaml` as scale paper has it, which has no block of its own for most keys."""
    found: dict[str, Any] = read_yaml("params.yaml")
    return {key: value for key, value in found.items() if key not in ("scale", "scales")}


def leaves(node: Any, above: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Key path and value of everything below a node that has nothing below itself."""
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if not below:
        yield above, node
    for key, value in below:
        yield from leaves(value, (*above, key))


def others(path: KeyPath, value: Any) -> Iterator[Any]:
    """Other values that a leaf may take; the first that is not refused is tried."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value * 2, max(value // 2, 1), value - 1, 4, 2)
    elif isinstance(value, float):
        yield from (value * 0.5, value * 1.25, value + 0.5)
    elif isinstance(value, str):
        yield from sorted(said_elsewhere(path[-1]) - {value})[:5]
        yield value + "x"
    elif value is None:
        yield from (1, 0.5, True, [512, 512])
    else:
        yield from ([1], ["x"], {"x": 1})


@cache
def said_elsewhere(key: str | int) -> set[str]:
    """The texts that stand under a key anywhere."""
    return {value for path, value in leaves(tree()) if path[-1] == key and isinstance(value, str)}


@dataclass(frozen=True)
class Planned:
    """The identities of a plan's jobs, of one plan or of two compared."""

    digests: dict[Key, str]
    before: dict[Key, set[Key]]

    @classmethod
    def of(cls, plan: Plan) -> "Planned":
        """Those of a plan."""
        digests = {key: job.digest for key, job in plan.jobs.items()}
        makers = {
            key: {plan.makers[path].key for _, path in job.input_paths if path in plan.makers}
            for key, job in plan.jobs.items()
        }
        return cls(digests, makers)


def params_with(*layers: Layer) -> Params:
    """The parameters with further layers, and all archives in a folder."""
    return load_params(overlays=[Layer("mirror.yaml", {"mirror": MIRROR}), *layers], scale=SCALE)


@cache
def unchanged() -> Planned:
    """The plan of `params.yaml` as it is."""
    return Planned.of(plan_everything(params_with()))


@cache
def experiments() -> Experiments:
    """The experiments of `params.yaml` as it is."""
    return without_missing_data(params_with(), expand(params_with()))


@dataclass(frozen=True)
class Change:
    """A leaf with another value: jobs that are `direct`ly others, and those `after` them as well."""

    path: KeyPath
    value: Any
    direct: frozenset[Key]
    after: frozenset[Key]

    def __str__(self) -> str:
        steps = Counter(step for step, _ in self.direct)
        return f"{'.'.join(map(str, self.path))} = {self.value!r}: {dict(steps)}"


def overlay(path: KeyPath, value: Any) -> dict[str, Any]:
    """The layer that gives a leaf another value; a list is given as a whole."""
    whole = path[: next((place for place, part in enumerate(path) if isinstance(part, int)), len(path))]
    node: Any = tree()
    for part in whole:
        node = node[part]
    node = copy.deepcopy(node)
    if whole == path:
        node = value
    else:
        inner = node
        for part in path[len(whole) : -1]:
            inner = inner[part]
        inner[path[-1]] = value
    for part in reversed(whole):
        node = {part: node}
    return dict(node)


def change(path: KeyPath, old: Any) -> Change | None:
    """What another value of a leaf changes; None where every other value that was tried is refused."""
    first = unchanged()
    known = Counter((key[0], digest) for key, digest in first.digests.items())
    for value in others(path, old):
        if value == old:
            continue
        try:
            now = Planned.of(plan_everything(params_with(Layer("my.yaml", overlay(path, value)))))
        except InputError:
            continue
        # a job that only has another name is none that is another
        left = known.copy()
        direct = set()
        for key, digest in now.digests.items():
            if left[key[0], digest] > 0:
                left[key[0], digest] -= 1
            else:
                direct.add(key)
        after = set(direct)
        for key in now.digests:  # inputs come before their users
            if now.before[key] & after:
                after.add(key)
        return Change(path, value, frozenset(direct), frozenset(after))
    return None


def mentions(study: dict[str, Any], name: str) -> bool:
    """Whether a study's section names a recipe, backbone or data set."""
    return name in json.dumps(study)
