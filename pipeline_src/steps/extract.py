"""Step `extract`: an archive, unpacked into a folder of its own; for SBD, converted on the way."""

from pathlib import Path
from typing import Any

from pipeline_src.data.checksums import remembered
from pipeline_src.data.extract import extract
from pipeline_src.data.fetch_params import ExtractArchive
from pipeline_src.errors import InputError
from pipeline_src.files import digest_of, read_json
from pipeline_src.provenance.job import Job

CONVERSIONS = ("sbd_to_png",)


def extract_archive(job: Job) -> None:
    """Unpack the archive that the job's input records, and write the sidecar.

    Raises `InputError` for a damaged or changed archive, and for a conversion that does not exist.
    """
    record = _record(job, "archive", ("path", "sha256"))
    archive = Path(record["path"])
    root = Path(job.outputs["sidecar"]).with_suffix("")
    conversion = job.params_as(ExtractArchive).convert
    identity = {"archive": record["sha256"], "convert": conversion}
    remembered_as = identity
    unpack = None
    packages: tuple[str, ...] = ()
    if conversion == "sbd_to_png":
        # scipy and numpy load only for the one archive that needs them
        from pipeline_src.data.sbd import convert_sbd

        # a conversion is code: another version of it may draw other masks
        remembered_as = {**identity, "code": job.code.get("digest")}
        unpack = convert_sbd
        packages = ("numpy", "pillow", "scipy")
    elif conversion is not None:
        raise InputError(f"job {job.name}: convert is {conversion!r}; known: {', '.join(CONVERSIONS)}")
    if archive.is_file() and remembered(archive).sha256 != record["sha256"]:
        raise InputError(
            f"{archive}: changed since it was verified (sha256 {record['sha256']}); fetch it again"
        )
    extracted = extract(archive, root, remembered_as, unpack)
    job.write_sidecar(
        content=digest_of({**identity, "facts": extracted.facts}),
        packages=packages,
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
