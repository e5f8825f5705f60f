"""What large files of parameters say, kept by the digest of their text below `work/parameters/`.

Parsing `params.yaml` takes longer than all else that `snakemake -n` does before Snakemake's own work. What is
kept is plain JSON of a text that was found to be right; whatever is wrong is read, and refused, again.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline_src.errors import InputError
from pipeline_src.files import read_json, write_text
from pipeline_src.provenance.closure import ROOT

KEPT = Path("work", "parameters")
SMALL = 5_000
"""Characters of a text that is parsed at once."""
MOST = 20
"""Files that are kept."""


def kept_or_parsed(text: str, parse: Callable[[], Any]) -> Any:
    """What `parse` makes of `text`: plain values with texts for keys. It raises what `parse` raises.

    A folder that cannot be written to only costs time.
    """
    if len(text) <= SMALL:
        return parse()
    digest = hashlib.sha256(_reader() + text.encode()).hexdigest()[:32]
    file = ROOT / KEPT / f"{digest}.json"
    try:
        return read_json(file)["tree"]
    except (InputError, OSError, KeyError, TypeError, ValueError):
        tree = parse()
    with contextlib.suppress(OSError):
        write_text(file, json.dumps({"tree": tree}, separators=(",", ":")))
        for old in sorted(file.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-MOST]:
            old.unlink(missing_ok=True)
    return tree


@cache
def _reader() -> bytes:
    """The code that reads YAML: what another version of it kept is not used."""
    files = sorted((ROOT / "pipeline_src/config").glob("yaml_*.py"))
    return b"\0".join([yaml.__version__.encode(), *(file.read_bytes() for file in files)])
