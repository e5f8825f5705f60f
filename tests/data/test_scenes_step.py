"""What identifies drawn scenes: every file by its bytes and by its place."""

import json
from pathlib import Path

from pipeline_src.provenance.job import Job
from pipeline_src.steps import scenes

PARAMS = {"layout": "made_up", "seed": 0, "images": {"train": 1}, "size": [16, 16], "classes": 1}


def content_of_files(root: Path, monkeypatch, files: dict[str, bytes]) -> str:
    def write(drawn, folder: Path) -> int:
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return len(files)

    monkeypatch.setattr(scenes, "load", lambda kind: write)
    more = {"objects": [1, 1], "shares": None, "crowds": 0.0}
    sidecar = root / "drawn.json"
    scenes.make_scenes(
        Job(
            "scenes", "drawn", "demo", {**PARAMS, **more}, {}, {"sidecar": str(sidecar)}, {"digest": "c"}, "d"
        )
    )
    return json.loads(sidecar.read_text())["content"]


def test_content_follows_bytes_and_names(tmp_path, monkeypatch):
    files = {"images/a.png": b"1", "images/b.png": b"2"}
    first = content_of_files(tmp_path, monkeypatch, files)
    assert content_of_files(tmp_path, monkeypatch, dict(reversed(files.items()))) == first
    for other in (
        {"images/a.png": b"1", "images/c.png": b"2"},
        {"images/a.png": b"1", "masks/b.png": b"2"},
        {"images/a.png": b"1", "images/b.png": b"3"},
        {"images/a.png": b"2", "images/b.png": b"1"},
    ):
        assert content_of_files(tmp_path, monkeypatch, other) != first, other
