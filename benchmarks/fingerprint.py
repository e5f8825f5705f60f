"""How long the planner needs to see that a user's folder of 20,000 files is as it was.

Compares the fingerprint (names, sizes, times) with hashing the content of every file, which is what
tools that track data by content do, and with the check after a mere touch. Prints seconds and ratios.

    python -m benchmarks.fingerprint [--files 20000] [--kilobytes 30]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pipeline_src.data.fingerprint import DigestCache, fingerprint

FOLDERS = ("images", "masks")
OLD_S = 1_600_000_000
T = TypeVar("T")


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000, help="number of files, half images, half masks")
    parser.add_argument("--kilobytes", type=int, default=30, help="size of each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        names = make_files(root, options.files, options.kilobytes)
        cache = DigestCache(Path(folder) / "cache.json", root)
        seconds, state = timed(lambda: fingerprint(root, FOLDERS))
        hashing, _ = timed(lambda: [cache.digest(name) for name in names], repeats=1)
        cache.save()
        for name in names[:10]:
            os.utime(root / name, (OLD_S + 1, OLD_S + 1))
        again, _ = timed(lambda: check_touched(cache, names))
    print(f"{state['files']} files, {state['bytes'] / 1e6:.0f} MB")
    print(f"fingerprint               {seconds:7.3f} s")
    print(f"every file hashed         {hashing:7.3f} s   {hashing / seconds:6.1f} x the fingerprint")
    print(f"after a touch, by cache   {again:7.3f} s   {hashing / again:6.1f} x faster than hashing all")


def check_touched(cache: DigestCache, names: list[str]) -> list[str | None]:
    """What a plan does when the fingerprint differs: load the cache, look at every file again."""
    fresh = DigestCache(cache.path, cache.root)
    return [fresh.digest(name) for name in names]


def make_files(root: Path, count: int, kilobytes: int) -> list[str]:
    """Write `count` files with an old time; their names relative to `root`."""
    names = []
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
    for number in range(count):
        name = f"{FOLDERS[number % 2]}/{number // 2:06d}.png"
        (root / name).write_bytes(number.to_bytes(8, "big") + bytes(1024 * kilobytes - 8))
        os.utime(root / name, (OLD_S, OLD_S))
        names.append(name)
    return names


def timed(work: Callable[[], T], repeats: int = 5) -> tuple[float, T]:
    """Best of `repeats` runs, and the last result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


if __name__ == "__main__":
    main()
