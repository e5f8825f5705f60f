"""Step `figure`: one figure as SVG and PNG, with the CSV that it was drawn from.

    params   {"study": "dfp", "figure": "dfp_tradeoff", "kind": "tradeoff" | "curves" | "predictions",
              "title": "...", "scale": {"name", "comparable", "note"}, "rows": [...],
              "compared": true,          # optional: whether there is a paper that the study is compared with
              and what the kind asks for: see pipeline_src/reporting/figures/<kind>.py}

The job's code is that of `figure.<kind>` in `pipeline_src/components.py`. Nothing in the pictures
depends on the date, so the same inputs make the same bytes.
"""

from pipeline_src.components import load
from pipeline_src.files import digest_file
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.captions import scale_sentence
from pipeline_src.reporting.figures.drawing import save_drawing, styled


def make_figure(job: Job) -> None:
    """Draw, write the files, and end with the sidecar."""
    params = job.params
    draw = load(f"figure.{params['kind']}")
    with styled():
        drawing = draw(params, job.inputs)
    save_drawing(drawing, job.outputs["svg"], job.outputs["png"], job.outputs["csv"])
    job.write_sidecar(
        digest_file(job.outputs["csv"]),
        ("matplotlib", "pillow"),
        figure={
            "name": params["figure"],
            "study": params["study"],
            "kind": params["kind"],
            "title": params["title"],
            "notes": [scale_sentence(params["scale"], params.get("compared", True)), *drawing.notes],
        },
    )
