"""Pictures inside the HTML page, as data URIs: in which format, how large, and how good."""

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

_SVG_LIMIT = 150_000
"""Bytes from which a picture (with photographs inside) is embedded as pixels."""

_QUALITY = 82
_WIDEST = 1600
"""Pixels; what is wider is shrunk, since no page shows more."""


def embed_figure(sidecar: dict[str, Any]) -> str:
    """A figure, from its job's sidecar."""
    svg = Path(sidecar["outputs"]["svg"]["path"])
    if svg.stat().st_size <= _SVG_LIMIT:
        return _data_uri(svg.read_bytes(), "image/svg+xml")
    return _embed_pixels(Path(sidecar["outputs"]["png"]["path"]))


def embed_prediction(path: Path) -> str:
    """A picture of a prediction, small enough to embed many."""
    return _embed_pixels(path)


def _embed_pixels(path: Path) -> str:
    """As WebP: a quarter of JPEG's bytes for flat colours beside photographs."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        picture = image.convert("RGB")
        picture.thumbnail((_WIDEST, picture.height))
        picture.save(buffer, format="WEBP", quality=_QUALITY, method=4)
    return _data_uri(buffer.getvalue(), "image/webp")


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
