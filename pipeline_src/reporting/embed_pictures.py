"""Pictures inside the HTML page, as data URIs: in which format, how large, and how good."""

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

_SVG_LIMIT = 400_000
"""Larger pictures (photographs inside) are embedded as PNG."""

_JPEG_QUALITY = 88


def embed_figure(sidecar: dict[str, Any]) -> str:
    """A figure, from its job's sidecar."""
    svg = Path(sidecar["outputs"]["svg"]["path"])
    if svg.stat().st_size <= _SVG_LIMIT:
        return _data_uri(svg.read_bytes(), "image/svg+xml")
    return _data_uri(Path(sidecar["outputs"]["png"]["path"]).read_bytes(), "image/png")


def embed_prediction(path: Path) -> str:
    """A picture of a prediction, small enough to embed many."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return _data_uri(buffer.getvalue(), "image/jpeg")


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
