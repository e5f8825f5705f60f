"""Step `fetch`: one archive, verified, in its folder. Writes the record that later steps depend on."""

import argparse
from pathlib import Path

from pipeline_src.data.archives import RemoteFile
from pipeline_src.data.dvc_store import find_dvc_root, keep_in_cache
from pipeline_src.data.fetch import fetch
from pipeline_src.errors import InputError, run_command
from pipeline_src.provenance.job import Job


def main() -> int:
    """Command line of the step."""
    parser = argparse.ArgumentParser(description="Fetch and verify one data-set archive.")
    parser.add_argument("job", help="job file (JSON)")
    parser.add_argument("--mirror", help="folder (or http address of one) that holds FILE or NAME/FILE")
    parser.add_argument(
        "--accept-unverified",
        action="store_true",
        help="take a file of which no checksum is known; its sha256 stands in the record afterwards",
    )
    parser.add_argument(
        "--keep-in-dvc",
        action="store_true",
        help="also keep the file in DVC's cache, so that `dvc push` can share it",
    )
    arguments = parser.parse_args()
    job = Job.load(arguments.job, "fetch")
    row = RemoteFile.from_params(job.params)
    folder = Path(job.outputs["sidecar"]).parent
    fetched = fetch(row, folder, arguments.mirror, arguments.accept_unverified)
    if arguments.keep_in_dvc:
        root = find_dvc_root(folder)
        if root is None or row.md5 is None:
            raise InputError(f"{row.file}: --keep-in-dvc needs a DVC repository and a known md5")
        keep_in_cache(root, row.md5, fetched.path)
    job.write_sidecar(content=fetched.facts.sha256, **fetched.record())
    return 0


if __name__ == "__main__":
    run_command(main)
