"""A pass of a model over a split: whose images are whose, the model's mode meanwhile, and progress."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import distributed, nn
from tqdm import tqdm

logger = logging.getLogger(__name__)


def rank_and_world() -> tuple[int, int]:
    """This process and how many there are; 0 of 1 where `torch.distributed` is not initialised."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; afterwards every module has the mode that it had."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        # Module by module: `model.train()` would also wake what was deliberately fixed.
        for module, training in before:
            module.training = training


def watched(items: Any, total: int, rank: int, title: str) -> Iterator[Any]:
    """A progress bar on a terminal; elsewhere a log line at every tenth of the way."""
    if rank == 0 and sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=title, unit="image", leave=False)
        return
    step = max(1, total // 10)
    for done, item in enumerate(items, start=1):
        yield item
        if rank == 0 and (done % step == 0 or done == total):
            logger.info("%s: %d of %d images", title, done, total)
