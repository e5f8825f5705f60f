"""`export-crate`: a scale's results with all their records, as a Workflow Run RO-Crate in one archive."""

import argparse
import json
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.files import atomic_path
from pipeline_src.planning.freshness import assess
from pipeline_src.planning.summary_jobs import plan_everything
from pipeline_src.progress import track
from pipeline_src.provenance.ro_crate import METADATA, Crate, Described
from pipeline_src.provenance.sidecar import Sidecar

LICENCE = "https://spdx.org/licenses/MIT"
WEIGHTS = ".safetensors"
LEAST_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every entry, so that the same results make the same archive but for the time that it states."""


def run_export_crate(params: Params, options: argparse.Namespace) -> int:
    """Write the archive and print what is in it; raises `InputError` where results are not all there."""
    plan = plan_everything(params)
    statuses = assess(plan)
    left = [job for job in plan.jobs.values() if statuses[job.key].to_run]
    if left and not options.partial:
        raise InputError(
            f"{len(left)} jobs are to run, first {left[0].step} {left[0].name} "
            f"({statuses[left[0].key].why}); run snakemake first, or export what is done with --partial"
        )
    done = {job.sidecar: Sidecar.load(job.sidecar) for job in plan.jobs.values() if statuses[job.key].fresh}
    if not done:
        raise InputError(f"scale {params.scale}: nothing is done yet; run snakemake first")
    target = Path(options.out or f"results/{params.scale}/crate.zip")
    crate = Crate(
        Described(
            name=f"Fusebench, scale {params.scale}",
            description=f"Tables, figures and records of {len(done)} jobs. {params.scale_note or ''}".strip(),
            licence=LICENCE,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
        kept=_kept(done, options.with_weights),
    )
    settings = ["params.yaml", *options.configfile]
    report = next(iter(plan.of("report")))
    result = report.outputs["report"] if report.sidecar in done else list(done)[-1]
    metadata = crate.metadata(done, _workflow_files(), settings, result)
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, METADATA, json.dumps(metadata, indent=1, ensure_ascii=False).encode())
        for folder in crate.folders:
            _add(archive, folder, b"")
        for name, path in track(crate.files.items(), len(crate.files), "pack", "file"):
            _add(archive, name, path.read_bytes())
    said = {
        "archive": str(target),
        "jobs": len(done),
        "files": len(crate.files),
        "bytes": target.stat().st_size,
    }
    if options.json:
        print(json.dumps(said, indent=1))
    else:
        print(
            f"{target}: {len(done)} jobs, {len(crate.files)} files, {target.stat().st_size / 1e6:.1f} MB"
            + ("" if options.with_weights else "; weights are named with their digest and not packed")
        )
    return 0


def _kept(done: dict[str, Sidecar], with_weights: bool) -> frozenset[str]:
    """What is packed: records and results that are here, without data sets; weights where asked for."""
    written = [file.path for record in done.values() for file in record.outputs.values()]
    kept = [
        path
        for path in [*done, *written]
        if path.startswith("results/")
        and Path(path).exists()
        and (with_weights or not path.endswith(WEIGHTS))
    ]
    return frozenset(kept)


def _workflow_files() -> list[str]:
    """The workflow's own files as git tracks them, or those that are known outside a checkout."""
    places = ["workflow", "dvc.yaml", "requirements.lock", "README.md", "LICENSE"]
    listed = subprocess.run(["git", "ls-files", "-z", "--", *places], capture_output=True, text=True)
    found = [name for name in listed.stdout.split("\0") if name] if listed.returncode == 0 else places[1:]
    return [name for name in found if Path(name).is_file()]


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, LEAST_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)
