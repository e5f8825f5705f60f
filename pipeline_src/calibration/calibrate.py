"""Global mean and standard deviation of every subject of the chosen concatenations, over a data set.

One pass over the data per nesting level, the earlier levels already equalised. What is kept between
batches are three numbers per branch, in float64, merged in a fixed order: so a calibration that was
interrupted continues from its last save and ends with the same bits, and ranks are merged exactly.

A folded concatenation leaves no trace in the maps, only in the weights that read them. Where it is
itself a branch of an outer one, that branch would be measured as if it were not equalised, though its
weights are. So while it calibrates, `folded` divides the maps, which is the same function everywhere,
and the weights once, at the end.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_src.calibration.measure import Branch, branch_records, first_step_modes, measured
from pipeline_src.calibration.statistics_file import check_branches, scales_of
from pipeline_src.calibration.upsampled_moments import Moments, merge_all
from pipeline_src.errors import Interrupted
from pipeline_src.models.fusion.scale_equalizer import (
    apply_scales,
    divide_branches,
    named_concatenations,
    undivide_branches,
)
from pipeline_src.progress import Progress
from pipeline_src.training.checkpoint import CheckpointFolder, load_checkpoint
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.stopping import SaveInterval, StopRequest

Images = Callable[[int], Iterator[Tensor]]
"""From the first batch to this rank's images `(n, 3, H, W)` of it and all later batches of a pass."""

Records = dict[str, list[dict[str, Any]]]
State = dict[str, list[list[list[Any]]]]
"""Per concatenation and subject: count, mean and m2 before and after upsampling, as plain numbers."""


@dataclass
class Calibrator:
    """Calibrates `model` (with its equalizers inserted, on its device) at the concatenations of `order`.

    `order` holds one list of names per nesting level; `batches` is the length of a pass. Afterwards the
    model is equalised. Without `store` nothing is saved on the way.
    """

    name: str
    model: nn.Module
    form: str
    order: list[list[str]]
    images: Images
    batches: int
    bn_fixed: bool
    ranks: Ranks
    store: CheckpointFolder | None = None
    interval: SaveInterval = field(default_factory=SaveInterval)
    stop: StopRequest = field(default_factory=StopRequest)

    def run(self) -> Records:
        """Measure level by level; returns the records of every concatenation.

        Raises `InputError` for a branch without spread, and `Interrupted` after a signal, saved.
        """
        records: Records = {}
        done, states = self._restore(records)
        total = len(self.order) * self.batches
        with (
            Progress(f"{self.name}: calibrate", total, "batch", done, shown=self.ranks.first) as progress,
            first_step_modes(self.model, self.bn_fixed),
            torch.no_grad(),
        ):
            for level, names in enumerate(self.order):
                if all(name in records for name in names):
                    continue
                concats = {name: named_concatenations(self.model)[name] for name in names}
                with measured(concats) as branches:
                    _load(branches, states)
                    states = None
                    for images in self.images(done - level * self.batches):
                        self.model(images.to(self.ranks.device, non_blocking=True))
                        done += 1
                        progress.update()
                        self._save_if_due(done, records, branches, total)
                    merged = self._merged(branches)
                for name, found in merged.items():
                    records[name] = branch_records(found)
                    check_branches(name, records[name])
                self._equalise(names, records)
        if self.form == "folded":
            chosen = [name for names in self.order for name in names]
            undivide_branches(self.model, chosen)
            apply_scales(self.model, self.form, {name: scales_of(records[name]) for name in chosen})
        return records

    def _equalise(self, names: list[str], records: Mapping[str, list[dict[str, Any]]]) -> None:
        scales = {name: scales_of(records[name]) for name in names}
        if self.form == "folded":
            divide_branches(self.model, scales)
        else:
            apply_scales(self.model, self.form, scales)

    def _merged(self, branches: dict[str, list[Branch]]) -> dict[str, list[Branch]]:
        """The branches with the moments of all ranks, merged in the ranks' order."""
        everywhere = self.ranks.gather(_state_of(branches))
        return {
            name: [
                Branch(
                    branch.name,
                    branch.channels,
                    *(merge_all(Moments(*state[name][i][part]) for state in everywhere) for part in (0, 1)),
                )
                for i, branch in enumerate(found)
            ]
            for name, found in branches.items()
        }

    def _save_if_due(
        self, done: int, records: Records, branches: dict[str, list[Branch]], total: int
    ) -> None:
        stop, save = self.ranks.any(self.stop.requested is not None, self.interval.due(done))
        if done == total or not (stop or save):
            return
        if self.store is not None:
            states = self.ranks.gather(_state_of(branches))
            if self.ranks.first:
                self.store.save(done, {"records": records, "states": states})
            self.interval.saved()
        if stop:
            raise Interrupted(
                f"{self.name}: asked to stop; batch {done} of {total} is "
                f"{'saved' if self.store is not None else 'lost'}, start the job again to continue"
            )

    def _restore(self, records: Records) -> tuple[int, State | None]:
        """Batches done before, and this rank's moments of the level that was interrupted."""
        path = self.store.newest() if self.store is not None and self.ranks.first else None
        path = self.ranks.share(path)
        if path is None:
            return 0, None
        saved = load_checkpoint(path)
        records.update(saved["records"])
        for names in self.order:
            if all(name in records for name in names):
                self._equalise(names, records)
        states = saved["states"]
        if len(states) == self.ranks.world:
            return saved["step"], states[self.ranks.rank]
        # another number of ranks: the first one takes all that was measured
        return saved["step"], _sum_of(states) if self.ranks.first else None


def _state_of(branches: Mapping[str, list[Branch]]) -> State:
    return {
        name: [[[m.count, m.mean, m.m2] for m in (branch.raw, branch.upsampled)] for branch in found]
        for name, found in branches.items()
    }


def _load(branches: Mapping[str, list[Branch]], state: State | None) -> None:
    if state is None:
        return
    for name, found in branches.items():
        for branch, (raw, upsampled) in zip(found, state[name], strict=True):
            branch.raw, branch.upsampled = Moments(*raw), Moments(*upsampled)


def _sum_of(states: list[State]) -> State:
    total: State = {}
    for name, subjects in states[0].items():
        merged = [
            [merge_all(Moments(*state[name][i][part]) for state in states) for part in (0, 1)]
            for i in range(len(subjects))
        ]
        total[name] = [[[m.count, m.mean, m.m2] for m in pair] for pair in merged]
    return total
