"""Step `scenes`: draw seeded scenes and write them in the layout of a public data set.

The folder lies beside its record (`data/scenes/NAME.json` describes `data/scenes/NAME`). It is
written under another name and renamed when it is complete.
"""

import hashlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from pipeline_src.components import load
from pipeline_src.data.fetch_params import DrawScenes
from pipeline_src.data.scenes.generator import SceneSettings, generate_scenes
from pipeline_src.data.scenes.scene import Scene
from pipeline_src.files import atomic_folder, digest_file
from pipeline_src.progress import track
from pipeline_src.provenance.job import Job


def make_scenes(job: Job) -> None:
    """Draw what the job's parameters say, replace the folder, and record it."""
    drawn = job.params_as(DrawScenes)
    settings = scene_settings(drawn)
    write = load(f"scenes.{drawn.layout}")
    sidecar = Path(job.outputs["sidecar"])
    root = sidecar.with_suffix("")
    with atomic_folder(root) as partial:
        count = write(_scenes(settings, drawn.images), partial)
        files = sorted(path for path in partial.rglob("*") if path.is_file())
        content = _content(partial, files)
        size = sum(path.stat().st_size for path in files)
    job.write_sidecar(
        content,
        packages=("numpy", "pillow"),
        summary=f"{count} images",
        root=str(root),
        layout=drawn.layout,
        images=count,
        files=len(files),
        bytes=size,
    )


def scene_settings(drawn: DrawScenes) -> SceneSettings:
    """The generator's settings from a job's parameters.

    Raises `InputError` that names the parameter.
    """
    smallest, largest = drawn.sizes
    return SceneSettings(
        seed=drawn.seed,
        smallest=(smallest[0], smallest[1]),
        largest=(largest[0], largest[1]),
        classes=drawn.classes,
        objects=(drawn.objects[0], drawn.objects[1]),
        shares=None if drawn.shares is None else (drawn.shares[0], drawn.shares[1]),
        crowds=drawn.crowds,
    )


def _scenes(settings: SceneSettings, images: dict[str, int]) -> Iterator[Scene]:
    scenes = chain.from_iterable(generate_scenes(settings, split, count) for split, count in images.items())
    return track(scenes, sum(images.values()), "drawing scenes", unit="scene")


def _content(root: Path, files: list[Path]) -> str:
    hasher = hashlib.sha256()
    for path in files:
        hasher.update(f"{path.relative_to(root).as_posix()}\0{digest_file(path)}\n".encode())
    return hasher.hexdigest()
