"""Finds the pictures that step `evaluate` left, from the run's sidecar."""

from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.files import read_json

KINDS = ("image", "truth", "prediction", "panel")


def read_overlays(sidecar: dict[str, Any]) -> dict[str, Any]:
    """`{"classes", "ignore_index", "images": [{"id", "miou", and a path for each of `KINDS`}]}`.

    Raises `InputError` when a file is gone.
    """
    folder = Path(sidecar["overlays"]["folder"])
    index = read_json(folder / "index.json")
    images = []
    for entry in index["images"]:
        paths = {kind: folder / entry[kind] for kind in KINDS}
        for path in paths.values():
            if not path.is_file():
                raise InputError(f"{path}: no such file; evaluate {sidecar['job']['name']} again")
        images.append({"id": entry["id"], "miou": entry["miou"], **paths})
    return {"classes": index["classes"], "ignore_index": index["ignore_index"], "images": images}
