"""How long names may be that become files, and paths that are looked at; the disk would refuse them later."""

LONGEST_NAME = 200
"""Characters of a name that files are called by: most disks take 255, of which endings need some."""
LONGEST_PART = 255
LONGEST_PATH = 4_000
"""Bytes of a path, and of each of its parts."""


def bad_name(name: str) -> str | None:
    """What is wrong with a name that becomes a file or a folder; None where nothing is."""
    if len(name) <= LONGEST_NAME:
        return None
    return f"names files {name[:40]}..., {len(name):,} characters long; use at most {LONGEST_NAME}"


def bad_path(path: str) -> str | None:
    """What is wrong with a path, before anything looks whether it is there; None where nothing is."""
    longest = max((len(part.encode(errors="replace")) for part in path.split("/")), default=0)
    if longest > LONGEST_PART:
        return f"has a name of {longest:,} bytes; a disk takes {LONGEST_PART}"
    if len(path.encode(errors="replace")) > LONGEST_PATH:
        return f"is a path of {len(path):,} characters; use at most {LONGEST_PATH:,}"
    return None
