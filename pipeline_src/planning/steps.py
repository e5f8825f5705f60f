"""The steps of the workflow: one table from which rules, job files, the planner and `run` take theirs.

A step is a function of a job. What has to be known of it stands here and nowhere else: what names
its jobs, what they read and write, and what a machine has to grant them. Standard library only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline_src.reporting.figures.figure_kind import READABLE

OWN_THREADS = "own"
"""As many threads as the job's own parameters say: they can change a result's bits."""

PLACE = ("device", "workers")
TRAINING = (*PLACE, "work", "interval")
FETCHING = ("mirror", "accept_unverified")


@dataclass(frozen=True)
class Step:
    """One kind of job.

    `function` is `module:attribute` of what does it, called with the job and those of `run`'s options
    that `options` names. `wildcard` is what names its jobs in `outputs`, whose paths also hold the
    `{scale}` where each scale has its own; a step with a single job has `only` its name instead.
    `inputs` says what each input is: a job has some of them, or all. `message` names what a job does.

    What a machine has to grant a job: `memory` in megabytes for every process that computes, multiplied with
    the attempt where it `grows`; `runtime` in minutes; a GPU where there is one, if the step can use one.
    A `parallel` step can use several GPUs, each with a process of its own, and beside each process on a GPU
    there are `loaders` that read images. An `alone` step measures time: nothing else runs beside it, on a
    cluster nothing else on its node. A `local` step runs where Snakemake runs, also on a cluster.
    `cluster_threads` stands for `threads` on a cluster, where a job does not wait for cores of this machine.
    Of jobs that could start, those of the highest `priority` do, less a job's own rank.
    """

    name: str
    message: str
    function: str
    outputs: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    wildcard: str = ""
    only: str = ""
    options: tuple[str, ...] = ()
    threads: int | str = 1
    cluster_threads: int | None = None
    memory: int = 1000
    grows: bool = False
    runtime: int = 10
    gpu: bool = False
    parallel: bool = False
    loaders: int = 0
    alone: bool = False
    local: bool = False
    priority: int = 0

    @property
    def module(self) -> str:
        """The module that holds the function: the entry point of the step's code identity."""
        return self.function.split(":")[0]

    @property
    def log(self) -> str:
        """Template of the path that a job's output is logged to."""
        return self._beside("logs", "log")

    @property
    def benchmark(self) -> str:
        """Template of the path of a job's time and memory, as Snakemake measures them."""
        return self._beside("benchmarks", "tsv")

    def path(self, output: str, name: str, scale: str, **file_names: str) -> str:
        """The path of an output of the job `name` at a scale; `file_names` fill further fields of it."""
        return self.outputs[output].format(**{"scale": scale, self.wildcard or "_": name}, **file_names)

    def paths(self, name: str, scale: str, **file_names: str) -> dict[str, str]:
        """All outputs of the job `name` at a scale."""
        return {output: self.path(output, name, scale, **file_names) for output in self.outputs}

    def _beside(self, folder: str, suffix: str) -> str:
        job = f"{self.name}/{{{self.wildcard}}}" if self.wildcard else self.name
        return f"work/{{scale}}/{folder}/{job}.{suffix}"


BRINGS_DATA, OF_A_RUN = 2000, 1000
"""Priorities: what brings data here comes first, so that the first seeds of all rows can be trained before
the second seed of any; costs and summaries fill what is free."""

DATA = {
    "manifest": "what the data set's files hold, checked",
    "sources": "the records of what brings its files here",
}
START = {
    **DATA,
    "weights": "the record of the backbone's pretrained weights, if it starts from some",
    "init_from": "the run whose weights this one starts from, if there is one",
}
STATISTICS = "means and deviations that scale equalizers need, if the run has some"
TIDY = {"experiments": "the study's scores and counted costs", "timed": "its times and memory"}

FETCH = Step(
    name="fetch",
    message="fetch {name}",
    function="pipeline_src.steps.fetch:fetch_archive",
    wildcard="archive",
    outputs={"sidecar": "data/archives/{archive}.json"},
    options=(*FETCHING, "keep_in_dvc"),
    memory=500,
    runtime=720,
    local=True,
    priority=BRINGS_DATA,
)
EXTRACT = Step(
    name="extract",
    message="extract {name}",
    function="pipeline_src.steps.extract:extract_archive",
    wildcard="archive",
    inputs={"archive": "the record of the fetched archive"},
    outputs={"sidecar": "data/extracted/{archive}.json"},
    runtime=240,
    priority=BRINGS_DATA,
)
SCENES = Step(
    name="scenes",
    message="draw scenes {name}",
    function="pipeline_src.steps.scenes:make_scenes",
    wildcard="dataset",
    outputs={"sidecar": "data/scenes/{dataset}.json"},
    runtime=30,
    local=True,
    priority=BRINGS_DATA,
)
MANIFEST = Step(
    name="manifest",
    message="check and describe data set {name}",
    function="pipeline_src.steps.manifest:make_manifest",
    wildcard="dataset",
    inputs={"sources": "the records of extracted archives or drawn scenes; none for a user's folder"},
    outputs={
        "sidecar": "results/{scale}/data/{dataset}/manifest.json",
        "index": "results/{scale}/data/{dataset}/index.json",
    },
    options=("workers",),
    # it uses every core that it may, but waiting for two free ones would hold up what needs its data
    cluster_threads=4,
    memory=4000,  # COCO's 450 MB of JSON are parsed in one piece
    grows=True,
    runtime=120,
    priority=BRINGS_DATA,
)
WEIGHTS = Step(
    name="weights",
    message="fetch and verify weights {name}",
    function="pipeline_src.steps.weights:bring_weights",
    wildcard="weights",
    outputs={"sidecar": "data/weights/{weights}.json"},
    options=FETCHING,
    memory=500,
    runtime=120,
    local=True,
    priority=BRINGS_DATA,
)
CALIBRATE = Step(
    name="calibrate",
    message="calibrate {name}",
    function="pipeline_src.steps.calibrate:calibrate_job",
    wildcard="run",
    inputs=START,
    outputs={
        "sidecar": "results/{scale}/runs/{run}/calibrate.json",
        "statistics": "results/{scale}/runs/{run}/statistics.json",
    },
    options=TRAINING,
    threads=OWN_THREADS,
    memory=4000,
    grows=True,
    runtime=240,
    gpu=True,
    parallel=True,
    loaders=4,
    priority=OF_A_RUN,
)
PROBE = Step(
    name="probe",
    message="probe the start of {name}",
    function="pipeline_src.steps.probe:probe_job",
    wildcard="run",
    inputs={**START, "statistics": STATISTICS},
    outputs={
        "sidecar": "results/{scale}/figures/probes/{run}/sidecar.json",
        "probe": "results/{scale}/figures/probes/{run}/probe.json",
    },
    options=PLACE,
    threads=OWN_THREADS,
    memory=4000,
    grows=True,
    runtime=60,
    gpu=True,
    loaders=4,
)
TRAIN = Step(
    name="train",
    message="train {name}",
    function="pipeline_src.steps.train:train",
    wildcard="run",
    inputs={**START, "statistics": STATISTICS},
    outputs={
        "sidecar": "results/{scale}/runs/{run}/train.json",
        "model": "results/{scale}/runs/{run}/model.safetensors",
        "log": "results/{scale}/runs/{run}/log.csv",
        "curve": "results/{scale}/runs/{run}/curve.csv",
    },
    options=TRAINING,
    threads=OWN_THREADS,
    memory=8000,  # a GPU's four loader processes hold two batches each, 2.6 GB of 32 images at 1333x800
    grows=True,
    runtime=1440,
    gpu=True,
    parallel=True,
    loaders=4,
    priority=OF_A_RUN,
)
EVALUATE = Step(
    name="evaluate",
    message="evaluate {name}",
    function="pipeline_src.steps.evaluate:evaluate",
    wildcard="run",
    inputs={**DATA, "train": "the record of the training, which names the weights"},
    outputs={
        "sidecar": "results/{scale}/runs/{run}/evaluate.json",
        "metrics": "results/{scale}/runs/{run}/metrics.json",
        "overlays": "results/{scale}/runs/{run}/overlays",
    },
    options=PLACE,
    threads=OWN_THREADS,
    memory=6000,
    grows=True,
    runtime=120,
    gpu=True,
    priority=OF_A_RUN,
)
COST = Step(
    name="cost",
    message="measure {name}",
    function="pipeline_src.steps.cost:measure_cost",
    wildcard="architecture",
    outputs={
        "sidecar": "results/{scale}/cost/{architecture}/sidecar.json",
        "cost": "results/{scale}/cost/{architecture}/cost.json",
        "timing": "results/{scale}/cost/{architecture}/timing.json",
    },
    threads=OWN_THREADS,
    alone=True,
    memory=8000,
    grows=True,
    runtime=60,
    gpu=True,
)
TABULATE = Step(
    name="tabulate",
    message="tabulate {name}",
    function="pipeline_src.steps.tabulate:tabulate",
    wildcard="study",
    inputs={
        "metrics": "the scores of every run",
        **{name: READABLE[name] for name in ("evaluate", "train", "log", "curve")},
        "cost": "the counted costs of every architecture",
        "timing": "its times and memory",
    },
    outputs={
        "sidecar": "results/{scale}/studies/{study}/sidecar.json",
        "experiments": "results/{scale}/studies/{study}/experiments.csv",
        "timed": "results/{scale}/studies/{study}/experiments_timed.csv",
    },
    local=True,
)
JOIN = Step(
    name="join",
    message="join the tables of all studies",
    function="pipeline_src.steps.join:join",
    only="experiments",
    inputs={"experiments": "every study's scores and counted costs", "timed": "its times and memory"},
    outputs={
        "sidecar": "results/{scale}/experiments.json",
        "experiments": "results/{scale}/experiments.csv",
        "timed": "results/{scale}/experiments_timed.csv",
        "metrics": "results/{scale}/metrics.json",
    },
    local=True,
)
TABLE = Step(
    name="table",
    message="table {name}",
    function="pipeline_src.steps.table:make_table",
    wildcard="table",
    inputs=TIDY,
    outputs={
        "sidecar": "results/{scale}/tables/{table}.json",
        "csv": "results/{scale}/tables/{table}.csv",
        "md": "results/{scale}/tables/{table}.md",
        "tex": "results/{scale}/tables/{table}.tex",
    },
    local=True,
)
SIMULATE = Step(
    name="simulate",
    message="simulate {name}",
    function="pipeline_src.steps.simulate:simulate_job",
    wildcard="figure",
    outputs={
        "sidecar": "results/{scale}/figures/simulations/{figure}/sidecar.json",
        "simulation": "results/{scale}/figures/simulations/{figure}/simulation.json",
    },
    threads=OWN_THREADS,
    memory=2000,
    runtime=60,
)
FIGURE = Step(
    name="figure",
    message="figure {name}",
    function="pipeline_src.steps.figure:make_figure",
    wildcard="figure",
    inputs=READABLE,
    outputs={
        "sidecar": "results/{scale}/figures/{figure}.json",
        "svg": "results/{scale}/figures/{figure}.svg",
        "png": "results/{scale}/figures/{figure}.png",
        "csv": "results/{scale}/figures/{figure}.csv",
    },
    memory=2000,
    local=True,
)
REPORT = Step(
    name="report",
    message="report",
    function="pipeline_src.steps.report:make_report",
    only="report",
    inputs={
        "tables": "the records of all tables",
        "figures": "the records of all figures",
        "experiments": "all studies' scores and counted costs",
        "train": "the records of all trainings",
        "evaluate": "the records of all evaluations",
        "cost": "the records of all costs",
        "manifests": "what every data set holds",
    },
    outputs={
        "sidecar": "results/{scale}/report.json",
        "report": "results/{scale}/report.html",
    },
    local=True,
)
EXPORT_SUBMISSION = Step(
    name="export_submission",
    message="write the submission of {name}",
    function="pipeline_src.steps.export_submission:export_submission",
    inputs={
        "train": "the record of the training, which names the weights",
        "images": "the records of the extracted test images; none for a user's folder",
    },
    outputs={
        "sidecar": "results/{scale}/submissions/{sidecar}",
        "archive": "results/{scale}/submissions/{archive}",
    },
    options=("device",),
    threads=OWN_THREADS,
    gpu=True,
)
"""No rule of the workflow: `python -m pipeline_src export-submission` runs it, and names the files as the
servers want them."""

STEPS = {
    step.name: step
    for step in (
        FETCH, EXTRACT, SCENES, MANIFEST, WEIGHTS, CALIBRATE, PROBE, TRAIN, EVALUATE, COST,
        TABULATE, JOIN, TABLE, SIMULATE, FIGURE, REPORT, EXPORT_SUBMISSION,
    )
}  # fmt: skip
