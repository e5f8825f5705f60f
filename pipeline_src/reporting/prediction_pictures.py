"""Finds the pictures that step `evaluate` left, from the run's sidecar."""

from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.evaluation.picture_index import INDEX_FILE
from pipeline_src.files import read_json

KINDS = ("image", "truth", "prediction", "panel")


def read_overlays(sidecar: dict[str, Any]) -> dict[str, Any]:
    """Of a segmentation: `{"classes", "ignore_index", "images": [{"id", "miou", paths of `KINDS`}]}`.

    Raises `InputError` when a file is gone.
    """
    index, folder = _read_index(sidecar)
    images = [
        {
            "id": entry["id"],
            "miou": entry["miou"],
            **{kind: _path(folder, entry[kind], sidecar) for kind in KINDS},
        }
        for entry in index["images"]
    ]
    return {"classes": index["classes"], "ignore_index": index["ignore_index"], "images": images}


def read_boxes(sidecar: dict[str, Any]) -> dict[str, Any]:
    """Of a detection: `{"classes", "images": [{"id", "image": path, "truth", "detections"}]}`, boxes xywh.

    Raises `InputError` when a file is gone.
    """
    index, folder = _read_index(sidecar)
    images = [{**entry, "image": _path(folder, entry["image"], sidecar)} for entry in index["images"]]
    return {"classes": index["classes"], "images": images}


def read_panels(sidecar: dict[str, Any]) -> list[dict[str, Any]]:
    """Of any task: `[{"id", "panel": path}]`; an `InputError` when a file is gone."""
    index, folder = _read_index(sidecar)
    return [{"id": entry["id"], "panel": _path(folder, entry["panel"], sidecar)} for entry in index["images"]]


def _read_index(sidecar: dict[str, Any]) -> tuple[dict[str, Any], Path]:
    folder = Path(sidecar["overlays"]["folder"])
    return read_json(folder / INDEX_FILE), folder


def _path(folder: Path, name: str, sidecar: dict[str, Any]) -> Path:
    path = folder / name
    if not path.is_file():
        raise InputError(f"{path}: no such file; evaluate {sidecar['job']['name']} again")
    return path
