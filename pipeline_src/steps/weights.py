"""Step `weights`: pretrained weights, verified. A timm tag's file is fetched, a user's own only checked.

Of a timm tag the parameters are its row in the table of weights, of a file `OwnWeights`.
"""

from pathlib import Path

from pipeline_src.data.archives import RemoteFile
from pipeline_src.data.fetch_params import OwnWeights
from pipeline_src.data.weights import check_own_file, fetch_weights
from pipeline_src.errors import InputError
from pipeline_src.provenance.job import Job


def bring_weights(job: Job, mirror: str | None = None, accept_unverified: bool = False) -> None:
    """Bring the weights here, or check that they are here, and write the sidecar.

    `mirror` and `accept_unverified` are as in step `fetch`; the sha256 of a file without a known one is
    recorded in accepted.csv. Raises `InputError` for weights that cannot be fetched or are others.
    """
    params = job.params
    if params.get("model") and "urls" in params:
        row = RemoteFile.from_params({**params, "name": params["model"]})
        accept = accept_unverified or params.get("accept_unverified", False) is True
        record = fetch_weights(row, Path(job.outputs["sidecar"]).parent, mirror, accept)
    else:
        own = job.params_as(OwnWeights)
        if not isinstance(own.file, str):
            raise InputError(f"job {job.name}: parameter file is {own.file!r}, expected a file name or path")
        record = check_own_file(own.file, own.sha256, own.source)
    found = f"{record['bytes'] / 1e6:,.1f} MB, verified"
    job.write_sidecar(content=record["sha256"], summary=found, **record)
