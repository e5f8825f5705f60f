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

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline_src.errors import run_command
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job file named on the command line."""
    parser = argparse.ArgumentParser(description="Write the HTML report of one scale.")
    parser.add_argument("job", help="job file (JSON)")
    make_report(Job.load(parser.parse_args(arguments).job, "report"))


if __name__ == "__main__":
    run_command(main)
