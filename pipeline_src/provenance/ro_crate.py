"""Records of jobs as a Workflow Run RO-Crate: the vocabulary that other workflow systems use for what ran.

Profiles: RO-Crate 1.1, Workflow RO-Crate 1.0, Process and Workflow Run Crate 0.5
(https://w3id.org/ro/wfrun/workflow/0.5). The Snakefile is the workflow, the making of the report its run, and
every job an action of its own with what it read and wrote, its times and its commit. What is not known is
left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_src.provenance.sidecar import FileRecord, Sidecar, as_list

CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
METADATA = "ro-crate-metadata.json"
WORKFLOW = "Snakefile"
README = "README.md"
SNAKEMAKE = "#snakemake"
FORMATS = {
    ".json": "application/json", ".csv": "text/csv", ".md": "text/markdown", ".html": "text/html",
    ".png": "image/png", ".svg": "image/svg+xml", ".tex": "application/x-tex", ".yaml": "application/yaml",
    ".zip": "application/zip", ".jpg": "image/jpeg",
}  # fmt: skip

Entity = dict[str, Any]


@dataclass(frozen=True)
class Described:
    """What a crate is about: title, the licence's address, and when it is made (ISO 8601, with a zone)."""

    name: str
    description: str
    licence: str
    made: str


@dataclass
class Crate:
    """The entities of a crate, each once, in the order in which they are added; `files` are to be packed.

    Of what jobs wrote, only `kept` files are packed; others are named with their digest.
    """

    about: Described
    kept: frozenset[str]
    entities: dict[str, Entity] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    def metadata(
        self, records: Mapping[str, Sidecar], workflow: Iterable[str], settings: list[str], report: str
    ) -> dict[str, Any]:
        """The content of `ro-crate-metadata.json`.

        `records` are sidecars by path, `workflow` files beside the Snakefile, `settings` those of them that
        hold parameters, and `report` is the result of the whole.
        """
        actions = [self._action(path, record) for path, record in records.items()]
        for path in dict.fromkeys([WORKFLOW, *settings, *workflow]):
            self._packed(path)
        self.entities[WORKFLOW] |= {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": self.about.name,
            "programmingLanguage": {"@id": SNAKEMAKE},
            "license": {"@id": self.about.licence},
        }
        commits = {record.git.get("commit") for record in records.values()}
        if len(commits) == 1 and None not in commits:
            self.entities[WORKFLOW]["version"] = f"git commit {commits.pop()}"
        if README in self.entities:
            self.entities[README]["about"] = {"@id": "./"}
        run = self._run(records.values(), settings, report)
        parts = [{"@id": one} for one in [*self.files, *self.folders]]
        language = {
            "@id": SNAKEMAKE, "@type": "ComputerLanguage", "name": "Snakemake", "alternateName": "smk",
            "identifier": {"@id": "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"},
            "url": {"@id": "https://snakemake.readthedocs.io"},
        }  # fmt: skip
        profiles = [
            {"@id": at, "@type": "CreativeWork", "name": name, "version": version}
            for at, (name, version) in PROFILES.items()
        ]
        licence = {"@id": self.about.licence, "@type": "CreativeWork", "name": "licence"}
        root = {
            "@id": "./",
            "@type": "Dataset",
            "name": self.about.name,
            "description": self.about.description,
            "license": {"@id": self.about.licence},
            "datePublished": self.about.made,
            "conformsTo": [{"@id": at} for at in PROFILES],
            "mainEntity": {"@id": WORKFLOW},
            "hasPart": parts,
            "mentions": [{"@id": run["@id"]}, *({"@id": one} for one in actions)],
        }
        descriptor = {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": [
                {"@id": "https://w3id.org/ro/crate/1.1"},
                {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
            ],
        }
        graph = [descriptor, root, *profiles, licence, language, run, *self.entities.values()]
        return {"@context": CONTEXT, "@graph": graph}

    @property
    def folders(self) -> list[str]:
        """Folders that a job wrote as a whole; their names end in a slash."""
        return [name for name, entity in self.entities.items() if entity["@type"] == "Dataset"]

    def _run(self, records: Iterable[Sidecar], settings: list[str], report: str) -> Entity:
        """The run of the whole workflow: from the first job's start to the last one's end."""
        times = [record.timing for record in records]
        return {
            "@id": "#run",
            "@type": "CreateAction",
            "name": f"Run of {self.about.name}",
            "description": self.about.description,
            "instrument": {"@id": WORKFLOW},
            "startTime": min(one["started"] for one in times),
            "endTime": max(one["finished"] for one in times),
            "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
            "object": [{"@id": path} for path in settings],
            "result": [{"@id": report}],
        }

    def _action(self, path: str, record: Sidecar) -> str:
        """Add a job's action with its files; returns its name in the crate."""
        job = record.job
        tool = f"#step-{job.step}"
        self.entities.setdefault(
            tool,
            {
                "@id": tool,
                "@type": "SoftwareApplication",
                "name": f"fusebench {job.step}",
                "url": {"@id": WORKFLOW},
                "softwareVersion": job.code.get("digest", "")[:12] or "unknown",
            },
        )
        inputs = [one for entry in record.inputs.values() for one in as_list(entry)]
        name = f"#{job.step}/{job.name}"
        action: Entity = {
            "@id": name,
            "@type": "CreateAction",
            "name": f"{job.step} {job.name}",
            "description": record.summary or f"{job.step} of {job.name}",
            "instrument": {"@id": tool},
            "startTime": record.timing["started"],
            "endTime": record.timing["finished"],
            "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
            "object": [{"@id": self._read(one.path, one.content)} for one in inputs],
            "result": [{"@id": self._written(one)} for one in record.outputs.values()] + [{"@id": path}],
        }
        if commit := record.git.get("commit"):
            action["identifier"] = f"git commit {commit}"
        self._packed(path)
        self.entities[name] = action
        return name

    def _read(self, path: str, content: str) -> str:
        """The name of what a job read; of what is not packed, a mere mention with its content."""
        if path in self.kept or path in self.files:
            return path
        name = f"#{path}"
        mention = {"@id": name, "@type": "CreativeWork", "name": path, "identifier": f"content {content}"}
        self.entities.setdefault(name, mention)
        return name

    def _written(self, file: FileRecord) -> str:
        """The name of what a job wrote: a packed file or folder, or a mention with its digest."""
        if file.path not in self.kept:
            return self._read(file.path, f"sha256 {file.sha256}")
        if Path(file.path).is_dir():
            name = f"{file.path}/"
            inside = sorted(one for one in Path(file.path).rglob("*") if one.is_file())
            for one in inside:
                self._packed(str(one))
            self.entities[name] = {
                "@id": name,
                "@type": "Dataset",
                "name": file.path,
                "hasPart": [{"@id": str(one)} for one in inside],
            }
            return name
        self._packed(file.path, file.sha256)
        return file.path

    def _packed(self, path: str, sha256: str | None = None) -> None:
        source = Path(path)
        entity: Entity = {
            "@id": path,
            "@type": "File",
            "name": source.name,
            "contentSize": str(source.stat().st_size),
        }
        if format_ := FORMATS.get(source.suffix):
            entity["encodingFormat"] = format_
        if sha256:
            entity["sha256"] = sha256
        self.files[path] = source
        self.entities.setdefault(path, entity)
