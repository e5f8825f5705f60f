"""Which detections are drawn, in the pictures that step `evaluate` keeps and in figures made from them."""

from collections.abc import Iterable
from typing import Any

SHOWN_SCORE = 0.5
"""Detections below it are in a picture's records, but not drawn."""


def drawn(detections: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of an image's records that reach `SHOWN_SCORE`."""
    return [box for box in detections if box["score"] >= SHOWN_SCORE]
