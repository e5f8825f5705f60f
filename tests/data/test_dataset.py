import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_src.data.loader import (
    SampleKey,
    StepSampler,
    batch_source,
    epoch_order,
    steps_per_epoch,
    training_loader,
)
from pipeline_src.data.make_manifest import build_manifest
from pipeline_src.data.readers.mask_folders import read_masks
from pipeline_src.data.readers.voc2012 import read_voc2012
from pipeline_src.data.segmentation.dataset import SegmentationDataset
from pipeline_src.data.segmentation.labels import LabelSpace
from pipeline_src.data.segmentation.transform_options import Augment, RandomResize
from pipeline_src.data.segmentation.transforms import EvalTransform, TrainTransform
from pipeline_src.errors import InputError
from pipeline_src.files import digest_file, write_json
from pipeline_src.tasks.segmentation.manifest import MaskChecks
from pipeline_src.training.distributed import Ranks

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
AUGMENT = Augment(resize=RandomResize([0.5, 2.0]), crop=[21, 27])


def write(built, folder, classes):
    index = folder / "index.json"
    write_json(index, built.index)
    facts = {"dataset": "test", "index": str(index), "classes": classes, **built.facts}
    write_json(folder / "manifest.json", {"content": built.content, **facts})
    return folder / "manifest.json"


@pytest.fixture(scope="module")
def voc_manifest(voc_folder, tmp_path_factory):
    listings = {name: read_voc2012([voc_folder], name, {"set": name}) for name in ("train", "val")}
    built = build_manifest(listings, MaskChecks(LabelSpace.of(21, 255)))
    return write(built, tmp_path_factory.mktemp("results"), [str(label) for label in range(21)])


@pytest.fixture
def own_manifest(masks_folder, masks_splits, tmp_path):
    root = masks_folder()
    listings = {name: read_masks([root], name, spec) for name, spec in masks_splits.items()}
    return write(
        build_manifest(listings, MaskChecks(LabelSpace.of(3, 11))), tmp_path / "results", ["x", "y", "z"]
    )


@pytest.fixture(scope="module")
def train_set(voc_manifest):
    return SegmentationDataset(voc_manifest, "train", TrainTransform.of(AUGMENT, MEAN, STD))


def test_evaluation_item_is_the_normalised_image_the_mask_and_the_id(voc_manifest, voc_folder):
    data = SegmentationDataset(voc_manifest, "val", EvalTransform.of(MEAN, STD))
    voc = voc_folder / "VOCdevkit/VOC2012"
    assert len(data) == 4 and data.num_classes == 21 and data.ignore_index == 255
    for index, key in enumerate((voc / "ImageSets/Segmentation/val.txt").read_text().split()):
        image, mask, name = data[index]
        pixels = np.asarray(Image.open(voc / "JPEGImages" / f"{key}.jpg")).astype(np.float64) / 255
        expected = ((pixels - MEAN) / STD).transpose(2, 0, 1)
        assert name == key and image.dtype == torch.float32 and mask.dtype == torch.uint8
        assert np.allclose(image.numpy(), expected, atol=1e-5)
        assert np.array_equal(mask.numpy(), np.asarray(Image.open(voc / "SegmentationClass" / f"{key}.png")))


def test_own_ids_become_training_ids(own_manifest, masks_folder):
    data = SegmentationDataset(own_manifest, "train")
    for index, record in enumerate(data.records):
        image, mask, name = data[index]
        raw = np.asarray(Image.open(data.root / record.mask))
        assert name == record.id and image.dtype == torch.uint8
        assert np.array_equal(mask.numpy(), np.where(raw == 11, 255, raw)) and 11 in raw


def test_training_sample_follows_from_seed_epoch_and_number(train_set):
    image, mask = train_set[SampleKey(1, 2, 3)]
    again = train_set[(1, 2, 3)]
    assert image.shape == (3, 21, 27) and mask.shape == (21, 27) and mask.dtype == torch.int64
    assert torch.equal(image, again[0]) and torch.equal(mask, again[1])
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert not torch.equal(image, train_set[other][0])


def test_wrong_kind_of_key_for_the_transform_is_an_error(train_set, voc_manifest):
    with pytest.raises(TypeError, match="asked for by SampleKey"):
        train_set[0]
    with pytest.raises(TypeError, match="need a TrainTransform"):
        SegmentationDataset(voc_manifest, "train")[SampleKey(0, 0, 0)]


def test_bad_manifests_are_named(own_manifest, tmp_path):
    with pytest.raises(InputError, match=r"has no split 'test'; it has train, val"):
        SegmentationDataset(own_manifest, "test")
    with pytest.raises(InputError, match="no such file"):
        SegmentationDataset(tmp_path / "none.json", "train")
    index = own_manifest.with_name("index.json")
    index.write_text(index.read_text().replace('"a"', '"q"', 1))
    with pytest.raises(InputError, match="does not belong to"):
        SegmentationDataset(own_manifest, "train")
    write_json(own_manifest, {"content": "x"})
    with pytest.raises(InputError, match="not a data manifest"):
        SegmentationDataset(own_manifest, "train")


def test_an_index_that_was_edited_is_refused_although_it_names_the_same_records(own_manifest):
    index = own_manifest.with_name("index.json")
    value = json.loads(own_manifest.read_text())
    recorded = {"path": str(index), "bytes": index.stat().st_size, "sha256": digest_file(index)}
    write_json(own_manifest, {**value, "outputs": {"index": recorded}})
    assert len(SegmentationDataset(own_manifest, "train")) > 0
    rows = json.loads(index.read_text())
    first, second = rows["splits"]["train"][:2]
    first["annotation"], second["annotation"] = second["annotation"], first["annotation"]
    write_json(index, rows)
    with pytest.raises(
        InputError, match=r"index\.json: does not belong to .*manifest\.json; build both again"
    ):
        SegmentationDataset(own_manifest, "train")


def test_results_may_be_moved_and_a_lost_data_folder_is_named(own_manifest, tmp_path):
    moved = tmp_path / "elsewhere"
    own_manifest.parent.rename(moved)
    data = SegmentationDataset(moved / "manifest.json", "train")
    (data.root / data.records[1].image).unlink()
    with pytest.raises(InputError, match=r"b\.png: cannot be read .*it could be when the data manifest"):
        data[1]
    shutil.rmtree(data.root)
    with pytest.raises(InputError, match="own: no such folder, though"):
        SegmentationDataset(moved / "manifest.json", "train")


# --- order and batches -----------------------------------------------------------------------------


def plain(length):
    return length, lambda seed, epoch, batch: epoch_order(seed, epoch, length)


def keys(length=13, **options):
    return list(StepSampler(*plain(length), **{"seed": 4, "batch": 4, "total_steps": 9, **options}))


def test_an_epoch_is_a_permutation_that_seed_and_epoch_decide():
    assert sorted(epoch_order(0, 5, 50)) == list(range(50))
    orders = {tuple(epoch_order(seed, epoch, 50)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


@pytest.mark.parametrize("drop_last", [True, False])
def test_batches_cut_the_epochs_in_order(drop_last):
    found = keys(drop_last=drop_last)
    per_epoch = steps_per_epoch(13, 4, drop_last)
    assert per_epoch == (3 if drop_last else 4)
    for step, batch in enumerate(found):
        epoch, place = divmod(step, per_epoch)
        expected = list(epoch_order(4, epoch, 13))[place * 4 : place * 4 + 4]
        assert batch == [(4, epoch, sample) for sample in expected]


@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_share_every_global_batch_in_order(world):
    parts = [keys(rank=rank, world=world) for rank in range(world)]
    assert [[key for share in shares for key in share] for shares in zip(*parts)] == keys()
    assert {len(share) for part in parts for share in part} == {4 // world}


@pytest.mark.parametrize("start", [0, 1, 3, 5, 9, 12])
def test_starting_at_a_step_gives_the_rest_of_the_run(start):
    assert keys(start_step=start) == keys()[start:]
    assert len(StepSampler(*plain(13), seed=4, batch=4, total_steps=9, start_step=start)) == len(
        keys()[start:]
    )


def test_batches_that_cannot_be_shared_or_filled_are_refused():
    with pytest.raises(InputError, match=r"recipe\.batch: 4 samples cannot be shared equally by 3"):
        keys(world=3)
    with pytest.raises(InputError, match=r"recipe\.batch: 4 is more than the 3 training images"):
        keys(length=3)
    with pytest.raises(InputError, match=r"recipe\.drop_last: an epoch's last 1 images cannot be shared"):
        keys(world=2, drop_last=False)
    assert keys(length=3, drop_last=False, total_steps=2)[1] == [
        (4, 1, sample) for sample in epoch_order(4, 1, 3)
    ]


def load(dataset, **options):
    return list(training_loader(dataset, **{"seed": 9, "batch": 2, "total_steps": 7, **options}))


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(one, other)
    )


def by_recipe(dataset, **options):
    """The same from a recipe, as a training asks for it."""
    recipe = SimpleNamespace(batch=options.get("batch", 2), drop_last=options.get("drop_last", True))
    ranks = Ranks(options.get("rank", 0), options.get("world", 1), torch.device("cpu"))
    return list(batch_source(dataset, recipe, 9, ranks, 0)(options.get("start_step", 0), 7))


@pytest.mark.parametrize("loaded", [load, by_recipe])
@pytest.mark.parametrize(
    "options",
    [{}, {"drop_last": False}, {"batch": 4, "world": 2, "rank": 1}, {"start_step": 3, "drop_last": False}],
    ids=str,
)
def test_batches_are_the_samples_of_the_sampler(train_set, options, loaded):
    found = loaded(train_set, **options)
    expected = StepSampler(*plain(7), **{"seed": 9, "batch": 2, "total_steps": 7, **options})
    for (images, masks), batch in zip(found, expected, strict=True):
        assert images.shape == (len(batch), 3, 21, 27) and masks.shape == (len(batch), 21, 27)
        assert masks.dtype == torch.int64 and images.dtype == torch.float32
        for place, key in enumerate(batch):
            image, mask = train_set[key]
            assert torch.equal(images[place], image) and torch.equal(masks[place], mask)


def test_neither_workers_nor_a_restart_change_the_batches(train_set):
    whole = load(train_set)
    assert len(whole) == 7
    assert same(load(train_set, workers=2), whole)
    assert same(load(train_set, start_step=4, workers=2), whole[4:])
    assert same(load(train_set, start_step=5), whole[5:])


def test_loading_draws_nothing_from_the_global_generators(train_set):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global generator is what is looked at
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    load(train_set, workers=2, total_steps=3)
    load(train_set, total_steps=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_lost_during_training_is_named_in_one_line(own_manifest, workers):
    data = SegmentationDataset(own_manifest, "train", TrainTransform.of(AUGMENT, MEAN, STD))
    (data.root / data.records[0].mask).unlink()
    with pytest.raises(InputError) as caught:
        load(data, workers=workers, batch=3, total_steps=1)
    assert str(caught.value).startswith(str(data.root / data.records[0].mask))
    assert "\n" not in str(caught.value)
