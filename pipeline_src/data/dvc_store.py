"""DVC's cache and remote as a source of files, through the `dvc` command, which may be absent.

DVC keeps a file under its MD5, and `dvc pull` puts it where it is looked for: beside its `.dvc` file, from
the cache or else from the default remote. Where the cache is, and whether there is a remote, DVC knows.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline_src.data.locking import locked
from pipeline_src.errors import InputError
from pipeline_src.files import atomic_path


def find_dvc_root(folder: str | Path) -> Path | None:
    """The nearest folder at or above `folder` that is a DVC repository (holds `.dvc/`), or None."""
    start = Path(folder).resolve()
    return next((path for path in (start, *start.parents) if (path / ".dvc").is_dir()), None)


def pull(target: Path) -> str | None:
    """Have DVC put a tracked file in its place, unverified by us; DVC's own last line where it cannot.

    Where the file is not tracked, or there is no repository, DVC is not asked, and the line is empty.
    """
    pointer = target.with_name(f"{target.name}.dvc")
    root = find_dvc_root(target.parent)
    if root is None or not pointer.is_file():
        return ""
    done = _dvc(root, "pull", "--quiet", str(pointer.resolve()))
    if done.returncode == 0 and target.is_file():
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"dvc pull ended with status {done.returncode}"


def keep_in_cache(root: Path, md5: str, file: Path) -> None:
    """Put a verified file into the cache, read-only as DVC keeps it, so that `dvc push` can share it.

    DVC's own way (`dvc commit`) asks the address again and rewrites the tracked `.dvc` file.
    """
    found = _dvc(root, "cache", "dir")
    if found.returncode:
        raise InputError(f"{root}: dvc cannot say where its cache is ({found.stderr.strip()})")
    path = Path(found.stdout.strip(), "files", "md5", md5[:2], md5[2:])
    if path.exists():
        return
    with atomic_path(path) as temporary:
        shutil.copyfile(file, temporary)
    path.chmod(0o444)


def _dvc(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `dvc`; it allows one process at a time in a repository, so callers wait for each other here."""
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    with locked(root / ".dvc" / "tmp" / "pull"):
        return subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment)
