"""The `studies` section: what is compared, which table shows it, and the root of `params.yaml`."""

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, create_model

from pipeline_src.config.component_declarations import component
from pipeline_src.config.data import Dataset, dataset_section
from pipeline_src.config.explain import dotted, in_short
from pipeline_src.config.figures import FigureSection, figure_sections
from pipeline_src.config.model import HEADS, Backbone, ModelSpec, Outside, model_spec
from pipeline_src.config.parameter_layers import Layer, locate
from pipeline_src.config.recipe import EvaluationSection, RecipeSection
from pipeline_src.config.sections import section_of
from pipeline_src.config.strict_model import Section
from pipeline_src.errors import InputError
from pipeline_src.options import Name, NonNegativeInt, Pair, PositiveInt
from pipeline_src.reporting.metric import Metric
from pipeline_src.reporting.metric_table import METRICS
from pipeline_src.reporting.report_params import Rules


class Table(Section):
    """One table of a study."""

    number: PositiveInt = Field(description="The paper's number; names the file `<study>_table<number>`.")
    title: str = Field(description="Caption.")
    row: str = Field(description="Label of a row; `{model.pyramid.depth}` is replaced by the row's value.")
    row_header: str = Field(default="row", description="Heading of the row labels.")
    metrics: Annotated[list[str], Field(min_length=1)] = Field(
        description="Columns, in order.", examples=[list(METRICS)]
    )
    pair: str | None = Field(
        default=None,
        description="Label, as `row`, of a row and its baseline together: an overview then shows both in one "
        "line, with their paired difference; null: no such overview.",
    )
    note: str = Field(default="", description="Printed under the table.")


class ExtraSeeds(Section):
    """More seeds for some rows."""

    where: dict[str, Any] = Field(description="Values (by key path) that select the rows.")
    seeds: PositiveInt = Field(description="Number of seeds of these rows.")


class InitFrom(Section):
    """A finished training whose weights another one starts from, where they match by name and shape."""

    study: str = Field(description="Key of an entry of `studies`; it need not be selected.")
    row: str | None = Field(default=None, description="Label of its row; null: its only one.")
    seed: NonNegativeInt = Field(default=0, description="Seed of that row; every seed here starts from it.")


class Study(Section):
    """A base and what varies: one training for every combination and seed."""

    title: str = Field(description="Heading in the report.")
    paper: str | None = Field(
        default=None,
        description="Key under which `workflow/reference/` holds the paper's numbers and assumptions; "
        "null: no paper to compare with.",
    )
    prefix: Name | None = Field(
        default=None,
        description="Begins the file names of its tables and figures, where several studies belong to one "
        "paper; null: the study's key.",
    )
    dataset: str = Field(description="Key of an entry of `datasets`.")
    model: ModelSpec = Field(description="The network of the base.")
    recipe: str = Field(description="Key of an entry of `recipes`.")
    evaluation: str | None = Field(
        default=None, description="Key of an entry of `evaluations`; null: the root's `evaluation`."
    )
    init_from: InitFrom | None = Field(
        default=None,
        description="The training that every row starts from; null: only from its backbone's weights.",
    )
    vary: dict[str, list[Any] | dict[str, dict[str, Any]]] = Field(
        default_factory=dict,
        description="Axes of the comparison: a key path (`model.pyramid.depth`) with its values, or a name "
        "with labelled settings, each a mapping of key paths to values. `dataset`, `recipe` and `evaluation` "
        "take keys of those sections, `init_from` a mapping.",
    )
    baseline: dict[str, Any] = Field(
        default_factory=dict,
        description="Values (by key path, or label by axis) of the row that the others are compared with; "
        "empty: none.",
    )
    controls: dict[str, Literal["no evidence", "helps", "hurts"]] = Field(
        default_factory=dict,
        description="Rows (by label) whose answer is known beforehand, with that answer: where one reads "
        "otherwise, the table says first that it may not be believed. For studies without a paper.",
    )
    only: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None,
        description="Labels of the rows that are made at this scale; the others say `not at this scale` in "
        "tables and are missing in figures. null: all rows.",
    )
    seeds: PositiveInt | None = Field(default=None, description="Seeds per row; null: the root's `seeds`.")
    first_seed: NonNegativeInt = Field(
        default=0,
        description="The first of these seeds. An axis may set it: rows that differ in nothing else show "
        "what seeds alone do.",
    )
    extra_seeds: list[ExtraSeeds] = Field(default_factory=list, description="More seeds for some rows.")
    tables: list[Table] = Field(
        default_factory=list, description="Tables; without tables and figures a study gets the usual ones."
    )
    figures: list[FigureSection] = Field(default_factory=list, description="Figures.")


class Compute(Section):
    """How a job computes; part of its identity, because thread counts change the last bits on a CPU."""

    threads: PositiveInt = Field(default=2, description="CPU threads of a training or evaluation.")
    deterministic: bool = Field(default=True, description="Use deterministic algorithms.")


class Cost(Section):
    """How the cost of an architecture is measured."""

    batch: PositiveInt | None = Field(default=None, description="Images of a step; null: the recipe's batch.")
    crop: Pair | None = Field(default=None, description="Height and width; null: the recipe's crop.")
    repeats: PositiveInt = Field(default=10, description="Timed repetitions.")
    warmup: PositiveInt = Field(default=2, description="Repetitions before these.")
    threads: PositiveInt = Field(default=2, description="CPU threads.")


class Params(Section):
    """The whole of `params.yaml`, after the scale and the user's overlay are applied."""

    scale: Name = Field(description="Which of `scales` applies; results go to `results/<scale>/`.")
    scale_note: str = Field(default="", description="What this scale is; printed with every table.")
    comparable: bool = Field(
        default=False,
        description="Whether numbers of this scale may be compared with the papers' (never for demo).",
    )
    select: list[str] | Literal["all"] = Field(default="all", description="Studies to plan.")
    components: dict[str, str] = Field(
        default_factory=dict,
        description="Components of your own: a kind such as `decoder.mine` with `file.py:attribute`; `mine` "
        "can then be named wherever the kinds of the package can.",
    )
    mirror: str | None = Field(
        default=None, description="Folder that holds archives and weights under their own file names."
    )
    accept_unverified: bool = Field(
        default=False,
        description="Accept a download for which no checksum is known, and record its SHA-256 for review.",
    )
    warm_start: bool = Field(
        default=False,
        description="Start jobs without a GPU from a process that has imported torch already: saves seconds "
        "a job where there are many short ones. Snakemake's benchmark files then know their time only.",
    )
    strict_environment: bool = Field(
        default=False,
        description="Make results again that other versions of the recorded libraries made, and let no "
        "training go on from such a checkpoint.",
    )
    seeds: PositiveInt = Field(default=1, description="Seeds per row: 0, 1, ..., seeds - 1.")
    max_trainings: Annotated[PositiveInt, Field(le=100_000)] = Field(
        default=5000,
        description="Trainings that a plan may have: more are refused, since a slip in `seeds` or `vary` "
        "would be planned for hours.",
    )
    compute: Compute = Field(default=Compute(), description="How a job computes.")
    evaluation: EvaluationSection = Field(
        default=EvaluationSection(), description="How a trained network is evaluated."
    )
    evaluations: dict[Name, EvaluationSection] = Field(
        default_factory=dict, description="Further ways of evaluation by name, for studies that name one."
    )
    cost: Cost = Field(default=Cost(), description="How cost is measured.")
    verdicts: Any = Field(default=None, description="Rules of the verdict column.")
    backbones: dict[Name, Backbone] = Field(description="Backbones by name.")
    datasets: dict[Name, Dataset] = Field(description="Data sets by name.")
    recipes: dict[Name, RecipeSection] = Field(description="Training recipes by name.")
    studies: dict[Name, Study] = Field(description="Studies by name.")
    scales: dict[Name, dict[str, Any]] = Field(
        description="Overrides by scale; each mirrors this tree and holds only differences."
    )

    _layers: list[Layer] = PrivateAttr(default_factory=list)

    def component(self, kind: str) -> Any:
        """What a component such as `decoder.uper` declares."""
        return component(kind, self.components)

    def task_of(self, study: Study) -> str:
        """What a study's runs are for, as their head declares it: a folder in `tasks`."""
        model = study.model
        return str(self.component(f"{HEADS[model.head]}.{getattr(model, model.head).kind}").task)

    def spelled(self, kinds: Iterable[str]) -> tuple[str, ...]:
        """Kinds as jobs name them: one of the user's own with the file that it stands in."""
        return tuple(f"{kind}={self.components[kind]}" if kind in self.components else kind for kind in kinds)

    @property
    def metrics(self) -> dict[str, Metric]:
        """Every metric by name, those of the user's own last."""
        own = {kind: self.component(kind) for kind in self.components if kind.startswith("metric.")}
        for kind, metric in own.items():
            if kind != f"metric.{metric.name}" or metric.name in METRICS:
                explanation = (
                    f"its name is {metric.name!r}; a kind is metric.<name>, and no name of the package"
                )
                raise self.wrong(["components", kind], explanation)
        return METRICS | {metric.name: metric for metric in own.values()}

    def table_name(self, study: str, table: Table) -> str:
        """Name of a study's table, and of its files."""
        return f"{self.studies[study].prefix or study}_table{table.number}"

    def wrong(self, path: list[str | int], explanation: str) -> InputError:
        """The error about a key that is valid by itself and wrong beside others, with its file."""
        where = locate(path, self._layers) if self._layers else dotted(path)
        return InputError(in_short(f"{where}: {explanation}"))


@cache
def params_model(outside: Outside = ()) -> type[Params]:
    """`Params` with the sections of all components, those of the user's own included."""
    described = {name: Study.model_fields[name].description for name in ("model", "figures")}
    model: Any = (model_spec(outside), Field(description=described["model"]))
    entry: Any = figure_sections(dict(outside))
    figures: Any = (list[entry], Field(default_factory=list, description=described["figures"]))
    study = create_model("Study", __base__=Study, __doc__=Study.__doc__, model=model, figures=figures)
    described = {name: Params.model_fields[name].description for name in ("datasets", "studies", "verdicts")}
    section, rules = dataset_section(outside), section_of(Rules)
    fields: dict[str, Any] = {
        "datasets": (dict[Name, section], Field(description=described["datasets"])),  # type: ignore[valid-type]
        "studies": (dict[Name, study], Field(description=described["studies"])),  # type: ignore[valid-type]
        "verdicts": (rules, Field(default=rules(), description=described["verdicts"])),
    }
    return create_model("Params", __base__=Params, __doc__=Params.__doc__, **fields)
