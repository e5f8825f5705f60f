"""Step `report`: one self-contained HTML page of a scale.

    params   `Report` of pipeline_src/reporting/report_params.py

Pictures are embedded; links to sidecars and tables are relative to the page, so the folder
`results/<scale>` can be moved or packed as a whole.
"""

from pathlib import Path

from pipeline_src.files import digest_file, write_text
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.page import Page
from pipeline_src.reporting.report_params import Report
from pipeline_src.reporting.write_html import render_page


def make_report(job: Job) -> None:
    """Write the page and the sidecar."""
    target = Path(job.outputs["report"])
    page = Page(job.params_as(Report), job.inputs, target.parent)
    write_text(target, render_page(page.context()))
    job.write_sidecar(digest_file(target), ("jinja2", "pillow"), summary=str(target))
