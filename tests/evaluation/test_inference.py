"""Sliding windows against a loop over single windows, and test-time resizing."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from pipeline_src.config.recipe import EvaluationSection
from pipeline_src.data.segmentation.transforms import fitted_size
from pipeline_src.errors import InputError
from pipeline_src.evaluation.confusion import Confusion
from pipeline_src.evaluation.inference import inference_of, resized, sliding, window_starts
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.evaluation.segmentation_pass import evaluate_model, whole_image
from pipeline_src.options import from_json
from pipeline_src.steps.evaluate import evaluate
from pipeline_src.steps.export_submission import export_submission
from tests.evaluation.test_voc_submission import FOLDER, read_archive
from tests.evaluation.tiny_run import CLASSES, IDS, MODEL, SIZES, make_job

LENGTHS = st.integers(1, 40)


def network(seed=0):
    """Logits that depend on the position in the window, by zero padding and a global mean."""
    torch.manual_seed(seed)
    first, last = nn.Conv2d(3, 6, 5, padding=2), nn.Conv2d(6, 4, 1)

    class Net(nn.Module):
        sizes: list = []  # noqa: RUF012

        def forward(self, images):
            self.sizes.append(tuple(images.shape[-2:]))
            hidden = first(images).relu()
            return last(hidden + hidden.mean(dim=(2, 3), keepdim=True)).double()

    net = Net().eval()
    net.sizes = []
    return net


def images(height, width, seed=0):
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def by_windows(model, image, window, stride):
    """Every window on its own, padded to the image; places by MMSegmentation's formula."""
    height, width = image.shape[-2:]
    rows = max(height - window[0] + stride[0] - 1, 0) // stride[0] + 1
    columns = max(width - window[1] + stride[1] - 1, 0) // stride[1] + 1
    total, count = 0, torch.zeros(height, width)
    for row in range(rows):
        for column in range(columns):
            bottom = min(row * stride[0] + window[0], height)
            right = min(column * stride[1] + window[1], width)
            top, left = max(bottom - window[0], 0), max(right - window[1], 0)
            logits = model(image[:, :, top:bottom, left:right])
            total = total + F.pad(logits, (left, width - right, top, height - bottom))
            count[top:bottom, left:right] += 1
    assert count.min() >= 1
    return total / count


@given(LENGTHS, LENGTHS, st.integers(1, 20), st.integers(1, 20), st.floats(0.01, 1), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
@torch.no_grad()
def test_sliding_is_the_mean_over_all_windows(height, width, down, across, part, seed):
    stride = (max(1, int(down * part)), max(1, int(across * part)))
    if height * width / (stride[0] * stride[1]) > 400:
        stride = (down, across)
    model, image = network(seed), images(height, width, seed)
    found = sliding((down, across), stride)(model, image)
    expected = by_windows(model, image, (down, across), stride)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("length", "window", "stride", "expected"),
    [
        (10, 4, 4, [0, 4, 6]),
        (8, 4, 4, [0, 4]),
        (10, 4, 3, [0, 3, 6]),
        (11, 4, 3, [0, 3, 6, 7]),
        (4, 4, 2, [0]),
        (3, 4, 2, [0]),
        (683, 512, 341, [0, 171]),
    ],
)
def test_the_last_window_ends_with_the_axis(length, window, stride, expected):
    assert window_starts(length, window, stride) == expected


@torch.no_grad()
def test_a_window_larger_than_the_image_is_the_whole_image():
    model, image = network(), images(13, 9)
    assert torch.equal(sliding((40, 30), (20, 10))(model, image), model(image))
    assert model.sizes == [(13, 9)] * 2
    sliding((40, 5), (20, 3))(model, image)
    assert model.sizes[2:] == [(13, 5)] * 3


@torch.no_grad()
def test_windows_side_by_side_do_not_mix():
    model, image = network(), images(12, 16)
    found = sliding((6, 8), (6, 8))(model, image)
    for top in (0, 6):
        for left in (0, 8):
            window = (..., slice(top, top + 6), slice(left, left + 8))
            assert torch.equal(found[window], model(image[window]))


@pytest.mark.parametrize("inner", [whole_image, sliding((16, 16), (9, 11))])
@pytest.mark.parametrize("size", [(15, 31), (50, 33), (7, 90), (20, 20)])
@torch.no_grad()
def test_a_resized_image_has_logits_of_its_own_size(inner, size):
    model, image = network(), images(*size)
    found = resized(inner, (60, 24))(model, image)
    new = fitted_size(size, (60, 24))
    assert found.shape[-2:] == size
    small = F.interpolate(image, size=new, mode="bilinear", align_corners=False)
    expected = F.interpolate(inner(model, small), size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_resizing_before_the_normalisation_is_the_same_up_to_rounding():
    image = torch.randint(0, 256, (1, 3, 37, 45), generator=torch.Generator().manual_seed(1)).float()
    mean, std = torch.tensor([120.0, 110, 100]).view(3, 1, 1), torch.tensor([58.0, 57, 56]).view(3, 1, 1)
    size = fitted_size((37, 45), (90, 60))
    seen = []
    resized(lambda model, images: seen.append(images) or images, (90, 60))(
        nn.Identity(), (image - mean) / std
    )
    first = F.interpolate(image, size=size, mode="bilinear", align_corners=False).round()
    assert ((first - mean) / std - seen[0]).abs().max() <= 0.5 / 56 + 1e-5


@torch.no_grad()
def test_a_section_becomes_its_inference():
    model, image = network(), images(30, 41)
    assert inference_of(Evaluation()) is whole_image
    for section in (
        {"mode": "slide", "window": [16, 20], "stride": [10, 13]},
        {"mode": "slide", "window": [16, 20], "stride": [10, 13], "resize": [50, 25]},
        {"mode": "whole", "resize": [50, 25]},
    ):
        inner = sliding((16, 20), (10, 13)) if section["mode"] == "slide" else whole_image
        expected = resized(inner, (50, 25)) if "resize" in section else inner
        read, checked = from_json(Evaluation, section), EvaluationSection.model_validate(section).given()
        assert read == checked
        assert torch.equal(inference_of(read)(model, image), expected(model, image))


def test_an_unknown_mode_and_a_stride_that_leaves_gaps_are_refused_in_one_line():
    with pytest.raises(InputError, match=r"^evaluation\.mode: 'flip'; allowed: whole, slide$"):
        from_json(Evaluation, {"mode": "flip"}, "evaluation")
    with pytest.raises(InputError, match=r"^evaluation\.stride: \[9, 1\] is larger than the window"):
        sliding((8, 8), (9, 1))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"mode": "slide"}, "mode slide needs window and stride"),
        ({"mode": "slide", "window": [8, 8]}, "mode slide needs window and stride"),
        ({"mode": "slide", "window": [8, 8], "stride": [8, 9]}, "leaves gaps between windows"),
        ({"mode": "whole", "stride": [8, 8]}, "mode whole has no window and no stride"),
        ({"resize": [512, 2048]}, r"resize \[512, 2048\]: the long side comes first"),
    ],
)
def test_an_inconsistent_configuration_is_refused(section, message):
    with pytest.raises(ValueError, match=message):
        EvaluationSection.model_validate(section)
    with pytest.raises(ValueError, match=message):
        from_json(Evaluation, section)


def test_scores_are_counted_at_the_images_own_size():
    rng = np.random.default_rng(0)
    scenes = [
        (torch.randn(3, *size), rng.integers(0, 4, size).astype(np.uint8), str(size))
        for size in [(9, 13), (31, 17)]
    ]
    inference = inference_of(Evaluation(mode="slide", window=[12, 12], stride=[7, 7], resize=[40, 20]))
    model, expected = network(), Confusion(4)
    for image, mask, _ in scenes:
        with torch.no_grad():
            expected.add(mask, inference(model, image[None])[0].argmax(0).numpy())
    assert (
        evaluate_model(model, scenes, 4, "cpu", inference=inference)["confusion"] == expected.counts.tolist()
    )


def test_the_steps_infer_as_their_section_says(run, tmp_path):
    section = {"mode": "slide", "window": [32, 32], "stride": [21, 21], "resize": [80, 40]}
    norm, inference = MODEL["backbone"], inference_of(from_json(Evaluation, section))
    voc = tmp_path / "voc" / "VOCdevkit" / "VOC2012"
    expected = Confusion(len(CLASSES))
    predictions = {}
    for image_id, (width, height) in zip(IDS, SIZES, strict=True):
        with Image.open(voc / "JPEGImages" / f"{image_id}.jpg") as image:
            pixels = np.asarray(image, dtype=np.float32) / 255
        normalised = (pixels - np.float32(norm["mean"])) / np.float32(norm["std"])
        with torch.no_grad():
            logits = inference(run, torch.from_numpy(normalised.transpose(2, 0, 1)[None].copy()))
        assert logits.shape[-2:] == (height, width)
        predictions[image_id] = logits.argmax(1)[0].numpy()
        mask = np.asarray(Image.open(voc / "SegmentationClass" / f"{image_id}.png"))
        expected.add(mask, predictions[image_id])
    common = {"model": MODEL, "threads": 1, "deterministic": True}
    params = {
        **common,
        "data": {"num_classes": len(CLASSES), "ignore_index": 255},
        "evaluation": {**section, "split": "val", "overlays": 1},
    }
    job = make_job(
        "evaluate",
        params,
        {"manifest": "manifest.json", "train": "train.json"},
        {"sidecar": "evaluate.json", "metrics": "metrics.json", "overlays": "overlays"},
    )
    evaluate(job, "cpu")
    assert json.loads((tmp_path / "metrics.json").read_text())["confusion"] == expected.counts.tolist()

    job = make_job(
        "export_submission",
        {**common, "root": str(tmp_path / "voc"), "evaluation": section},
        {"train": "train.json"},
        {"sidecar": "submission.json", "archive": "submission.tar.gz"},
    )
    export_submission(job, "cpu")
    found = read_archive(tmp_path / "submission.tar.gz")
    for image_id, prediction in predictions.items():
        assert (found[f"{FOLDER}/{image_id}.png"] == prediction).all()
