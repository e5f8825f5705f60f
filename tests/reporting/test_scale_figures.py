"""Figures of the scale equalization study, from made-up files: what they record and what they say."""

import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline_src.calibration.probed_forms import PROBED_FORMS
from pipeline_src.errors import InputError
from pipeline_src.provenance.job import Job
from pipeline_src.reporting.figures.gradient_scales import STYLES, relative
from pipeline_src.steps.figure import make_figure
from tests.reporting.made_up_study import drawn, read_csv

SCALE = {"name": "demo", "comparable": False, "note": "made up"}
FACTORS = {"2": 0.3943, "4": 0.4342}
SIMULATION = {
    "content": "0" * 64,
    "maps": [16, 256, 128, 128],
    "mean": 0.3989,
    "ratios": [2, 4],
    "points": [
        {"variance": v, "before": 1.001 * v, "after": {r: 1.002 * v * f for r, f in FACTORS.items()}}
        for v in (0.01, 0.5, 0.99)
    ],
    "confirmed": [
        {
            "ratio": int(r),
            "variance": 0.5,
            "exact": 0.501 * f,
            "upsampled": 0.501 * f * (1 + 2e-12),
            "images": 3,
        }
        for r, f in FACTORS.items()
    ],
    "closed_form": {"finite": FACTORS, "interior": {"2": 0.390625, "4": 0.4306640625}},
}


def branch(name: str, scale: float) -> dict:
    return {
        "branch": name, "raw_std": 0.6, "upsampled_std": 0.6 * scale, "equalised_mean": 1e-7,
        "equalised_std": 1.0, "gradient": {"plain": 2e-4 * scale, "module": 3e-4, "folded": 5e-5 * scale},
        "weight": {"plain": 0.02, "module": 0.02, "folded": 0.02 / scale},
    }  # fmt: skip


def probe(*names: str) -> dict:
    branches = [branch(f"level {level}", scale) for level, scale in ((2, 1.0), (3, 0.5), (4, 0.25))]
    return {"content": "1" * 64, "batches": 4, "batch": 2, "concatenations": dict.fromkeys(names, branches)}


def rows(*names: str) -> list[dict]:
    return [
        {"name": name, "architecture": None, "baseline": None,
         "runs": [{"name": f"{name}/seed-{seed}", "seed": seed} for seed in (0, 1)]}
        for name in names
    ]  # fmt: skip


def job_of(folder: Path, kind: str, params: dict, inputs: dict) -> Job:
    said = {
        "study": "scale", "figure": kind, "kind": kind, "title": "Scales", "scale": SCALE,
        "task": "segmentation", "compared": True, "row_header": "row", **params,
    }  # fmt: skip
    outputs = {"sidecar": "figure.json", **{name: f"figure.{name}" for name in ("svg", "png", "csv")}}
    outputs = {name: str(folder / file) for name, file in outputs.items()}
    return Job("figure", kind, "demo", said, inputs, outputs, {"digest": "c", "modules": {}}, "a" * 64)


def write(folder: Path, name: str, value: dict) -> str:
    (folder / name).write_text(json.dumps(value))
    return str(folder / name)


def probe_inputs(folder: Path, count: int = 1, names: tuple[str, ...] = ("decoder.concat",)) -> dict:
    return {"probe": [write(folder, f"{number}.json", probe(*names)) for number in range(count)]}


@pytest.mark.parametrize("kind", ["upsampled_variance", "branch_scales", "gradient_scales"])
def test_the_step_draws_every_kind_and_twice_the_same(tmp_path, kind):
    inputs = {"simulation": write(tmp_path, "s.json", SIMULATION)}
    if kind != "upsampled_variance":
        inputs = probe_inputs(tmp_path, 2)
    job = job_of(tmp_path, kind, {"rows": rows("uper", "psp") if "probe" in inputs else []}, inputs)
    made = []
    for _ in range(2):
        make_figure(job)
        made.append(
            {name: Path(path).read_bytes() for name, path in job.outputs.items() if name != "sidecar"}
        )
    assert made[0] == made[1]
    sidecar = json.loads(Path(job.outputs["sidecar"]).read_text())
    assert sidecar["figure"]["kind"] == kind and len(sidecar["figure"]["notes"]) > 2
    with Image.open(job.outputs["png"]) as picture:
        assert picture.width == pytest.approx(7 * 160, abs=2)
    assert read_csv(job.outputs["csv"])


def test_variance_records_hold_every_point_and_both_closed_forms(tmp_path):
    drawing = drawn("upsampled_variance", inputs={"simulation": write(tmp_path, "s.json", SIMULATION)})
    exact = [r for r in drawing.records.to_dict("records") if r["series"] == "exact"]
    assert [(r["ratio"], r["variance"]) for r in exact] == [(r, v) for r in (2, 4) for v in (0.01, 0.5, 0.99)]
    assert exact[1]["before"] == 1.001 * 0.5
    assert exact[1]["factor"] == pytest.approx(0.3943 * 1.002 / 1.001)
    real = [r for r in drawing.records.to_dict("records") if r["series"] == "upsampled"]
    assert [(r["ratio"], r["after"]) for r in real] == [
        (2, SIMULATION["confirmed"][0]["upsampled"]),
        (4, SIMULATION["confirmed"][1]["upsampled"]),
    ]
    lines = {
        (r["series"], r["ratio"]): r["factor"]
        for r in drawing.records.to_dict("records")
        if "closed" in r["series"]
    }
    assert lines == pytest.approx(
        {
            ("closed form, this size", 2): 0.3943, ("closed form, this size", 4): 0.4342,
            ("closed form, no borders", 2): 0.390625, ("closed form, no borders", 4): 0.4306640625,
        }
    )  # fmt: skip
    said = " ".join(drawing.notes)
    assert "16 x 256 x 128 x 128" in said and "0.39430 (0.39062) at ratio 2" in said
    assert "Ratio 2 loses most, so that the loss does not grow with the ratio" in said
    assert "3 images really upsampled" in said and "2e-12" in said
    after, factor = drawing.figure.axes
    assert len(after.lines) == 1 + 2 * 4 and len(factor.lines) == 2 * 4


def test_a_simulation_without_confirmation_says_nothing_of_one(tmp_path):
    value = {**SIMULATION, "confirmed": []}
    drawing = drawn("upsampled_variance", inputs={"simulation": write(tmp_path, "s.json", value)})
    assert not any("really" in note for note in drawing.notes)


def test_branch_records_hold_all_three_scales(tmp_path):
    drawing = drawn("branch_scales", rows("uper", "psp"), probe_inputs(tmp_path, 2))
    assert [(r["row"], r["branch"]) for r in drawing.records.to_dict("records")] == [
        (row, f"level {level}") for row in ("uper", "psp") for level in (2, 3, 4)
    ]
    assert drawing.records.loc[2]["raw_std"] == 0.6
    assert drawing.records.loc[2]["upsampled_std"] == pytest.approx(0.15)
    assert drawing.records.loc[2]["equalised_std"] == 1
    assert [axes.get_title(loc="left") for axes in drawing.figure.axes] == ["uper", "psp"]
    assert "4 training batches of 2 images" in drawing.notes[0]


def test_gradients_are_relative_to_the_geometric_mean_of_their_network(tmp_path):
    drawing = drawn("gradient_scales", rows("uper"), probe_inputs(tmp_path))
    found = {(r["form"], r["branch"]): r["relative_gradient"] for r in drawing.records.to_dict("records")}
    for form in ("plain", "folded"):
        assert [found[form, f"level {level}"] for level in (2, 3, 4)] == pytest.approx([2, 1, 0.5])
    assert [found["module", f"level {level}"] for level in (2, 3, 4)] == pytest.approx([1, 1, 1])
    folded = next(
        r for r in drawing.records.to_dict("records") if (r["form"], r["branch"]) == ("folded", "level 4")
    )
    assert (folded["gradient"], folded["weight"]) == (pytest.approx(1.25e-5), pytest.approx(0.08))
    assert folded["relative_weight"] == pytest.approx(2)
    assert drawing.figure.axes[0].get_yscale() == "log"


def test_the_caption_says_that_folding_leaves_the_gradient_as_it_was(tmp_path):
    notes = " ".join(drawn("gradient_scales", rows("uper"), probe_inputs(tmp_path)).notes)
    assert "Folding does not change that a gradient is proportional to the raw feature's scale" in notes
    assert "dL/dW of a folded network is that of an unequalised feature" in notes


def test_a_gradient_of_zero_is_left_out():
    assert relative([4.0, 1.0, 0.0]) == [pytest.approx(2), pytest.approx(0.5), None]
    assert relative([0.0]) == [None]


@pytest.mark.parametrize("kind", ["branch_scales", "gradient_scales"])
@pytest.mark.parametrize(
    ("count", "names", "panels"),
    [(18, ("decoder.concat",), 18), (2, ("pyramid.fusions.5", "decoder.concat"), 4)],
)
def test_one_panel_for_every_concatenation_of_a_row(tmp_path, kind, count, names, panels):
    shown = rows(*(f"row {number}" for number in range(count)))
    drawing = drawn(kind, shown, probe_inputs(tmp_path, count, names))
    shown = [axes for axes in drawing.figure.axes if axes.axison]
    assert len(shown) == panels
    titles = [axes.get_title(loc="left") for axes in shown]
    assert titles[0] == ("row 0" if len(names) == 1 else "row 0: pyramid level 5")
    assert len({axes.get_ylim() for axes in shown}) == 1


@pytest.mark.parametrize("kind", ["branch_scales", "gradient_scales"])
def test_a_study_without_calibrated_rows_has_an_empty_figure(kind):
    drawing = drawn(kind, inputs={"probe": []})
    assert drawing.records.empty
    assert "Nothing was probed" in drawing.notes[0]


@pytest.mark.parametrize("kind", ["branch_scales", "gradient_scales"])
def test_probes_that_do_not_fit_are_refused(tmp_path, kind):
    with pytest.raises(InputError, match=r"inputs\.probe: has 1 files for 2 rows"):
        drawn(kind, rows("uper", "psp"), probe_inputs(tmp_path))
    path = write(
        tmp_path, "bad.json", {"content": "0", "concatenations": {"decoder.concat": [{"branch": "a"}]}}
    )
    with pytest.raises(InputError, match=r"bad\.json: not the result of a probe \(KeyError\("):
        drawn(kind, rows("uper"), {"probe": [path]})
    with pytest.raises(InputError, match=r"bad\.json: not the result of a simulation"):
        drawn("upsampled_variance", inputs={"simulation": path})


def test_every_probed_form_is_drawn():
    assert tuple(STYLES) == PROBED_FORMS
