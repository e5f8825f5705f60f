"""Step `fetch`: one archive, verified, in its folder. Writes the record that later steps depend on."""

from pathlib import Path

from pipeline_src.data.archives import RemoteFile
from pipeline_src.data.dvc_store import find_dvc_root, keep_in_cache
from pipeline_src.data.fetch import fetch
from pipeline_src.errors import InputError
from pipeline_src.provenance.job import Job


def fetch_archive(
    job: Job, mirror: str | None = None, accept_unverified: bool = False, keep_in_dvc: bool = False
) -> None:
    """Bring the archive here and write the sidecar.

    `mirror` is a folder, or the address of one, that is asked before the archive's own address. With
    `accept_unverified` a file of which no checksum is known is taken; its sha256 stands in the record
    afterwards. `keep_in_dvc` also keeps it in DVC's cache.

    Raises `InputError` as `fetch` does, and where there is no DVC repository or md5 to keep it by.
    """
    row = RemoteFile.from_params(job.params)
    folder = Path(job.outputs["sidecar"]).parent
    fetched = fetch(row, folder, mirror, accept_unverified)
    if keep_in_dvc:
        root = find_dvc_root(folder)
        if root is None or row.md5 is None:
            raise InputError(f"{row.file}: --keep-in-dvc needs a DVC repository and a known md5")
        keep_in_cache(root, row.md5, fetched.path)
    found = f"{fetched.facts.bytes / 1e6:,.1f} MB from {fetched.origin}"
    job.write_sidecar(content=fetched.facts.sha256, summary=found, **fetched.record())
