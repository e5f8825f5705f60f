"""The order of training images with boxes: upright and lying ones in batches of their own."""

import numpy as np
from numpy.typing import NDArray

from pipeline_src.data.loader import epoch_order
from pipeline_src.training.seeding import derive


def grouped_order(seed: int, epoch: int, groups: NDArray[np.bool_], batch: int) -> NDArray[np.int64]:
    """The order of an epoch's samples, `(length,)` int64, whose batches hold one group where possible.

    Both groups are shuffled and cut into batches, and what each leaves over is joined: at most one
    batch of an epoch is mixed, and there are as many as without groups. The batches are shuffled, too; a
    short one stays last. Every sample occurs once.
    """
    order = epoch_order(seed, epoch, len(groups))
    parts = [order[groups[order]], order[~groups[order]]]
    whole = [part[: len(part) // batch * batch].reshape(-1, batch) for part in parts]
    rest = np.concatenate([part[len(part) // batch * batch :] for part in parts])
    full = len(rest) // batch * batch
    batches = np.concatenate([*whole, rest[:full].reshape(-1, batch)])
    rng = np.random.Generator(np.random.PCG64(derive(seed, "batches", epoch)))
    return np.concatenate([rng.permutation(batches).ravel(), rest[full:]])
