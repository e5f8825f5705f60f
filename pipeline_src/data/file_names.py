"""Names of files as folders and lists have them: listing, and finding images and annotations by stem.

Apart from the records, which training reads: what is changed here is a matter of manifests. Standard library
only.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
"""Of images in folders of a user's own."""


def read_list(path: Path) -> list[str]:
    """Non-empty lines of a split list, stripped; an unreadable list is an `InputError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such split list") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the split list cannot be read ({error})") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


SYSTEM_FILES = frozenset({"Icon\r", "Thumbs.db", "ehthumbs.db", "desktop.ini"})
"""What operating systems leave in folders; hidden files are left out, too."""

_UNUSABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, halves of characters, and line ends: no index can hold them."""


def list_folder(path: Path) -> list[str]:
    """Sorted names of the files in a folder, without hidden ones and those of operating systems.

    Raises `InputError` for a folder that is missing, a link that leads nowhere, and a name that no list
    and no index can hold.
    """
    names = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in SYSTEM_FILES:
                    continue
                if entry.is_file():
                    names.append(entry.name)
                elif entry.is_symlink() and not Path(entry.path).exists():
                    raise InputError(
                        f"{path}: {entry.name} is a link to {Path(entry.path).readlink()}, which is not there"
                    )
    except FileNotFoundError:
        raise InputError(f"{path}: no such folder") from None
    except OSError as error:
        raise InputError(f"{path}: the folder cannot be read ({error.strerror})") from None
    for name in names:
        if not (name.isascii() and name.isprintable()) and any(
            unicodedata.category(letter) in _UNUSABLE for letter in name
        ):
            raise InputError(f"{path}: file name {name!a} cannot be used; rename it")
    return sorted(names)


def list_named(path: Path, entries: Iterable[str]) -> list[str]:
    """As `list_folder`, and the files of the folders below that a list's entries name, as `clip/0001.png`."""
    names = list_folder(path)
    for folder in folders_named(path, entries):
        names += [f"{folder}/{name}" for name in list_folder(path / folder)]
    return names


def folders_named(path: Path, entries: Iterable[str]) -> list[str]:
    """The folders below `path` that entries of a list name, sorted."""
    stated = {
        line.replace("\\", "/").rpartition("/")[0]
        for entry in entries
        if "/" in entry or "\\" in entry
        for line in (entry, _first_column(entry))
    }
    tails = {tail for folder in stated for tail in _tails(folder)}
    return sorted(tail for tail in tails if ".." not in tail.split("/") and (path / tail).is_dir())


def named_sources(root: Path, spec: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    """The folders under `keys` of a split's `spec`, those below them that its list names, and the list."""
    folders = [str(spec[key]) for key in keys]
    if not spec.get("list"):
        return tuple(folders)
    entries = read_list(root / spec["list"])
    below = [f"{folder}/{inner}" for folder in folders for inner in folders_named(root / folder, entries)]
    return (*folders, *below, spec["list"])


def join(folder: str, name: str) -> str:
    """A file of a folder, with `/`; pathlib alone would take a second for thousands of names."""
    return f"{_prefix(folder)}{name}"


@cache
def _prefix(folder: str) -> str:
    return (Path(folder) / "_").as_posix().removesuffix("_")


def _split_suffix(name: str) -> tuple[str, str]:
    """A name without its ending, and the ending in small letters; none of `.hidden`."""
    bare, dot, suffix = name.rpartition(".")
    return (bare, f".{suffix.lower()}") if dot and bare and not bare.endswith("/") else (name, "")


def _first_column(entry: str) -> str:
    return re.split(r"[\t,;]|\s+(?=\S+$)", entry.strip(), maxsplit=1)[0].strip()


def _tails(path: str) -> Iterator[str]:
    """A path, and what is left of it without its first folders: `a/b/c`, `b/c`, `c`."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    for start in range(len(parts)):
        yield "/".join(parts[start:])


class FilesByStem:
    """The files of a folder with certain endings, in any case, found by stem (`clip/0001` in a folder below).

    Letters that look the same are the same, however they are composed (Unicode's NFC and NFD): a list or a
    mask may come from another system than the images.
    """

    def __init__(self, names: Iterable[str], suffixes: tuple[str, ...]) -> None:
        self.names: dict[str, list[str]] = {}
        self._stems: dict[str, str] = {}
        for name in names:
            bare, suffix = _split_suffix(name)
            if suffix in suffixes:
                stem = same_letters(bare)
                self.names.setdefault(stem, []).append(name)
                self._stems[same_letters(name)] = stem

    def stem_of(self, entry: str) -> str | None:
        """The stem that a line of a list means: a stem, a file name, a path, or one of these before a column.

        None where there is no such file.
        """
        for text in _readings(entry):
            name = same_letters(text)
            if name in self._stems:
                return self._stems[name]
            # a list made for images of another file type, such as 0001.png where 0001.jpg is there
            start, suffix = _split_suffix(name)
            for stem in (name, start if suffix in IMAGE_SUFFIXES else name):
                if stem in self.names:
                    return stem
        return None


def _readings(entry: str) -> Iterator[str]:
    """What a line of a list may mean, the likeliest first."""
    yield entry
    for line in (entry, _first_column(entry)):
        yield line
        yield from _tails(line.replace("\\", "/"))


def same_letters(text: str) -> str:
    """The text in the form in which letters that look the same are equal."""
    return unicodedata.normalize("NFC", text)


def image_named(stem: str, images: FilesByStem) -> str:
    """The file of an image by its stem, or what it would be called: its check says that it is missing."""
    found = images.names.get(stem, [])
    return found[0] if found else f"{stem}.jpg"


def relative_path(path: Path, root: Path) -> str:
    """`path` relative to `root`, with `/` separators, also where it lies outside (`../labels`)."""
    # resolved, since `..` below a symbolic link leads to the link's target
    return Path(os.path.relpath(path.resolve(), root.resolve())).as_posix()
