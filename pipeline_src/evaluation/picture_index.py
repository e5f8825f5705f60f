"""Where step `evaluate` writes what the pictures that it keeps show, and figures read it."""

INDEX_FILE = "index.json"
"""Beside the pictures: what they show."""
