"""A value of `params.yaml` that changes makes other jobs of the kinds that it may, and of no others."""

import random
import re
from pathlib import Path

import pytest

from pipeline_src.data.archives import load_archives
from tests.robustness.leaves import SUMMARY, Change, KeyPath, change, experiments, leaves, mentions, tree

NETWORK = {"calibrate", "probe", "train", "evaluate", "cost"}
START = {"calibrate", "probe", "train"}
DATA = {"fetch", "extract", "scenes", "manifest", "weights"}

MAY_CHANGE: list[tuple[str, set[str]]] = [
    (r"studies\.[^.]+\.(title|paper|prefix|baseline|controls|quoted|note)", SUMMARY),
    (r"studies\.[^.]+\.tables\.", SUMMARY),
    (r"studies\.[^.]+\.figures\..*simulation", {"simulate", "figure"}),
    (r"studies\.[^.]+\.figures\.", SUMMARY | {"probe"}),
    (r"studies\.[^.]+\.evaluation", {"evaluate"} | SUMMARY),
    (r"studies\.", NETWORK | DATA | SUMMARY),
    (r"evaluations?\.", {"evaluate"} | SUMMARY),
    (r"cost\.", {"cost"} | SUMMARY),
    (r"recipes\.[^.]+\.(epochs|iterations|schedule|warmup|log_every|validate_every)", {"train"} | SUMMARY),
    (r"recipes\.[^.]+\.optimizer\.(lr|weight_decay|betas|layer_decay|no_decay)", {"train"} | SUMMARY),
    (r"recipes\.[^.]+\.loss", {"train", "probe"} | SUMMARY),
    (r"recipes\.[^.]+\.augment\.(flip|photometric|max_class_share|resize)", START | SUMMARY),
    (r"recipes\.", NETWORK | SUMMARY),
    (r"backbones\.", NETWORK | {"weights"} | SUMMARY),
    (r"datasets\.[^.]+\.title", SUMMARY),
    (r"datasets\.", NETWORK | DATA | SUMMARY),
    (r"compute\.", NETWORK | {"simulate"}),
    (r"seeds", {"calibrate", "train", "evaluate"} | SUMMARY),
    (r"select", NETWORK | DATA | SUMMARY | {"simulate"}),
]  # fmt: skip
"""Steps whose jobs a value may make others by itself, by the beginning of its key path; the first counts."""

NO_RESULT = ("mirror", "accept_unverified", "warm_start", "max_trainings", "strict_environment")
"""Keys that say how work is done, and change no result."""


@pytest.fixture(scope="module", autouse=True)
def mirror(tmp_path_factory):
    """A folder in which all archives seem to be, so that those that need a login are planned as well."""
    folder = tmp_path_factory.mktemp("mirror")
    for archive in load_archives().values():
        (folder / archive.file).touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.robustness.leaves.MIRROR", str(folder))
        yield folder


def overridden(path: KeyPath) -> bool:
    """Whether every row of a study gives another value to what this leaf of the study says."""
    if path[0] != "studies":
        return False
    said = ".".join(str(part) for part in path[2:] if not isinstance(part, int))
    said = said.split(".", 3)[-1] if said.startswith("vary.") else said

    def covers(key: str) -> bool:
        return said == key or said.startswith(f"{key}.") or key.startswith(f"{said}.")

    rows = experiments().rows[str(path[1])]
    return (said == "dataset" and all("dataset" in row.settings for row in rows)) or all(
        any(covers(key) for key in row.settings) for row in rows
    )  # fmt: skip


def faults(found: Change) -> list[str]:
    """What is wrong about the jobs that a change makes others."""
    name, problems = ".".join(map(str, found.path)), []
    if name in NO_RESULT:
        return [f"{found}: it should change nothing"] if found.direct else []
    allowed = next((steps for pattern, steps in MAY_CHANGE if re.match(pattern, name)), None)
    if allowed is None:
        return [f"{name}: no rule says what it may change"]
    if extra := {step for step, _ in found.direct} - allowed:
        problems.append(f"{found}: {', '.join(sorted(extra))} should not change")
    if not found.after and not overridden(found.path):
        problems.append(f"{found}: nothing changes")
    if found.path[0] in ("recipes", "backbones"):
        users = {key for key, study in tree()["studies"].items() if mentions(study, str(found.path[1]))}
        starts = {
            key for key, study in tree()["studies"].items() if any(mentions(study, one) for one in users)
        }
        for step, job in found.after:
            if step in NETWORK and job.split("/")[0] not in users | starts:
                problems.append(f"{found}: {step} {job} should not change")
    return problems


def check(some: list[tuple[KeyPath, object]], least: float) -> None:
    changes = [change(path, value) for path, value in some]
    tried = [one for one in changes if one is not None]
    assert len(tried) >= least * len(some), "too many values are refused: nothing was tried"
    assert not (found := [problem for one in tried for problem in faults(one)]), "\n".join(found)


def test_some_leaves_change_what_they_may_and_nothing_else():
    check(random.Random(0).sample(list(leaves(tree())), 8), least=0.5)


@pytest.mark.slow
def test_all_leaves_change_what_they_may_and_nothing_else():
    check(list(leaves(tree())), least=0.65)


@pytest.mark.parametrize(
    ("path", "value", "steps"),
    [
        (("recipes", "dfp", "optimizer", "lr"), 0.5, {"train"}),
        (("evaluations", "windows_512", "stride", 0), 341, {"evaluate"}),
        (("studies", "dfp", "title"), "t", {"report"}),
    ],
)
def test_a_known_change_is_seen(path, value, steps):
    found = change(path, value)
    assert found is not None and steps <= {step for step, _ in found.direct}
    assert not faults(found)


def test_a_needless_and_a_missed_rerun_would_be_seen():
    path = ("studies", "dfp", "title")
    key = ("train", "dfp/depth-2/seed-0")
    assert faults(Change(path, "t", frozenset([key]), frozenset([key])))
    assert faults(Change(("recipes", "dfp", "batch"), 3, frozenset(), frozenset()))
    other = ("train", "ipg_voc/x/seed-0")
    assert faults(Change(("recipes", "dfp", "batch"), 3, frozenset([other]), frozenset([other])))


def test_the_mirror_makes_all_data_sets_planned(mirror: Path):
    assert not [row for rows in experiments().rows.values() for row in rows if row.status == "no data"]
