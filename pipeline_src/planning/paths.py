"""Where everything is written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paths:
    """Where everything of one scale is written."""

    scale: str

    def results(self, *parts: str) -> str:
        """A path below `results/<scale>/`."""
        return "/".join(("results", self.scale, *parts))

    def run(self, run: str, file: str) -> str:
        """A file of a run."""
        return self.results("runs", run, file)

    def cost(self, architecture: str, file: str) -> str:
        """A file of an architecture's cost."""
        return self.results("cost", architecture, file)

    def manifest(self, dataset: str) -> str:
        """The manifest of a data set."""
        return self.results("data", dataset, "manifest.json")
