"""Step `figure`: one figure as SVG and PNG, with the CSV that it was drawn from.

    params   `DrawFigure` of pipeline_src/reporting/report_params.py
    inputs   what the kind reads, see pipeline_src/reporting/figures/figure_kind.py

The job's code is that of `figure.<kind>` in `pipeline_src/components.py`. Nothing in the pictures
depends on the date, so the same inputs make the same bytes.
"""

from pipeline_src.components import load
from pipeline_src.files import digest_file
from pipeline_src.options import from_json
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.captions import scale_sentence
from pipeline_src.reporting.figures.drawing import save_drawing, styled
from pipeline_src.reporting.figures.figure_kind import FigureKind
from pipeline_src.reporting.report_params import DrawFigure
from pipeline_src.reporting.row_params import check_rows


def make_figure(job: Job) -> None:
    """Draw, write the files, and end with the sidecar."""
    params = job.params_as(DrawFigure)
    check_rows(params.rows)
    kind: type[FigureKind] = load(f"figure.{params.kind}")
    with styled():
        drawing = kind.draw(params, from_json(kind.Options, params.options), job.inputs)
    save_drawing(drawing, job.outputs["svg"], job.outputs["png"], job.outputs["csv"])
    job.write_sidecar(
        digest_file(job.outputs["csv"]),
        ("matplotlib", "pillow"),
        summary=f"{len(drawing.records)} values drawn",
        figure={
            "name": params.figure,
            "study": params.study,
            "kind": params.kind,
            "title": params.title,
            "notes": [scale_sentence(params.scale, params.compared), *drawing.notes],
        },
    )
