"""What a plan will cost, against numbers worked out by hand."""

from dataclasses import replace

import pytest

from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.yaml_text import read_yaml
from pipeline_src.data.set_sizes import images_of, published_sizes
from pipeline_src.errors import InputError
from pipeline_src.files import write_json
from pipeline_src.options import to_json
from pipeline_src.planning.freshness import NOT_DONE, Status
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.paces import COSTS, TRAININGS, Pace, Paces, cost_key, known_paces, training_key
from pipeline_src.planning.price import Pricing
from pipeline_src.planning.summary_jobs import Summaries

NOTHING = Paces({}, {})
GPU = "NVIDIA H100"


def graph_of(scale: str, **overlay: object) -> GraphBuilder:
    graph = GraphBuilder(
        load_params(overlays=[Layer("my.yaml", {"select": ["dfp"], **overlay})], scale=scale)
    )
    Summaries(graph).build()
    return graph


def price_of(graph: GraphBuilder, paces: Paces = NOTHING, on_gpu: bool = False, done: tuple[str, ...] = ()):
    statuses = {
        key: Status() if key[1] in done else Status((NOT_DONE,)) for key in graph.plan.jobs
    }  # fmt: skip
    return Pricing(graph, statuses, paces, on_gpu).price()


def trained(graph: GraphBuilder, pace: Pace) -> Paces:
    runs = graph.experiments.runs.values()
    keys = [training_key({"model": run.model, "recipe": to_json(run.recipe)}) for run in runs]
    return Paces(dict.fromkeys(keys, pace), {})


def test_a_training_takes_its_steps_at_the_pace_of_one_of_the_same_work():
    graph = graph_of("paper")
    price = price_of(graph, trained(graph, Pace(0.5, GPU, TRAININGS, memory=7)), on_gpu=True)
    # 30 epochs of 1,464 images by 3, last short batch dropped
    steps = 30 * (1464 // 3)
    study = price.studies["dfp"]
    assert (study.trainings, study.known, study.steps) == (30, 30, 30 * steps)
    assert study.seconds == pytest.approx(30 * steps * 0.5)
    assert (study.sources, study.memory) == ({(TRAININGS, GPU)}, 7)
    assert not price.without_pace


def test_measured_steps_count_by_images_and_pixels_and_validations_by_their_images():
    graph = graph_of("paper", cost={"batch": 1, "crop": [256, 256]}, studies={"dfp": {"seeds": 1}})
    costs = [cost_key(one.model, one.setting) for one in graph.experiments.architectures.values()]
    pace = Pace(0.1, GPU, COSTS, forward=0.01)
    price = price_of(graph, Paces({}, dict.fromkeys(costs, pace)), on_gpu=True)
    # batch 3 of 512x512 is 12 times the measured work; six validations and one test of 1,449 images
    expected = 6 * (14640 * 0.1 * 12 + 7 * 1449 * 0.01 * 4)
    assert price.seconds == pytest.approx(expected)


def test_a_cpus_pace_says_nothing_of_gpus_and_unknown_networks_are_named_once():
    graph = graph_of("paper")
    price = price_of(graph, trained(graph, Pace(0.5, "cpu (x86_64)", TRAININGS)), on_gpu=True)
    assert (price.trainings, price.known, price.seconds) == (30, 0, 0)
    assert sorted(price.without_pace.values()) == [f"dfp/depth-{depth}" for depth in range(6)]


def test_what_is_done_costs_nothing():
    graph = graph_of("paper")
    done = tuple(
        f"dfp/depth-{depth}/seed-{seed}" for depth in range(6) for seed in range(5) if (depth, seed) != (2, 3)
    )
    assert price_of(graph, done=done).trainings == 1


def test_bytes_to_fetch_are_those_of_archives_and_weights_that_are_not_here():
    graph = graph_of("paper")
    download = price_of(graph).download
    assert download.bytes >= 1_999_639_040 and download.files == 2  # VOC2012 and ResNet-50's weights
    assert price_of(graph, done=("voc2012_trainval",)).download.files == 1


def test_a_length_in_epochs_of_a_folder_is_counted_from_its_images(tmp_path):
    for folder, suffix in (("images", "jpg"), ("masks", "png")):
        (tmp_path / folder).mkdir()
        for number in range(10):
            (tmp_path / folder / f"{number}.{suffix}").touch()
    split = {"images": "images", "masks": "masks"}
    mine = {"format": "masks", "source": {"kind": "folder", "root": str(tmp_path)}, "classes": ["a", "b"]}
    graph = graph_of(
        "paper",
        datasets={"mine": mine | {"splits": {"train": split, "val": {**split, "limit": 4}}}},
        studies={"dfp": {"dataset": "mine", "seeds": 1}},
    )
    pricing = Pricing(graph, {}, NOTHING, on_gpu=False)
    assert (pricing.samples("mine", "train"), pricing.samples("mine", "val")) == (10, 4)
    assert price_of(graph).studies["dfp"].steps == 6 * 30 * 3


def test_published_sizes_add_up_over_sets_and_keep_to_a_limit():
    sizes = published_sizes()
    assert images_of("voc_detection", {"sets": ["2007/trainval", "2012/trainval"]}, sizes) == 16551
    assert images_of("coco", {"set": "train2017", "limit": 100}, sizes) == 100
    assert images_of("voc2012", {"set": "mine"}, sizes) is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("voc2012,train,many", "sizes.csv:3: images is 'many'"),
        ("voc2012,val,5", "sizes.csv:3: voc2012 val stands twice"),
    ],
)
def test_a_damaged_table_of_sizes_is_one_line(tmp_path, row, expected):
    table = tmp_path / "sizes.csv"
    table.write_text(f"format,set,images\nvoc2012,val,5\n{row}\n")
    with pytest.raises(InputError, match=expected):
        published_sizes(table)


def test_paces_are_read_from_records_of_any_scale_and_the_slowest_counts(tmp_path):
    graph = graph_of("paper", studies={"dfp": {"seeds": 1}})
    run = graph.experiments.runs["dfp/depth-2/seed-0"]
    params = {"model": run.model, "recipe": to_json(run.recipe)}
    sessions = [
        {"from_step": 0, "seconds": 60.0, "world_size": 2},  # killed after 100 steps
        {"from_step": 100, "seconds": 80.0, "world_size": 1},
    ]
    record = {"job": {"params": params}, "device": GPU, "peak_memory_bytes": 9}
    write_json(
        tmp_path / "results/one/runs/a/train.json",
        record | {"training": {"steps": 300, "sessions": sessions}},
    )
    whole = {"steps": 10, "sessions": [{"from_step": 0, "seconds": 1.0, "world_size": 1}]}
    write_json(tmp_path / "results/two/runs/b/train.json", record | {"training": whole})
    (tmp_path / "results/two/runs/c").mkdir()
    (tmp_path / "results/two/runs/c/train.json").write_text("{")
    architecture = graph.experiments.architectures["dfp/depth-2"]
    timing = {"step_time": 0.4, "latency": 0.6, "batch": 3, "peak_memory": None, "device": {"name": GPU}}
    write_json(tmp_path / "results/two/cost/d/timing.json", timing)
    measured = {"model": architecture.model, **architecture.setting, "threads": 4}
    outputs = {"timing": {"path": str(tmp_path / "results/two/cost/d/timing.json")}}
    write_json(
        tmp_path / "results/two/cost/d/sidecar.json", {"job": {"params": measured}, "outputs": outputs}
    )
    paces = known_paces(tmp_path / "results", tmp_path / "none")
    assert paces.trained == {training_key(params): Pace((2 * 60 + 80) / 300, GPU, TRAININGS, memory=9)}
    assert paces.measured == {
        cost_key(architecture.model, architecture.setting): Pace(0.4, GPU, COSTS, forward=pytest.approx(0.2))
    }


def test_weights_and_learning_rate_do_not_change_the_work_of_a_step_but_images_do():
    run = graph_of("paper").experiments.runs["dfp/depth-2/seed-0"]
    recipe = to_json(run.recipe)
    key = training_key({"model": run.model, "recipe": recipe})
    other = {**run.model, "backbone": {**run.model["backbone"], "weights": None}}
    assert training_key({"model": other, "recipe": {**recipe, "optimizer": {"kind": "adamw"}}}) == key
    assert training_key({"model": run.model, "recipe": to_json(replace(run.recipe, batch=6))}) != key


def test_first_seeds_of_all_rows_come_before_the_second_of_any():
    graph = graph_of("paper", studies={"dfp": {"first_seed": 100}})
    ranks = {job.name: job.rank for job in graph.plan.jobs.values() if job.step in ("train", "evaluate")}
    assert ranks == {f"dfp/depth-{depth}/seed-{100 + seed}": seed for depth in range(6) for seed in range(5)}


def test_a_run_that_others_start_from_has_the_rank_of_the_first_of_them():
    first = {**read_yaml("params.yaml")["studies"]["dfp"], "seeds": 3}
    start = {"study": "first", "row": "depth 0", "seed": 2}
    graph = graph_of("paper", select=["dfp", "first"], studies={"first": first, "dfp": {"init_from": start}})
    ranks = [graph.plan.jobs["train", f"first/depth-0/seed-{seed}"].rank for seed in range(3)]
    assert ranks == [0, 1, 0]
