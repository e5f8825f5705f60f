"""Whole-image evaluation with small models whose predictions are known."""

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing, nn

from pipeline_src.errors import InputError
from pipeline_src.evaluation.confusion import Confusion
from pipeline_src.evaluation.segmentation_pass import evaluate_model

CLASSES = 4
SIZES = [(9, 13), (1, 5), (16, 11), (7, 7), (23, 3)]


class Scenes:
    """Random images of different odd sizes with random masks, some pixels to be ignored."""

    def __init__(self, seed=0, sizes=SIZES):
        rng = np.random.default_rng(seed)
        self.items = []
        for number, (height, width) in enumerate(sizes):
            image = torch.from_numpy(rng.standard_normal((3, height, width)).astype(np.float32))
            mask = rng.integers(0, CLASSES, (height, width)).astype(np.uint8)
            mask[rng.random((height, width)) < 0.15] = 255
            self.items.append((image, mask, f"scene_{number}"))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class PixelClassifier(nn.Module):
    """A 1x1 convolution, so that the expected class of a pixel can be computed by hand."""

    def __init__(self, seed=0):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.dropout = nn.Dropout(0.9)
        self.head = nn.Conv2d(3, CLASSES, 1)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, images):
        return self.head(self.dropout(self.norm(images)))


def expected_classes(model, image):
    """The model in evaluation mode, written with NumPy: fresh BN divides by sqrt(1 + eps)."""
    weight = model.head.weight.detach().numpy()[:, :, 0, 0].astype(np.float64)
    bias = model.head.bias.detach().numpy().astype(np.float64)
    pixels = image.numpy().astype(np.float64) / np.sqrt(1 + model.norm.eps)
    return (np.einsum("oc,chw->ohw", weight, pixels) + bias[:, None, None]).argmax(0)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_one_matrix_over_all_images_at_their_own_sizes(seed):
    scenes, model = Scenes(seed), PixelClassifier(seed)
    result = evaluate_model(model, scenes, CLASSES, "cpu")
    expected = Confusion(CLASSES)
    for image, mask, _ in scenes.items:
        expected.add(mask, expected_classes(model, image))
    assert result["confusion"] == expected.counts.tolist()
    assert result["miou"] == expected.scores()["miou"]
    assert result["images"] == len(SIZES)


def test_miou_is_not_the_mean_over_images():
    """Guard against averaging per image: two images of which each alone is perfect or useless."""
    scenes = Scenes(sizes=[(4, 4), (12, 12)])
    model = PixelClassifier()
    first = expected_classes(model, scenes.items[0][0]).astype(np.uint8)
    scenes.items[0] = (scenes.items[0][0], first, "right")
    result = evaluate_model(model, scenes, CLASSES, "cpu")
    per_image = []
    for image, mask, _ in scenes.items:
        one = Confusion(CLASSES)
        one.add(mask, expected_classes(model, image))
        per_image.append(one.scores()["miou"])
    assert abs(result["miou"] - np.mean(per_image)) > 0.05


def test_every_module_has_its_mode_back_and_fixed_ones_stay_fixed():
    model = PixelClassifier().train()
    model.norm.eval()
    statistics = model.norm.running_mean.clone()
    evaluate_model(model, Scenes(), CLASSES, "cpu")
    assert model.training and model.dropout.training and model.head.training
    assert not model.norm.training
    assert torch.equal(model.norm.running_mean, statistics)


def test_modes_come_back_after_an_error():
    model = PixelClassifier().train()
    scenes = Scenes()
    scenes.items[1] = (scenes.items[1][0], np.full((1, 5), 77, dtype=np.uint8), "bad")
    with pytest.raises(ValueError, match="ground truth holds id 77"):
        evaluate_model(model, scenes, CLASSES, "cpu")
    assert all(module.training for module in model.modules())


def test_training_goes_on_after_an_evaluation():
    """A tensor cached by the model during evaluation must be usable under autograd later."""

    class Caching(PixelClassifier):
        offset = None

        def forward(self, images):
            if self.offset is None:
                self.offset = torch.ones(1) * 2
            return super().forward(images) * self.offset

    model = Caching()
    evaluate_model(model, Scenes(), CLASSES, "cpu")
    model.train()(torch.randn(2, 3, 4, 4)).sum().backward()
    assert model.head.weight.grad is not None


def test_predictions_are_handed_out_in_the_order_of_the_dataset():
    seen = []
    scenes, model = Scenes(), PixelClassifier()
    evaluate_model(
        model,
        scenes,
        CLASSES,
        "cpu",
        on_prediction=lambda i, name, image, truth, p: seen.append((i, name, p)),
    )
    assert [(index, name) for index, name, _ in seen] == [(i, f"scene_{i}") for i in range(len(SIZES))]
    for (_, _, prediction), (image, _, _) in zip(seen, scenes.items, strict=True):
        assert (prediction == expected_classes(model, image)).all()


def test_loader_processes_change_nothing():
    scenes, model = Scenes(), PixelClassifier()
    assert evaluate_model(model, scenes, CLASSES, "cpu", workers=2) == evaluate_model(
        model, scenes, CLASSES, "cpu"
    )


class BrokenScenes(Scenes):
    """Its third image cannot be read."""

    def __getitem__(self, index):
        if index == 2:
            raise InputError("scene_2.png: cannot be read")
        return self.items[index]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_one_line_from_any_process(workers):
    with pytest.raises(InputError) as caught:
        evaluate_model(PixelClassifier(), BrokenScenes(), CLASSES, "cpu", workers=workers)
    assert str(caught.value) == "scene_2.png: cannot be read"


def test_another_way_of_inference_can_be_passed():
    scenes, model = Scenes(), PixelClassifier()
    flipped = evaluate_model(
        model, scenes, CLASSES, "cpu", inference=lambda m, images: m(images.flip(-1)).flip(-1)
    )
    assert flipped == evaluate_model(model, scenes, CLASSES, "cpu")  # a 1x1 convolution does not mind


def test_logits_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"scene_0: logits are \(1, 4, 4, 6\), expected \(1, 4, 9, 13\)"):
        evaluate_model(nn.Sequential(PixelClassifier(), nn.MaxPool2d(2)), Scenes(), CLASSES, "cpu")


def test_a_diverged_model_is_refused():
    model = PixelClassifier()
    with torch.no_grad():
        model.head.bias[2] = float("nan")
    with pytest.raises(ValueError, match="scene_0: the logits are not finite"):
        evaluate_model(model, Scenes(), CLASSES, "cpu")


def _evaluate_as_rank(rank, world, address, results):
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=world)
    names = []
    result = evaluate_model(
        PixelClassifier(3),
        Scenes(3),
        CLASSES,
        "cpu",
        on_prediction=lambda index, name, *arrays: names.append(index),
    )
    results[rank] = (result, names)
    distributed.destroy_process_group()


def test_two_ranks_share_the_images_and_agree_with_one(tmp_path):
    with multiprocessing.Manager() as manager:
        results = manager.dict()
        address = f"file://{tmp_path / 'rendezvous'}"
        multiprocessing.spawn(_evaluate_as_rank, args=(2, address, results), nprocs=2)
        (first, first_images), (second, second_images) = results[0], results[1]
    assert first == second == evaluate_model(PixelClassifier(3), Scenes(3), CLASSES, "cpu")
    assert (first_images, second_images) == ([0, 2, 4], [1, 3])
