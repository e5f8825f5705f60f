"""Seeds as pure functions of what they belong to: (run seed, epoch, sample), (run seed, step, rank).

No random state is carried from one step to the next, so a restart, another number of loader
workers or prefetching cannot change what a step sees. Standard library only.
"""

import hashlib


def derive(*parts: int | str) -> int:
    """A 63-bit seed from `parts`, equal on every machine, Python version and process.

    SHA-256 over an unambiguous encoding: each part with its type and length, so that
    `derive(1, 23)`, `derive(12, 3)` and `derive("1", 23)` are three unrelated seeds.

    Raises `TypeError` for a part that is neither an integer nor a string (a `bool`, a float).
    """
    hasher = hashlib.sha256()
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, int | str):
            raise TypeError(
                f"a seed is derived from integers and strings, not {type(part).__name__}: {part!r}"
            )
        kind = "s" if isinstance(part, str) else "i"
        data = str(part).encode()
        hasher.update(f"{kind}{len(data)}:".encode() + data)
    return int.from_bytes(hasher.digest()[:8], "big") >> 1


def seed_step(seed: int, step: int, rank: int) -> int:
    """Seed of everything random inside the model (dropout, drop-path) at one step of one rank."""
    return derive(seed, "step", step, "rank", rank)
