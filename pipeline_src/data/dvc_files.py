"""The tracked `.dvc` files beside the archives and weights, written from the two tables.

`python -m pipeline_src.data.dvc_files --write` regenerates them, `--check` reports drift. Each has
the form of `dvc import-url` (address, MD5 and size where they are known), frozen, so that DVC never
fetches by accident. A file that needs a login has no address that DVC could use, so it has none.
"""

import argparse
import hashlib
import json
from pathlib import Path

from pipeline_src.data.archives import ARCHIVES_TABLE, WEIGHTS_TABLE, RemoteFile, load_archives, load_weights
from pipeline_src.errors import InputError, run_command
from pipeline_src.files import write_text

COMMAND = "python -m pipeline_src.data.dvc_files --write"


def dvc_text(row: RemoteFile, table: Path) -> str:
    """The `.dvc` file of a row of `table`, as text."""
    out: dict[str, str] = {"hash": "md5", "path": row.file}
    if row.md5:
        out["md5"] = row.md5
    lines = [f"# written from {table.as_posix()} by: {COMMAND}"]
    if row.login is None:
        # DVC's own digest of a stage: its absence would show as "changed checksum" in `dvc status`
        stage = {"deps": [{"hash": "md5", "path": row.urls[0]}], "outs": [out]}
        digest = hashlib.md5(json.dumps(stage, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
        lines += [f"md5: {digest}", "frozen: true", "deps:", "- hash: md5", f"  path: {row.urls[0]}"]
    lines += ["outs:", f"- path: {row.file}", "  hash: md5"]
    if row.md5:
        lines.append(f"  md5: {row.md5}")
    if row.bytes is not None:
        lines.append(f"  size: {row.bytes}")
    lines += ["meta:", f"  name: {row.name}"]
    # DVC compares MD5 only; the fetch step compares these as well
    lines += [f"  {name}: {digest}" for name, digest in row.checksums.items() if name != "md5"]
    if row.login is not None:
        lines.append(f"desc: {json.dumps('needs an account: ' + row.login)}")
    return "\n".join(lines) + "\n"


def expected_files(root: str | Path = ".") -> dict[Path, str]:
    """Path (below `root`) and text of every `.dvc` file that the tables under `root` ask for."""
    root = Path(root)
    files = {}
    for table, rows in (
        (ARCHIVES_TABLE, load_archives(root / ARCHIVES_TABLE)),
        (WEIGHTS_TABLE, load_weights(root / WEIGHTS_TABLE)),
    ):
        for row in rows.values():
            files[table.with_suffix("") / f"{row.file}.dvc"] = dvc_text(row, table)
    return files


def drift(root: str | Path = ".") -> list[str]:
    """One line per `.dvc` file that is missing, different from its table, or in no table."""
    root = Path(root)
    expected = expected_files(root)
    problems = []
    for path, text in expected.items():
        if not (root / path).is_file():
            problems.append(f"{path}: missing")
        elif (root / path).read_text(encoding="utf-8") != text:
            problems.append(f"{path}: differs from its row")
    return problems + [f"{path}: in no table" for path in _strays(root, expected)]


def write(root: str | Path = ".") -> int:
    """Write all `.dvc` files, remove those of rows that are gone; returns how many there are."""
    root = Path(root)
    expected = expected_files(root)
    for path, text in expected.items():
        write_text(root / path, text)
    for path in _strays(root, expected):
        (root / path).unlink()
    return len(expected)


def _strays(root: Path, expected: dict[Path, str]) -> list[Path]:
    found = [
        path.relative_to(root)
        for table in (ARCHIVES_TABLE, WEIGHTS_TABLE)
        for path in sorted((root / table.with_suffix("")).glob("*.dvc"))
    ]
    return [path for path in found if path not in expected]


def main() -> int:
    """Command line: write the files, or report drift with exit status 2."""
    parser = argparse.ArgumentParser(description="the .dvc files of data/archives.csv and data/weights.csv")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="regenerate them from the tables")
    action.add_argument("--check", action="store_true", help="report those that differ from the tables")
    arguments = parser.parse_args()
    if arguments.write:
        print(f"{write()} .dvc files are as the tables say")
        return 0
    problems = drift()
    if problems:
        raise InputError(f"{'; '.join(problems)}; repair with: {COMMAND}")
    print("all .dvc files agree with their tables")
    return 0


if __name__ == "__main__":
    run_command(main)
