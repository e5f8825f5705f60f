"""`price`: what the jobs to run will cost: device hours by study, bytes to fetch, memory."""

import argparse
import json
import sys
from dataclasses import asdict

from pipeline_src.cli.text import columns, duration
from pipeline_src.config.study import Params
from pipeline_src.planning.freshness import Status, assess
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.paces import keep_timed, known_paces
from pipeline_src.planning.planned_job import Key
from pipeline_src.planning.price import Price, Pricing
from pipeline_src.planning.summary_jobs import Summaries
from pipeline_src.progress import track
from pipeline_src.running.gpus import visible_gpus

GIGABYTE = 1e9
TIMED_REPEATS = 3


def run_price(params: Params, options: argparse.Namespace) -> int:
    """Print the price of one scale, or a line for each of all scales."""
    if options.all_scales:
        rows = [["SCALE", "TRAININGS", "DEVICE TIME", "TO FETCH"]]
        found = {}
        for scale in params.scales:
            price = price_of(options.load(scale), measure=options.measure)
            found[scale] = price
            rows.append([scale, str(price.trainings), _hours(price.seconds, price), _bytes(price)])
        if options.json:
            print(json.dumps({scale: _as_json(price) for scale, price in found.items()}, indent=1))
        else:
            print("\n".join([*columns(rows), *_note(any(price.without_pace for price in found.values()))]))
        return 0
    price = price_of(params, measure=options.measure)
    print(json.dumps(_as_json(price), indent=1) if options.json else "\n".join(price_lines(price)))
    return 0


def price_of(params: Params, measure: bool = False) -> Price:
    """The price of what is to run at a scale; with `measure` steps of networks without a pace are timed."""
    graph = GraphBuilder(params)
    plan = Summaries(graph).build()
    statuses = assess(plan)
    price = graph_price(graph, statuses)
    if measure and price.without_pace:
        _time_steps(graph, price)
        price = graph_price(graph, statuses)
    return price


def graph_price(graph: GraphBuilder, statuses: dict[Key, Status]) -> Price:
    """The price of the jobs to run of a graph that is planned."""
    return Pricing(graph, statuses, known_paces(), on_gpu=bool(visible_gpus())).price()


def price_lines(price: Price) -> list[str]:
    """The price as lines of text; a last line says how to find out what is unknown."""
    if not price.trainings:
        return ["nothing to train"]
    rows = [["STUDY", "TRAININGS", "STEPS", "DEVICE TIME", "MEMORY", "KNOWN FROM"]]
    for key, study in price.studies.items():
        known = sorted({f"{source} ({device})" for source, device in study.sources})
        share = f"{study.known} of {study.trainings}" if 0 < study.known < study.trainings else ""
        rows.append(
            [
                key,
                str(study.trainings),
                f"{study.steps:,}" if study.steps else "?",
                duration(study.seconds) if study.known else "?",
                f"{study.memory / GIGABYTE:.1f} GB" if study.memory else "?",
                ", ".join([*([share] if share else []), *known]) or "nothing yet",
            ]
        )
    hours = f"{_hours(price.seconds, price)} of one device"
    total = f"{price.trainings} trainings: {hours}, to fetch: {_bytes(price)}"
    return [*columns(rows), total, *_note(bool(price.without_pace))]


def _note(unknown: bool) -> list[str]:
    return ["what is unknown: `python -m pipeline_src price --measure` times a few steps"] if unknown else []


def _hours(seconds: float, price: Price) -> str:
    if not price.known:
        return "?" if price.trainings else "0"
    if price.known < price.trainings:
        return f"{duration(seconds)} for {price.known} of {price.trainings}"
    return f"about {duration(seconds)}"


def _bytes(price: Price) -> str:
    download = price.download
    if not download.files:
        return "nothing"
    unknown = f" and {download.unknown} files of unknown size" if download.unknown else ""
    return f"{download.bytes / GIGABYTE:.1f} GB{unknown}, about twice that on disk"


def _as_json(price: Price) -> dict[str, object]:
    found = asdict(price)
    for study in found["studies"].values():
        study["sources"] = sorted(study["sources"])
    return found | {"trainings": price.trainings, "known": price.known, "seconds": price.seconds}


def _time_steps(graph: GraphBuilder, price: Price) -> None:
    """Time a few training steps of every network without a pace, on this machine, with a progress bar."""
    # imported here: the other prices need no torch
    from pipeline_src.options import from_json
    from pipeline_src.profiling.cost_params import MeasureCost
    from pipeline_src.steps.cost import time_cost

    networks = price.without_pace.items()
    threads = graph.params.compute.threads
    for key, name in track(networks, len(networks), "timing steps"):
        one = graph.experiments.architectures[name]
        params = {
            "model": one.model,
            **one.setting,
            "threads": threads,
            "repeats": TIMED_REPEATS,
            "warmup": 1,
        }
        try:
            keep_timed(key, time_cost(from_json(MeasureCost, params)))
        except RuntimeError as error:  # out of memory, above all
            print(f"warning: {name}: steps could not be timed: {str(error).splitlines()[0]}", file=sys.stderr)
