"""Step `weights`: pretrained weights, verified. A timm tag's file is fetched, a user's own only checked."""

import argparse
from pathlib import Path

from pipeline_src.data.archives import RemoteFile
from pipeline_src.data.weights import check_own_file, fetch_weights
from pipeline_src.errors import InputError, run_command
from pipeline_src.provenance.job import Job


def main() -> int:
    """Command line of the step."""
    parser = argparse.ArgumentParser(
        description="Fetch and verify pretrained weights. Parameters of the job: {model, file, urls, "
        "sha256?} for a timm tag, or {file, sha256, source} for a file of the user's own."
    )
    parser.add_argument("job", help="job file (JSON)")
    parser.add_argument("--mirror", help="folder (or http address of one) that holds FILE or TAG/FILE")
    parser.add_argument(
        "--accept-unverified",
        action="store_true",
        help="take weights of which no checksum is known and record their sha256 in accepted.csv",
    )
    arguments = parser.parse_args()
    job = Job.load(arguments.job, "weights")
    params = job.params
    if not isinstance(params.get("file"), str):
        raise InputError(
            f"job {job.name}: parameter file is {params.get('file')!r}, expected a file name or path"
        )
    if params.get("model") and "urls" in params:
        row = RemoteFile.from_params({**params, "name": params["model"]})
        accept = arguments.accept_unverified or params.get("accept_unverified", False) is True
        record = fetch_weights(row, Path(job.outputs["sidecar"]).parent, arguments.mirror, accept)
    else:
        record = check_own_file(params["file"], params.get("sha256"), params.get("source"))
    job.write_sidecar(content=record["sha256"], **record)
    return 0


if __name__ == "__main__":
    run_command(main)
