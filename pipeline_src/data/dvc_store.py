"""Finding a file in DVC's cache or remote, without importing DVC.

DVC keeps a file under its MD5 (`<cache>/files/md5/ab/cdef...`); its settings are INI files. Only a
configured remote needs the `dvc` command, which is run as a program and may be absent.
"""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline_src.data.locking import locked
from pipeline_src.files import atomic_path


def find_dvc_root(folder: str | Path) -> Path | None:
    """The nearest folder at or above `folder` that is a DVC repository (holds `.dvc/`), or None."""
    start = Path(folder).resolve()
    return next((path for path in (start, *start.parents) if (path / ".dvc").is_dir()), None)


def cached_file(root: Path, md5: str) -> Path | None:
    """Path of the file with this MD5 in the cache of the DVC repository at `root`, or None.

    `cache.dir` is honoured from DVC's system, global, repository and local settings.
    """
    path = _cache_path(root, md5)
    return path if path.is_file() else None


def keep_in_cache(root: Path, md5: str, file: Path) -> None:
    """Put a verified file into the cache, read-only as DVC keeps it, so that `dvc push` can share it.

    DVC's own way (`dvc commit`) asks the address again and rewrites the tracked `.dvc` file.
    """
    path = _cache_path(root, md5)
    if path.exists():
        return
    with atomic_path(path) as temporary:
        shutil.copyfile(file, temporary)
    path.chmod(0o444)


def has_remote(root: Path) -> bool:
    """Whether the DVC repository at `root` has a default remote."""
    return _setting(root, "core", "remote") is not None


def fetch_from_remote(root: Path, dvc_file: Path) -> str | None:
    """Ask DVC to bring the file of `dvc_file` from the default remote into its cache.

    Returns None on success, else DVC's own last line. DVC allows one process at a time in a
    repository, so callers wait for each other here.
    """
    command = [sys.executable, "-m", "dvc", "fetch", "--quiet", str(dvc_file.resolve())]
    with locked(root / ".dvc" / "tmp" / "fetch"):
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"}
        )
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"dvc fetch ended with status {done.returncode}"


def _cache_path(root: Path, md5: str) -> Path:
    setting = _setting(root, "cache", "dir")
    # a relative path counts from the settings file that holds it
    cache = setting[0].parent / Path(setting[1]).expanduser() if setting else root / ".dvc" / "cache"
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _setting(root: Path, section: str, key: str) -> tuple[Path, str] | None:
    """The settings file nearest to the repository that has `key`, and its value."""
    for file in (root / ".dvc" / "config.local", root / ".dvc" / "config", *_user_config_files()):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read(file, encoding="utf-8")
            value = parser.get(section, key, fallback="").strip().strip("\"'")
        except (configparser.Error, UnicodeDecodeError):
            continue
        if value:
            return file, value
    return None


def _user_config_files() -> list[Path]:
    """DVC's global and system settings, where DVC itself looks for them."""
    mac = sys.platform == "darwin"
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    user = os.environ.get("DVC_GLOBAL_CONFIG_DIR") or (
        "~/Library/Application Support/dvc" if mac else f"{home}/dvc"
    )
    system = os.environ.get("DVC_SYSTEM_CONFIG_DIR") or (
        "/Library/Application Support/dvc" if mac else "/etc/xdg/dvc"
    )
    return [Path(user).expanduser() / "config", Path(system).expanduser() / "config"]
