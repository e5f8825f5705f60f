"""How long an optimiser step of a network takes, from what was done before: trainings, costs, timed steps.

A pace is known by the work that a step is, not by the run that it was measured in: equal networks on
images of equal size and number share theirs, whatever their data, seed and scale.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.files import digest_of, read_json, write_json
from pipeline_src.planning.planned_job import without_null

RESULTS = Path("results")
TIMED = Path("work", "paces")
"""Where steps that were timed for an estimate are kept; they are no results."""

CPU = "cpu"
"""How the name of a device begins that is no GPU."""

TRAININGS = "trainings of the same work"
COSTS = "measured costs of the same network"
STEPS = "a few timed steps"


@dataclass(frozen=True)
class Pace:
    """Seconds of one optimiser step, summed over devices, and of one image's forward pass where it is known.

    `memory` is the peak in bytes on a GPU, None where none was measured. `source` says where it is from.
    """

    step: float
    device: str
    source: str
    forward: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Paces:
    """All that is known, by the work of a step: of whole trainings, and of steps on made-up images."""

    trained: Mapping[str, Pace]
    measured: Mapping[str, Pace]

    def of(self, training: str, cost: str | None) -> Pace | None:
        """The pace of a training by the keys of its work; a whole training's is nearer to the truth."""
        return self.trained.get(training) or (self.measured.get(cost) if cost is not None else None)


def training_key(params: Mapping[str, Any]) -> str:
    """The work of a training's step, from what step `train` is told."""
    recipe = params["recipe"]
    return _key(
        params["model"], {name: recipe.get(name) for name in ("batch", "accumulate", "amp", "augment")}
    )


def cost_key(model: Mapping[str, Any], setting: Mapping[str, Any]) -> str:
    """The work of a measured step: the network, and `crop`, `batch` and `recipe` of its measurement."""
    return _key(model, {name: setting[name] for name in ("crop", "batch", "recipe")})


def _key(model: Mapping[str, Any], setting: Mapping[str, Any]) -> str:
    backbone = {
        name: value for name, value in model["backbone"].items() if name not in ("weights", "mean", "std")
    }
    return digest_of(without_null([{**model, "backbone": backbone}, dict(setting)]))


def known_paces(results: Path = RESULTS, timed: Path = TIMED) -> Paces:
    """Read every record below `results`, of all scales, and the steps in `timed`; damaged ones are left out.

    Of several for the same work the slowest counts: an estimate should not promise too much.
    """
    trained: dict[str, Pace] = {}
    measured: dict[str, Pace] = {}
    for record in _records(results.glob("*/runs/**/train.json")):
        _keep(trained, training_key(record["job"]["params"]), _of_training(record))
    for record in _records(results.glob("*/cost/**/sidecar.json")):
        params = record["job"]["params"]
        try:
            timing = read_json(record["outputs"]["timing"]["path"])
        except (InputError, KeyError, TypeError):
            continue
        _keep(measured, cost_key(params["model"], params), of_timing(timing, COSTS))
    for path in timed.glob("*.json"):
        for timing in _records([path]):
            _keep(measured, path.stem, of_timing(timing, STEPS))
    return Paces(trained, measured)


def of_timing(timing: Mapping[str, Any], source: str) -> Pace | None:
    """The pace that `timing.json` of step `cost` says; None where it says none."""
    try:
        return Pace(
            step=timing["step_time"],
            device=timing["device"]["name"],
            source=source,
            forward=timing["latency"] / timing["batch"],
            memory=timing["peak_memory"],
        )
    except (KeyError, TypeError):
        return None


def keep_timed(key: str, timing: Mapping[str, Any], timed: Path = TIMED) -> None:
    """Keep the timing of a few steps, for later estimates."""
    timed.mkdir(parents=True, exist_ok=True)
    write_json(timed / f"{key}.json", timing)


def _of_training(record: Mapping[str, Any]) -> Pace | None:
    """What a finished training took a step: of all its sessions that got further, validations included."""
    training = record["training"]
    starts = [session["from_step"] for session in training["sessions"]] + [training["steps"]]
    told = [
        (session["seconds"] * session.get("world_size", 1), end - start)
        for session, start, end in zip(training["sessions"], starts, starts[1:])
        if end > start and "seconds" in session
    ]
    if not told:
        return None
    seconds, steps = (sum(values) for values in zip(*told, strict=True))
    device = str(record.get("device"))
    memory = None if device.startswith(CPU) else record.get("peak_memory_bytes")
    return Pace(seconds / steps, device, TRAININGS, memory=memory)


def _keep(paces: dict[str, Pace], key: str, pace: Pace | None) -> None:
    if pace is not None and (key not in paces or pace.step > paces[key].step):
        paces[key] = pace


def _records(paths: Any) -> Iterator[dict[str, Any]]:
    for path in sorted(paths):
        try:
            found = read_json(path)
            found["job"]["params"]["model"] if path.name in ("train.json", "sidecar.json") else found[
                "step_time"
            ]
        except (InputError, KeyError, TypeError):
            continue
        yield found
