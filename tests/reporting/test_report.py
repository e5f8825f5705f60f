"""The HTML page: complete, self-contained, every link alive; and the captions of Snakemake's report."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import docutils.core
import jinja2
import pytest

from pipeline_src.errors import InputError
from pipeline_src.reporting.page import Page
from pipeline_src.reporting.report_params import Report
from pipeline_src.steps.figure import make_figure
from pipeline_src.steps.report import make_report
from pipeline_src.steps.table import make_table
from pipeline_src.steps.tabulate import tabulate
from tests.reporting.made_up_study import REPOSITORY

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FIGURES = ("tradeoff", "curves", "predictions")
FEW = ("curves",)
"""Where a test does not look at the figures."""


class Links(HTMLParser):
    """Collects ids, link targets, picture sources and text of a page, and checks that tags nest."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self):
        super().__init__()
        self.ids, self.targets, self.sources, self.open, self.text = [], [], [], [], []
        self.tags = set()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.targets.append(attributes["href"])
        if tag == "img":
            self.sources.append(attributes["src"])
            assert attributes["alt"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture
def make_study(make_study):
    """As elsewhere, with pictures of predictions."""
    return lambda **options: make_study(**({"pictures": True} | options))


def made(study, figures=FEW, paper=True, **changes):
    tabulate(study.tabulate_job())
    make_table(study.table_job(paper))
    for kind in figures:
        rows = ["depth 0", "depth 2"] if kind == "predictions" else None
        make_figure(study.figure_job(kind, rows=rows, compared=paper))
    job = study.report_job(figures=figures)
    job.params.update(changes)
    make_report(job)
    page = Path(job.outputs["report"]).read_text()
    links = Links()
    links.feed(page)
    return page, links, job


def test_the_page_needs_nothing_from_outside(make_study):
    page, links, _ = made(make_study(), figures=FIGURES)
    assert all(source.startswith("data:image/") for source in links.sources)
    assert not any(re.match(r"^[a-z]+:", target) for target in links.targets)
    assert not {"script", "link", "iframe"} & links.tags
    assert not re.search(r"url\(|@import", page)
    assert not links.open


def test_every_link_leads_somewhere(make_study):
    _, links, job = made(make_study(seeds=2), figures=FIGURES)
    folder = Path(job.outputs["report"]).parent
    assert len(links.ids) == len(set(links.ids))
    for target in links.targets:
        if target.startswith("#"):
            assert unquote(target[1:]) in links.ids, target
        else:
            assert (folder / unquote(target)).is_file(), target


def test_every_run_and_architecture_has_a_section_with_its_sidecars(make_study):
    study = make_study(seeds=2)
    _, links, _ = made(study)
    for _, run, _ in study.runs():
        assert f"run-{run.replace('/', '-')}" in links.ids
        assert f"runs/{run}/train.json" in links.targets
        assert f"runs/{run}/evaluate.json" in links.targets
    for row in study.rows:
        assert f"cost-{row['architecture'].replace('/', '-')}" in links.ids
        assert f"cost/{row['architecture']}/sidecar.json" in links.targets


def test_every_number_of_a_table_links_to_what_it_was_measured_on(make_study):
    study = make_study(seeds=2)
    _, links, job = made(study)
    table = json.loads(Path(job.inputs["tables"][0]).read_text())["table"]
    for row in table["blocks"][0]["rows"]:
        for cell in row[1:]:
            names = cell.get("runs") or [cell["architecture"]]
            kind = "run" if cell["runs"] else "cost"
            for name in names:
                assert f"#{kind}-{name.replace('/', '-')}" in links.targets


def test_demo_says_that_it_is_no_evidence(make_study):
    _, links, _ = made(make_study())
    text = " ".join(links.text)
    assert "demo numbers are never evidence about a paper" in text
    assert "started without pretrained weights" in text
    assert "not comparable (demo)" in text


def test_a_comparable_scale_has_no_such_banner(make_study):
    _, links, _ = made(make_study(seeds=3, comparable=True))
    text = " ".join(links.text)
    assert "never evidence" not in text
    assert "agrees" in text


def test_an_own_study_has_neither_verdicts_nor_a_banner_about_papers(make_study):
    _, links, _ = made(make_study(), paper=False, assumptions=[])
    text = " ".join(links.text)
    assert "evidence" not in text
    assert "verdicts" not in links.ids
    assert "#verdicts" not in links.targets


def test_two_studies_with_rows_of_one_name_both_show_pictures(make_study):
    study = make_study(seeds=2)
    for row in study.rows:
        row["name"] = row["name"].replace("depth 5", "depth 4")
    job = study.report_job(tables=False)
    make_report(job)
    page = Path(job.outputs["report"]).read_text()
    assert page.count("data:image/webp") == 6 * 2


def test_the_list_of_runs_shows_the_scores_that_matter_to_its_tasks(make_study):
    study = make_study(seeds=2)
    masks, boxes = study.files("evaluate.json")[:2]
    for path, scores in ((masks, {"miou": 0.4321}), (boxes, {"ap": 0.1234, "ap50": 0.25, "voc_ap": None})):
        Path(path).write_text(json.dumps(json.loads(Path(path).read_text()) | {"scores": scores}))
    page, _, _ = made(study)
    head, *lines = re.findall(r"<tr>(.*?)</tr>", page.partition('<section id="runs">')[2], re.S)
    cells = [[re.sub("<.*?>", "", cell) for cell in re.findall("<td.*?>(.*?)</td>", line)] for line in lines]
    assert re.findall(r"<th[^>]*>(.*?)</th>", head) == [
        "run",
        "row",
        "seed",
        "mIoU (%)",
        "AP (%)",
        "AP50 (%)",
    ]
    assert cells[0][1:] == ["depth 5", "0", "43.21", "–", "–"]
    assert cells[1][1:] == ["depth 5", "1", "–", "12.34", "25.00"]


def test_uncommitted_changes_are_shown_at_the_top(make_study):
    study = make_study()
    path = study.root / "runs" / "dfp/depth-1/seed-0" / "train.json"
    sidecar = json.loads(path.read_text())
    sidecar["git"]["dirty"] = True
    path.write_text(json.dumps(sidecar))
    page, _, _ = made(study)
    assert "Made with uncommitted changes." in page
    assert page.index("Made with uncommitted changes.") < page.index("<nav>")


def test_assumptions_data_and_environment_are_on_the_page(make_study):
    study = make_study()
    _, links, _ = made(study)
    text = " ".join(" ".join(links.text).split())
    for entry in study.table_params()["assumptions"]:
        assert f"assumption-{entry['id']}" in links.ids
        assert entry["reason"] in text
    assert "1,464" in text and "not labelled" in text and "4.3 %" in text
    assert "3.11.7" in text and "2.15.0" in text
    assert "120" in text  # the step that a training was resumed at


def test_objects_are_counted_where_the_data_has_boxes(make_study):
    study = make_study()
    path = study.root / "data/voc2012/manifest.json"
    manifest = json.loads(path.read_text())
    classes = len(manifest["classes"])
    for split in manifest["splits"].values():
        by_class = [3, 1] + [0] * (classes - 3)
        because = "crowds and difficult"
        split["counted"] = {
            "what": "objects", "by_class": by_class, "left_out": 1, "because": because, "first": 1
        }  # fmt: skip
    path.write_text(json.dumps(manifest))
    page, _, _ = made(study)
    assert "Share of objects" in page and "Share of labelled pixels" not in page
    assert "75.00 %" in page and "20.0 %" in page and because in page


def test_predictions_are_shown_once_per_row_and_are_those_of_its_first_seed(make_study):
    study = make_study(seeds=3)
    _, links, job = made(study)
    assert sum(source.startswith("data:image/webp") for source in links.sources) == 6 * 2
    runs = Page(job.params_as(Report), job.inputs, Path(job.outputs["report"]).parent).context()["runs"]
    assert len(runs) == 6 * 3
    assert [len(run["panels"]) for run in runs] == [0 if run["seed"] else 2 for run in runs]


def test_text_from_files_cannot_become_markup(make_study):
    study = make_study()
    study.rows[0]["name"] = "<script>alert(1)</script>"
    page, links, _ = made(study, title="A & B <i>")
    assert "script" not in links.tags
    assert "&lt;script&gt;" in page
    assert "A &amp; B &lt;i&gt;" in page


def test_the_same_files_make_the_same_page(make_study):
    study = make_study()
    first, _, _ = made(study)
    second, _, _ = made(study)
    assert first == second


def test_lists_that_do_not_fit_are_refused(make_study):
    study = make_study()
    made(study)
    job = study.report_job(figures=FEW)
    job.inputs["train"].pop()
    with pytest.raises(InputError, match=r"inputs\.train: has 5 files for 6 entries"):
        make_report(job)


@pytest.mark.parametrize("name", ["workflow", "table", "figure", "report"])
def test_captions_of_the_workflows_report_are_valid(name):
    text = (REPOSITORY / "workflow" / "report" / f"{name}.rst").read_text()
    wildcards = SimpleNamespace(scale="demo", table="dfp_table1", figure="dfp_tradeoff")
    job = SimpleNamespace(wildcards=wildcards, config={"scale": "demo"})
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    rendered = environment.from_string(text).render(snakemake=job)
    assert "demo" in rendered
    docutils.core.publish_string(
        rendered, writer="html5", settings_overrides={"halt_level": 2, "report_level": 5}
    )


class Tables(HTMLParser):
    """Every table of a page: whether it has a caption, and its header cells with their scopes."""

    def __init__(self):
        super().__init__()
        self.captions, self.scopes = [], []

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.captions.append(0)
        if tag == "caption":
            self.captions[-1] += 1
        if tag == "th":
            self.scopes.append(dict(attrs).get("scope"))


@pytest.mark.parametrize("paper", [True, False])
def test_every_table_has_a_caption_and_every_header_a_scope(make_study, paper):
    page, _, _ = made(make_study(seeds=3), paper=paper)
    tables = Tables()
    tables.feed(page)
    assert len(tables.captions) > 5 and set(tables.captions) == {1}
    assert set(tables.scopes) <= {"col", "row", "rowgroup"}


def test_the_answers_come_before_all_else(make_study):
    page, _, _ = made(make_study(seeds=3), paper=False)
    places = [page.index(f'id="{name}"') for name in ("answers", "study-dfp", "data", "runs")]
    assert places == sorted(places)
    first = page[places[0] : places[1]]
    assert first.count('class="verdict') == 5  # every row but the baseline
    assert 'href="#table-dfp_table1"' in first


def test_the_reason_of_a_verdict_is_written_under_its_table(make_study):
    _, links, job = made(make_study(seeds=3, comparable=True))
    table = json.loads(Path(job.inputs["tables"][0]).read_text())["table"]
    text = " ".join(" ".join(links.text).split())
    cells = [cell for block in table["blocks"] for row in block["rows"] for cell in row]
    reasons = {cell["reason"] for cell in cells if cell["verdict"] and cell["reason"]}
    assert reasons
    for reason in reasons:
        assert reason in text


def test_warnings_about_the_data_stand_at_the_top(make_study):
    study = make_study()
    manifest = study.root / "data/voc2012/manifest.json"
    value = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**value, "warnings": ["class 'bird' has no pixel in train"]}))
    page, _, _ = made(study)
    assert (
        page.index("Look at the data first")
        < page.index("has no pixel in train")
        < page.index('id="answers"')
    )


def test_ideas_are_described_in_a_sentence(make_study):
    _, links, _ = made(make_study(), ideas=[["Deep Feature Pyramid", "It does this."]])
    assert "It does this." in links.text


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("paper", [True, False])
def test_a_browser_shows_the_page_without_scrolling_sideways(make_study, tmp_path, paper):
    page, _, _ = made(make_study(seeds=3), figures=FIGURES, paper=paper)
    wide, narrow = (laid_out(page, tmp_path, width) for width in (1280, 390))
    assert wide["page"] <= 1280 and not wide["scrolled"], wide
    assert narrow["page"] <= narrow["window"], narrow
    assert wide["answers"] < 900, "the answers are not on the first screen"


def laid_out(page, folder, width):
    """What a browser makes of a page: widths of window and page, tables that scroll, where answers end."""
    measure = """<script>addEventListener("load", () => {
      const tables = [...document.querySelectorAll(".scroll")];
      const wide = tables.filter(one => one.scrollWidth > one.clientWidth + 1);
      const answers = document.querySelector("#answers table").getBoundingClientRect().bottom;
      const found = {page: document.documentElement.scrollWidth, window: innerWidth, answers,
                     scrolled: wide.map(one => one.querySelector("caption").innerText)};
      document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>"; })</script></body>"""
    file = folder / f"page-{width}.html"
    file.write_text(page.replace("</body>", measure))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"]
    picture = folder / f"page-{width}.png"
    profile = f"--user-data-dir={folder / 'profile'}"
    for output in ("--dump-dom", f"--screenshot={picture}"):
        line = [BROWSER, *options, profile, output, file.as_uri()]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
        if output == "--dump-dom":
            found = json.loads(re.search(r"<pre>(.*)</pre>", done.stdout)[1])
    assert picture.stat().st_size > 0
    return found
