"""What the pictures that step `evaluate` keeps have in common with the figures that are drawn from them."""

INDEX_FILE = "index.json"
"""Beside the pictures: what they show."""

SHOWN_SCORE = 0.5
"""Detections below it are in the index, but not drawn."""
