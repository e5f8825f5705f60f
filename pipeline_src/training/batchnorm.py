"""Batch normalisation beyond torch's own: fixing it from an epoch on, statistics over or of all ranks.

torch's `SyncBatchNorm` refuses a CPU, so there a small class with differentiable all-reduced sums
stands in; with it a training on two CPU processes can be held against a single process.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norms(model: nn.Module) -> Iterator[_BatchNorm]:
    """All batch normalisations of `model`, synchronised ones included."""
    return (module for module in model.modules() if isinstance(module, _BatchNorm))


def freeze_batch_norm(model: nn.Module) -> None:
    """Fix running statistics and affine parameters of every batch normalisation of `model`.

    Calling it again is harmless, and necessary after `model.train()`. Without a gradient an
    optimiser skips a parameter altogether: neither its momentum nor weight decay moves it.
    """
    for module in batch_norms(model):
        module.eval()
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)
            parameter.grad = None


class _AllReduceSum(torch.autograd.Function):
    """Sum over all ranks; so is its gradient, since every rank's loss depends on every summand."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


def all_reduce_sum(value: torch.Tensor) -> torch.Tensor:
    """Differentiable sum of `value` over all ranks, the same on each."""
    return _AllReduceSum.apply(value)


class GlooSyncBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` over the batches of all ranks together, on a CPU.

    Input and output `(N, C, H, W)`. Every pixel counts the same, so ranks may hold batches of
    unequal size. Evaluation mode, and training in a single process, are `BatchNorm2d`'s own.

    Raises `ValueError` where all ranks together have one value per channel.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalise `input` by mean and variance over all ranks, and track them."""
        together = self.training and distributed.is_initialized() and distributed.get_world_size() > 1
        if not together:
            return super().forward(input)
        self._check_input_dim(input)
        value = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        axes, shape = (0, 2, 3), (1, -1, 1, 1)

        here = value.new_tensor([value.numel() // value.shape[1]])
        sums = all_reduce_sum(torch.cat([value.sum(axes), here]))
        count = sums[-1].detach()
        if count <= 1:
            raise ValueError(f"one value per channel over all ranks has no variance: {tuple(input.shape)}")
        mean = sums[:-1] / count
        # Two passes: the squares of centred values do not cancel, E[x^2] - E[x]^2 does.
        centred = value - mean.view(shape)
        variance = all_reduce_sum(centred.square().sum(axes)) / count
        self._track(mean.detach(), variance.detach() * (count / (count - 1)))

        output = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            output = output * self.weight.view(shape) + self.bias.view(shape)
        return output.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: torch.Tensor, unbiased_variance: torch.Tensor) -> None:
        if not self.track_running_stats:
            return
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        rate = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        self.running_var.lerp_(unbiased_variance.to(self.running_var.dtype), rate)


class _WithActivation(nn.Module):
    """Mix-in for timm's `BatchNormAct2d`: a batch normalisation that ends with its own activation."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(super().forward(input)))


class GlooSyncBatchNormAct2d(_WithActivation, GlooSyncBatchNorm2d):
    """`GlooSyncBatchNorm2d` followed by `drop` and `act`."""


class SyncBatchNormAct2d(_WithActivation, nn.SyncBatchNorm):
    """torch's `SyncBatchNorm` followed by `drop` and `act`."""


SYNCHRONISED = (nn.SyncBatchNorm, GlooSyncBatchNorm2d)


def convert_sync_batchnorm(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` with every `BatchNorm2d` replaced by one that takes its statistics over all ranks.

    torch's class on CUDA, ours on a CPU. Parameters and buffers are the same objects under the same
    names, so state dicts and optimisers are unaffected. timm's fused normalisation and activation
    keeps its activation (torch's own conversion would drop it).

    Raises `TypeError` for any other batch normalisation: converting it could change what it computes.
    """
    if isinstance(model, _BatchNorm):
        return _synchronised(model, device)
    twins: dict[_BatchNorm, _BatchNorm] = {}
    for parent in list(model.modules()):
        # `named_children` would skip the second name of a module that is used under two.
        for name, child in parent._modules.items():
            if isinstance(child, _BatchNorm):
                if child not in twins:
                    twins[child] = _synchronised(child, device)
                parent._modules[name] = twins[child]
    return model


@torch.no_grad()
def share_running_statistics(model: nn.Module) -> None:
    """Give every rank the first rank's running statistics, where each normalises by its own batch.

    Alone, and where batch normalisation is synchronised or fixed, nothing is sent. So all ranks evaluate
    one model, and a training that resumes from the first rank's state goes on as if it had not stopped.
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return
    own = [norm for norm in batch_norms(model) if norm.training and not isinstance(norm, SYNCHRONISED)]
    found = [norm.running_mean for norm in own] + [norm.running_var for norm in own]
    statistics = [tensor for tensor in found if tensor is not None]
    if statistics:
        flat = torch.cat(statistics)
        distributed.broadcast(flat, src=0)
        for tensor, value in zip(statistics, flat.split([len(one) for one in statistics]), strict=True):
            tensor.copy_(value)


def _synchronised(module: _BatchNorm, device: torch.device) -> _BatchNorm:
    if isinstance(module, SYNCHRONISED):
        return module
    fused = isinstance(getattr(module, "act", None), nn.Module) and hasattr(module, "drop")
    plain = type(module).forward is nn.BatchNorm2d.forward
    if not isinstance(module, nn.BatchNorm2d) or not (plain or fused):
        raise TypeError(f"no synchronised form of {type(module).__name__} is known")
    kind: type[_BatchNorm]
    if device.type == "cuda":
        kind = SyncBatchNormAct2d if fused else nn.SyncBatchNorm
    else:
        kind = GlooSyncBatchNormAct2d if fused else GlooSyncBatchNorm2d
    twin = kind(module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats)
    twin.training = module.training
    for name, parameter in module.named_parameters(recurse=False):
        setattr(twin, name, parameter)
    for name, buffer in module.named_buffers(recurse=False):
        setattr(twin, name, buffer)
    if fused:
        twin.drop, twin.act = module.drop, module.act
    return twin
