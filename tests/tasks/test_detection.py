"""Detection through the same steps as segmentation: trained, resumed, evaluated, described."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.resolve import model_components
from pipeline_src.errors import InputError
from pipeline_src.evaluation.coco_ap import COCO_METRICS
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.options import from_json
from pipeline_src.profiling.cost_params import MeasureCost
from pipeline_src.profiling.describe_detector import PROPOSALS, describe_detector
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.prediction_pictures import read_panels
from pipeline_src.steps.cost import count_cost, time_cost
from pipeline_src.tasks.detection import training as detection_training
from pipeline_src.tasks.detection.costs import COSTS, made_up_batch
from pipeline_src.tasks.detection.objective import DetectionObjective
from pipeline_src.tasks.detection.training import READING, TRAINING
from pipeline_src.tasks.instances.training import READING as INSTANCE_READING
from pipeline_src.tasks.segmentation import training as segmentation_training
from pipeline_src.training import engine
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.precision import Precision
from tests.jobs import change_job, run_job
from tests.tasks.tiny_detection import (
    CLASSES,
    DETECTOR,
    RECIPE,
    evaluate_job,
    experiments,
    overlay,
    run_params,
    train_job,
    write_data,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("boxes")
    write_data(root)
    return root


def train(job: Path, *options: str) -> None:
    run_job(job, "--device", "cpu", "--work", f"{job}.work", *options)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    train(train_job(folder, data))
    return folder


def test_the_last_validation_is_what_the_evaluation_finds(trained, data):
    run_job(evaluate_job(trained, data), "--device", "cpu")
    metrics = json.loads((trained / "metrics.json").read_text())
    with open(trained / "curve.csv", newline="") as file:
        curve = {(row["step"], row["metric"]): float(row["value"]) for row in csv.DictReader(file)}
    for name in ("ap", "ap50", "ap_small", "ar100"):
        assert curve["9", name] == metrics[name]
    assert metrics["images"] == 3 and metrics["objects"] == 6
    assert metrics["ap_large"] is None and list(metrics["per_class"]) == CLASSES
    assert 0 <= metrics["voc_ap"] <= 1
    shown = json.loads((trained / "overlays" / "index.json").read_text())["images"]
    assert len(shown) == 3 and all((trained / "overlays" / one["panel"]).is_file() for one in shown)
    assert len(shown[0]["truth"]) == 2
    sidecar = json.loads((trained / "evaluate.json").read_text())
    # what the report page shows of any task
    assert [panel["id"] for panel in read_panels(sidecar)] == [one["id"] for one in shown]
    assert sidecar["scores"]["ap"] == metrics["ap"]


def test_a_stopped_training_ends_with_the_same_bits(trained, data, tmp_path, monkeypatch):
    job = train_job(tmp_path, data)
    step = engine.Trainer.train_step

    def dies(self, batch):
        if self.step == 5:
            raise KeyboardInterrupt
        step(self, batch)

    monkeypatch.setattr(engine.Trainer, "train_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train(job, "--checkpoint-steps", "2")
    monkeypatch.undo()
    train(job, "--checkpoint-steps", "2")
    assert json.loads((tmp_path / "train.json").read_text())["training"]["resumed_from"] == [4]
    ours, theirs = load_file(tmp_path / "model.safetensors"), load_file(trained / "model.safetensors")
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    assert (tmp_path / "log.csv").read_bytes() == (trained / "log.csv").read_bytes()


def test_several_test_sizes_are_merged(trained, data, tmp_path):
    evaluation = {"evaluation.scales": [[96, 64], [120, 80]]}
    tables = [{"number": 1, "title": "t", "row": "{sizes}", "metrics": ["ap"]}]
    found = {"vary": {"sizes": {"two": evaluation}}, "tables": tables}
    path = evaluate_job(tmp_path, data, **found)
    assert Job.load(path).params["evaluation"]["scales"] == [[96, 64], [120, 80]]
    path = change_job(path, lambda job: job.inputs.update(train=str(trained / "train.json")))
    run_job(path, "--device", "cpu")
    assert json.loads((tmp_path / "metrics.json").read_text())["images"] == 3


def test_batch_norms_of_detectors_are_not_synchronised():
    assert segmentation_training.TRAINING.synchronise_bn
    assert not TRAINING.synchronise_bn


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_loss_is_the_detectors_own_in_weighted_parts(data, parts):
    model = build_detector(run_params(experiments(data))["model"]).train()
    objective, batch = DetectionObjective(), made_up_batch(4, (64, 96), 3, CPU)
    split = objective.split(batch, parts)
    assert [len(images) for images, _ in split] == {1: [4], 2: [2, 2], 3: [2, 1, 1]}[parts]
    assert [len(images) for images, _ in split] == [len(targets) for _, targets in split]
    for part in split:
        torch.manual_seed(3)
        ours = objective.loss(model, part, objective.count(batch), CPU, Precision("none", CPU))
        torch.manual_seed(3)
        theirs = sum(model(*part).values()) * len(part[0]) / 4
        torch.testing.assert_close(ours, theirs)


def test_costs_follow_the_convention(data):
    params = run_params(experiments(data))
    optimizer = {**RECIPE["optimizer"], "weight_decay": 0.0, "nesterov": False}
    recipe = {
        "optimizer": optimizer,
        "amp": "none",
        "accumulate": 1,
        "loss": {},
    }
    cost = from_json(MeasureCost, {
        "model": params["model"], "crop": [64, 96], "batch": 2, "recipe": recipe, "threads": 1,
        "repeats": 1, "warmup": 0,
    })  # fmt: skip
    counted = count_cost(cost)
    assert list(counted["parts"]) == ["backbone", "neck", "rpn", "roi_heads"]
    assert counted["flops"] == sum(part["flops"] for part in counted["parts"].values())
    # 1,000 regions of 16 channels, 7x7, two layers of 32, and 3 scores and 12 offsets
    assert counted["parts"]["roi_heads"]["flops"] == 2 * 1000 * (16 * 49 * 32 + 32 * 32 + 32 * (3 + 12))
    own = sum(p.numel() for p in build_detector(params["model"]).parameters())
    assert counted["parameters"] == own == sum(part["parameters"] for part in counted["parts"].values())
    assert counted["saved_bytes"] > 0 and count_cost(cost) == counted
    # sides are padded to a multiple of 32
    odd = [count_cost(replace(cost, crop=[height, width]))["flops"] for height, width in ((33, 65), (64, 96))]
    assert odd[0] == odd[1] == counted["flops"]
    # an image's bytes count for every image of the batch
    assert count_cost(replace(cost, batch=6))["saved_bytes"] == 3 * counted["saved_bytes"]
    timed = time_cost(cost)
    assert timed["latency"] > 0 and timed["step_time"] > 0


@pytest.mark.parametrize("batch", [1, 2])
def test_bytes_of_a_batch_that_is_really_run_are_those_that_it_keeps(data, batch):
    """Counted by autograd's own hooks: every storage once, without parameters and buffers."""
    model = run_params(experiments(data))["model"]
    torch.manual_seed(0)
    detector = build_detector(model).train()
    images, targets = made_up_batch(batch, (64, 96), model["num_classes"], CPU)
    kept = []

    def keep(tensor):
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = torch.stack(list(detector(images, targets).values())).sum()
    own = {one.untyped_storage().data_ptr() for one in detector.state_dict(keep_vars=True).values()}
    sizes = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in kept}
    expected = sum(size for place, size in sizes.items() if place not in own)
    assert losses.requires_grad
    assert COSTS.saved_bytes(model, batch, (64, 96)) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_stage_of_a_cascade_costs(data, count):
    """Each stage has its own two layers and predictor, of which every region passes each."""
    stage = {"iou": 0.5, "loss_weight": 1.0, "box_weights": [10.0, 10.0, 5.0, 5.0]}
    detector = {**DETECTOR, "kind": "cascade_rcnn", "stages": [stage] * count}
    (run,) = experiments(data, model={"backbone": "tiny", "detector": detector}).runs.values()
    cost = describe_detector(run.model, (64, 96))
    pooled, width, classes = 16 * 7 * 7, 32, 3
    layers = pooled * width + width * width + width * classes + width * 4
    assert cost["parts"]["roi_heads"]["flops"] == count * 2 * PROPOSALS * layers


def test_a_detectors_cost_is_measured_at_its_last_training_size(data):
    """Height by width of an image of the last scale, which says long by short side."""
    tree = overlay(data)
    tree["recipes"]["tiny"] = {**RECIPE, "augment": {"scales": [[80, 48], [96, 64]], "flip": 0.5}}
    tree["cost"] = {"crop": None}
    found = expand(load_params(overlays=[Layer("my.yaml", tree)], scale="demo"))
    (architecture,) = found.architectures.values()
    assert architecture.setting["crop"] == [64, 96]
    (scoring,) = found.scorings.values()
    assert scoring.evaluation.scales == [[96, 64]]


@pytest.mark.parametrize(("reading", "prefix"), [(READING, ""), (INSTANCE_READING, "mask_")])
def test_scores_of_a_validation_are_fractions_as_those_of_the_evaluation(
    data, tmp_path, monkeypatch, reading, prefix
):
    percent = {**dict.fromkeys(COCO_METRICS, 40.0), "ap": 62.5, "ap50": 100.0, "ap_large": None}
    asked = []
    monkeypatch.setattr(
        detection_training, "collect_detections", lambda *given, **options: ("found", "there")
    )
    monkeypatch.setattr(detection_training, "coco_scores", lambda *given: asked.append(given) or percent)
    job = Job.load(train_job(tmp_path, data))
    boxes = replace(reading, dataset=READING.dataset)
    validate = boxes.open_data(job, Ranks(0, 1, CPU), 0).validate
    scores = validate(nn.Identity())
    assert asked == [("found", "there", reading.shapes)]
    assert list(scores) == [f"{prefix}{name}" for name in COCO_METRICS if name != "ap_large"]
    assert (scores[f"{prefix}ap"], scores[f"{prefix}ap50"], scores[f"{prefix}ar1"]) == (0.625, 1.0, 0.4)


class FindsNothing(nn.Module):
    """Remembers the sizes of the images that it sees."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, images):
        self.sizes += [tuple(image.shape[-2:]) for image in images]
        return [{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0).long()}]


def test_validation_is_at_the_last_of_the_training_scales(data, tmp_path):
    scales = [[160, 96], [80, 48], [96, 64]]
    job = Job.load(train_job(tmp_path, data, vary={"recipe.augment.scales": [scales]}))
    model = FindsNothing()
    scores = TRAINING.open_data(job, Ranks(0, 1, CPU), 0).validate(model)
    assert scores["ap"] == 0
    resize = GeneralizedRCNNTransform(64, 96, [0.0] * 3, [1.0] * 3).eval().resize
    there = [torch.zeros(3, height, width) for height, width in ((64, 90), (90, 61), (64, 90))]
    assert model.sizes == [tuple(resize(image, None)[0].shape[-2:]) for image in there]


def test_costs_of_maps_of_one_pixel_can_be_counted(data):
    detector = {"kind": "faster_rcnn", "fpn_channels": 16, "frozen_norm": False, "frozen_stages": None}
    detector["levels"] = [2, 3, 4, 5, 6, 7, 8]
    deep = {"backbone": "tiny", "pyramid": {"kind": "ipg", "stages": 7}, "detector": detector}
    model = run_params(experiments(data, model=deep))["model"]
    # the last map of 128x128 is one pixel, of which BN in training needs two
    assert COSTS.saved_bytes(model, 2, (128, 128)) > 0


@pytest.mark.parametrize("kind", ["retinanet", "cascade_rcnn"])
def test_every_detector_is_described(data, kind):
    detector = {"kind": kind, "fpn_channels": 16}
    model = run_params(experiments(data, model={"backbone": "tiny", "detector": detector}))["model"]
    described = COSTS.describe(model, (96, 64))
    assert all(part["flops"] > 0 and part["parameters"] > 0 for part in described["parts"].values())
    assert described["parameters"] == sum(part["parameters"] for part in described["parts"].values())
    assert f"detector.{kind}" in model_components(model)


FCN = {"kind": "fcn", "num_convs": 0, "concat_input": False}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"detector": None, "decoder": FCN}}, r"studies\.tiny\.dataset: 'tiny' has boxes"),
        ({"dataset": "voc2012"}, r"studies\.tiny\.dataset: 'voc2012' has masks; a detector learns from"),
        ({"recipe": "dfp"}, r"recipes\.dfp\.augment: .* an augment with scales, for images with boxes"),
        ({"model": {"decoder": FCN}}, r"studies\.tiny\.model: set exactly one of decoder, detector"),
        (
            {"model": {"detector": {"kind": "faster_rcnn", "levels": [2, 6]}}},
            r"studies\.tiny\.model\.detector\.levels: 6 is not there; this network's levels are 2 to 5",
        ),
    ],
)
def test_what_does_not_go_together_is_named(data, changes, message):
    base = overlay(data)["studies"]["tiny"]["model"]
    if "model" in changes:
        changes = {"model": {**base, **changes["model"]}}
    with pytest.raises(InputError, match=message):
        experiments(data, **changes)
