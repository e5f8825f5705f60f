"""Step `report`: one self-contained HTML page of a scale.

    params   {"title": "Fusebench", "scale": {"name", "comparable", "note"},
              "studies": [{"study": "dfp", "title": "...",
                           "tables": ["dfp_table1"], "figures": ["dfp_tradeoff", ...]}],
              "runs": [{"run", "row", "seed", "status": "run", "reason": null}],   # every run once
              "architectures": ["dfp/depth-3", ...],
              "assumptions": [{"id", "study", "text", "reason", "switch", "default"}],
              "verdicts": {"points", "ratio", "confidence", "minimum_seeds"}}
    inputs   {"tables": [<table>.json ...], "figures": [<figure>.json ...],   # those of the studies
              "train": [train.json ...], "evaluate": [evaluate.json ...],     # of runs with status "run"
              "cost": [sidecar.json ...],                                     # of the architectures
              "manifests": [manifest.json ...]}
    outputs  {"sidecar", "report": report.html}

Pictures are embedded; links to sidecars and tables are relative to the page, so the folder
`results/<scale>` can be moved or packed as a whole.
"""

from pathlib import Path

from pipeline_src.files import digest_file, write_text
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.html import render_page
from pipeline_src.reporting.page import Page


def make_report(job: Job) -> None:
    """Write the page and the sidecar."""
    target = Path(job.outputs["report"])
    page = Page(job.params, job.inputs, target.parent)
    write_text(target, render_page(page.context()))
    job.write_sidecar(digest_file(target), ("jinja2", "pillow"))
