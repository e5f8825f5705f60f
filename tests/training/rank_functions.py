"""What one rank does in the tests of synchronised BN and of summed gradients.

In a module of its own that the server of processes imports once (see `toy_training`).
"""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pipeline_src.training import distributed as ours
from pipeline_src.training.batchnorm import (
    GlooSyncBatchNorm2d,
    convert_sync_batchnorm,
    share_running_statistics,
)
from pipeline_src.training.distributed import process_group
from pipeline_src.training.losses import SegmentationLoss
from tests.training.toy_training import CLASSES, ToyModel

CHANNELS = 4


def random_batch(seed, samples, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(samples, CHANNELS, 5, 3, generator=generator, dtype=dtype)
    return values * 3 + 100  # a mean far from 0, where E[x^2] - E[x]^2 would cancel


def norm_layer(kind=nn.BatchNorm2d, **options):
    torch.manual_seed(5)
    layer = kind(CHANNELS, **options).double()
    if layer.affine:
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    return layer


def pass_through(layer, batches, upstream):
    """Outputs, input gradients, parameter gradients and buffers after passing all batches."""
    outputs, gradients = [], []
    for batch, weight in zip(batches, upstream, strict=True):
        batch = batch.clone().requires_grad_()
        output = layer(batch)
        (output * weight).sum().backward()
        outputs.append(output.detach())
        gradients.append(batch.grad)
    parameters = {name: parameter.grad for name, parameter in layer.named_parameters()}
    return outputs, gradients, parameters, dict(layer.state_dict())


def one_rank_of_synchronised_norm(kind, options, batches, upstream, split):
    with process_group("cpu") as ranks:
        layer = convert_sync_batchnorm(norm_layer(kind, **options), ranks.device)
        here = [batch.tensor_split(split)[ranks.rank] for batch in batches]
        weights = [weight.tensor_split(split)[ranks.rank] for weight in upstream]
        outputs, gradients, parameters, buffers = pass_through(layer, here, weights)
        for gradient in parameters.values():
            torch.distributed.all_reduce(gradient)
        return pack((outputs, gradients, parameters, buffers))


def pack(value):
    """Tensors as numpy arrays, which travel between processes without shared memory."""
    if isinstance(value, torch.Tensor):
        return value.detach().numpy().copy()
    if isinstance(value, dict):
        return {key: pack(item) for key, item in value.items()}
    return [pack(item) for item in value]


def one_value_over_two_ranks():
    with process_group("cpu") as ranks:
        layer = GlooSyncBatchNorm2d(CHANNELS)
        layer(torch.ones(1 - ranks.rank, CHANNELS, 1, 1))


def one_rank_of_bfloat16():
    with process_group("cpu") as ranks:
        layer = GlooSyncBatchNorm2d(CHANNELS)
        values = random_batch(ranks.rank, 2, torch.float32).bfloat16()
        return str(layer(values).dtype), pack(layer.running_mean), pack(values.float())


def statistics_of_two_ranks(own):
    """Running mean and variance before and after they are shared; `own`: each rank's batch its own."""
    with process_group("cpu") as ranks:
        layer = nn.BatchNorm2d(CHANNELS)
        fixed = nn.BatchNorm2d(CHANNELS).eval()
        fixed.running_mean.fill_(ranks.rank)
        model = nn.Sequential(layer if own else convert_sync_batchnorm(layer, ranks.device), fixed)
        model[0](random_batch(ranks.rank, 2, torch.float32))
        before = pack([model[0].running_mean, model[0].running_var])
        share_running_statistics(model)
        return before, pack([model[0].running_mean, model[0].running_var]), pack(fixed.running_mean)


def batch(samples=6, ignored=0.3):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(samples, 3, 7, 5, generator=generator, dtype=torch.float64)
    masks = torch.randint(0, CLASSES, (samples, 7, 5), generator=generator)
    masks[torch.rand(samples, 7, 5, generator=generator) < ignored] = 255
    masks[-1] = 255  # ranks have unequal numbers of labelled pixels, one sample has none
    return images, masks


def toy_model():
    torch.manual_seed(2)
    return ToyModel(dropout=0.0).double()


def gradients_by_sum(split):
    images, masks = batch()
    loss = SegmentationLoss("labelled_pixels", 255)
    with process_group("cpu") as ranks:
        model = toy_model()
        if ranks.world > 1:
            model = convert_sync_batchnorm(model, ranks.device)
        images, masks = (part.tensor_split(split)[ranks.rank] for part in (images, masks))
        divisor = int(ranks.sum(loss.pixels(masks)))
        share = loss(model(images), masks, divisor)
        share.backward()
        ranks.sum_gradients(model.parameters())
        total = ranks.sum_tensor(share.detach().clone())
        return pack([total, {name: parameter.grad for name, parameter in model.named_parameters()}])


def gradients_by_ddp():
    images, masks = batch()
    with process_group("cpu") as ranks:
        model = DistributedDataParallel(convert_sync_batchnorm(toy_model(), ranks.device))
        images, masks = images.tensor_split(2)[ranks.rank], masks.tensor_split(2)[ranks.rank]
        loss = SegmentationLoss("labelled_pixels", 255)
        divisor = int(ranks.sum(loss.pixels(masks)))
        # DDP averages over ranks, so its loss has to be the ranks' number times the share.
        (ranks.world * loss(model(images), masks, divisor)).backward()
        return pack({name: parameter.grad for name, parameter in model.module.named_parameters()})


def collective_answers(bucket):
    ours.BUCKET = bucket
    with process_group("cpu") as ranks:
        model = toy_model()
        for index, parameter in enumerate(model.parameters()):
            if index != 1:
                parameter.grad = torch.full_like(parameter, 10.0**index * (ranks.rank + 1))
        ranks.sum_gradients(model.parameters())
        with torch.no_grad():
            model.conv.weight.fill_(ranks.rank)
            model.bn.running_mean.fill_(ranks.rank)
        ranks.broadcast_model(model)
        return (
            ranks.rank,
            ranks.sum(0.1 * (ranks.rank + 1)),
            ranks.any(ranks.rank == 1, False),
            ranks.share({"path": ranks.rank}),
            [None if each.grad is None else each.grad.unique().tolist() for each in model.parameters()],
            (model.conv.weight.unique().tolist(), model.bn.running_mean.unique().tolist()),
        )
