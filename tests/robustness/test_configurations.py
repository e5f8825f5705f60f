"""Bad configurations end in one line that names the key, without a hang: those listed, and random ones."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline_src.config.explain import dotted
from tests.robustness.planning import HANGS_SECONDS, Finding, plan
from tests.robustness.random_configurations import Damaged, all_parameters, damaged, small_parameters
from tests.robustness.special_configurations import SPECIAL, Special


@pytest.mark.parametrize("special", SPECIAL, ids=lambda special: special.name)
def test_a_special_configuration_is_planned_or_refused_by_its_key(tmp_path: Path, special: Special):
    overlay = tmp_path / "my.yaml"
    overlay.write_bytes(special.content if isinstance(special.content, bytes) else special.content.encode())
    outcome = plan("params.yaml", overlay)
    assert outcome.seconds < HANGS_SECONDS
    if special.key is None:
        assert not outcome.findings
        return
    first = outcome.findings[0]
    assert first.file == str(overlay)
    assert first.text.startswith(f"{special.key}: {special.said}" if special.key else special.said)


@dataclass
class Tally:
    """What became of many random configurations."""

    count: int = 0
    planned: int = 0
    tracebacks: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    slowest: float = 0.0

    @property
    def named(self) -> float:
        """Of those that were refused, the share whose error names the damaged key or its parent."""
        refused = self.count - self.planned - len(self.tracebacks)
        return 1 - len(self.unnamed) / max(refused, 1)

    def __str__(self) -> str:
        return (
            f"{self.count} configurations: {self.planned} planned, {len(self.tracebacks)} tracebacks, "
            f"{self.named:.2%} of the others named, slowest {self.slowest:.1f} s"
        )


def names(damage: Damaged, finding: Finding) -> bool:
    """Whether a finding is about a damaged key, its parent, or the damaged line of a file that is no YAML."""
    for key in damage.keys:
        if finding.is_below(dotted([*key])) or finding.is_about(dotted([*key[:-1]])):
            return True
    if damage.line is None or finding.line is None:
        return False
    return abs(finding.line - damage.line) <= 1 or f"below line {damage.line})" in finding.text


@pytest.fixture
def tally(tmp_path: Path) -> Callable[[range], Tally]:
    """Plans the random configurations of some seeds; one of twenty has all of `params.yaml`."""
    small, whole = small_parameters(), all_parameters()
    base, overlay = tmp_path / "params.yaml", tmp_path / "my.yaml"

    def run(seeds: range) -> Tally:
        found = Tally()
        for seed in seeds:
            damage = damaged(small if seed % 20 else whole, seed)
            base.write_bytes(damage.base)
            overlay.write_bytes(damage.overlay or b"")
            found.count += 1
            try:
                outcome = plan(base, *([] if damage.overlay is None else [overlay]))
            except Exception:
                found.tracebacks.append(f"seed {seed}: {damage.what}\n{traceback.format_exc()}")
                continue
            found.slowest = max(found.slowest, outcome.seconds)
            found.planned += not outcome.findings
            if outcome.findings and not any(names(damage, finding) for finding in outcome.findings):
                found.unnamed.append(f"seed {seed}: {damage.what}: {outcome.findings[0]}")
        print(found)
        return found

    return run


def test_random_configurations_end_in_a_plan_or_in_a_line_that_names_the_key(tally):
    found = tally(range(101, 161))
    assert not found.tracebacks, found.tracebacks[0]
    assert found.slowest < HANGS_SECONDS
    assert 5 < found.planned < 30, "the damage is too small or too large"
    assert found.named > 0.95, "\n".join(found.unnamed)


@pytest.mark.slow
def test_thousands_of_random_configurations_do_so(tally):
    found = tally(range(10_000, 12_000))
    assert not found.tracebacks, "\n".join(found.tracebacks)
    assert found.slowest < HANGS_SECONDS
    assert found.named >= 0.99, "\n".join(found.unnamed)


def test_the_same_seed_damages_in_the_same_way():
    parameters = small_parameters()
    assert [damaged(parameters, seed) for seed in range(20)] == [
        damaged(parameters, seed) for seed in range(20)
    ]
    assert len({damaged(parameters, seed).what for seed in range(20)}) > 15
