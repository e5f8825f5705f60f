"""Where a training keeps its checkpoints and what they are called. No torch, so that planning can look."""

from pathlib import Path

WORK = Path("work")
"""Where checkpoints are, unless a job is told another folder."""


def checkpoint_folder(work: Path, scale: str, job: str, digest: str) -> Path:
    """Where a job keeps its state: undeclared to the workflow system, one folder per identity."""
    return work / scale / "checkpoints" / job / digest[:12]


def checkpoint_file(step: int, content: str) -> str:
    """Name of the checkpoint of `step` finished updates; `content` is a digest of its bytes."""
    return f"step-{step:08d}-{content}.pt"


def checkpoint_files(folder: Path) -> list[Path]:
    """The checkpoints of a folder, newest first, unverified."""
    return sorted(folder.glob("step-*.pt"), reverse=True)


def step_and_content(path: Path) -> tuple[int, str]:
    """What the name of a checkpoint says."""
    _, step, content = path.stem.split("-")
    return int(step), content
