"""How long the rest of a workflow run will take."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Estimate:
    """How long the jobs that are left will take, from those that are done.

    A rule's jobs take as long as the rule's finished ones on average (before there is one: as all
    finished ones), and as many run side by side as did so far.
    """

    left: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    began: float = 0.0

    def start(self, jobs: dict[str, int], now: float) -> None:
        """Begin with the numbers of jobs by rule."""
        self.left, self.seconds, self.began = Counter(jobs), {}, now

    def finish(self, rule: str, seconds: float) -> None:
        """Note a finished job."""
        self.left[rule] -= 1
        self.seconds.setdefault(rule, []).append(seconds)

    def to_go(self, now: float) -> float | None:
        """Seconds until the last job is done; None before the first one is."""
        done = [second for of_rule in self.seconds.values() for second in of_rule]
        if not done or not sum(done):
            return None
        mean = sum(done) / len(done)
        means = {rule: sum(own) / len(own) for rule, own in self.seconds.items()}
        work = sum(count * means.get(rule, mean) for rule, count in self.left.items() if count > 0)
        at_once = max(1.0, sum(done) / max(now - self.began, 1e-9))
        return work / at_once


def duration(seconds: float) -> str:
    """`95` as `1 min 35 s`, `7300` as `2 h 2 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
