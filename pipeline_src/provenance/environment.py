"""What a job ran on: interpreter, package versions, machine. Recorded, never part of an identity."""

import os
import platform
from importlib import metadata
from typing import Any

TRAINING_PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "safetensors")
"""Whose versions are recorded of jobs that compute with networks."""


def describe_environment(packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """Python, operating system, processor and the versions of the named distributions.

    A distribution that is not installed is left out rather than invented.
    """
    versions = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "packages": versions,
    }
