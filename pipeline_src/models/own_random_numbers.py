"""Random numbers of their own for what is added to a network."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def numbers_of_their_own(part: int) -> Iterator[None]:
    """What is built inside leaves torch's random numbers as they were.

    So what is built afterwards starts from the same weights with the addition and without. `part` tells the
    numbers of different additions apart; those of one follow from torch's seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch.initial_seed() ^ part)
        yield
