"""Step `extract`: an archive, unpacked into a folder of its own, converted on the way if its row says so."""

from pathlib import Path
from typing import Any

from pipeline_src.components import load
from pipeline_src.data.archives import conversion_component
from pipeline_src.data.checksums import remembered
from pipeline_src.data.extract import extract
from pipeline_src.data.fetch_params import ExtractArchive
from pipeline_src.errors import InputError
from pipeline_src.files import digest_of, read_json
from pipeline_src.provenance.job import Job


def extract_archive(job: Job) -> None:
    """Unpack the archive that the job's input records, and write the sidecar.

    Raises `InputError` for a damaged or changed archive, and for a conversion that does not exist.
    """
    record = _record(job, "archive", ("path", "sha256"))
    archive = Path(record["path"])
    root = Path(job.outputs["sidecar"]).with_suffix("")
    conversion = job.params_as(ExtractArchive).convert
    identity = {"archive": record["sha256"], "convert": conversion}
    # a conversion is code: another version of it may draw other masks
    remembered_as = identity if conversion is None else {**identity, "code": job.code.get("digest")}
    if archive.is_file() and remembered(archive).sha256 != record["sha256"]:
        raise InputError(
            f"{archive}: changed since it was verified (sha256 {record['sha256']}); fetch it again"
        )
    unpack = None if conversion is None else load(conversion_component(conversion))
    extracted = extract(archive, root, remembered_as, unpack)
    job.write_sidecar(
        content=digest_of({**identity, "facts": extracted.facts}),
        packages=() if conversion is None else ("numpy", "pillow", "scipy"),
        summary=f"{extracted.files} files",
        root=str(root),
        files=extracted.files,
        bytes=extracted.bytes,
        **extracted.facts,
    )


def _record(job: Job, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    path = job.input(name)
    record = read_json(path)
    if not isinstance(record, dict) or any(not isinstance(record.get(key), str) for key in keys):
        raise InputError(f"{path}: not the record that input {name!r} needs (no {' or '.join(keys)})")
    return record
