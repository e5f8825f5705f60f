"""Points become runs (one training each, however many rows need it), and rows point at runs."""

from math import prod

from pipeline_src.config.axis_points import Point, key_path_of, points_of
from pipeline_src.config.costing import cost_setting, costing, trained, without_weights
from pipeline_src.config.experiments import Architecture, Experiments, Row, Run, Scoring
from pipeline_src.config.explain import one_of
from pipeline_src.config.resolve import check_references
from pipeline_src.config.study import ExtraSeeds, Params
from pipeline_src.config.table_rows import check_rows, check_task, row_label, with_baselines
from pipeline_src.files import digest_of
from pipeline_src.options import to_json
from pipeline_src.reporting.row_status import NOT_AT_THIS_SCALE

RowKey = tuple[str, str]
"""A study's key and the label of one of its rows."""


def expand(params: Params) -> Experiments:
    """Expand the selected studies; raises `InputError` (one line a finding, with its key path)."""
    check_references(params)
    if not params.select:
        raise params.wrong(["select"], f"[] names no study; use all or a list of {one_of(params.studies)}")
    expansion = _Expansion(params)
    rows = {key: expansion.rows(key) for key in selected(params)}
    return Experiments(expansion.runs, expansion.scorings, rows, expansion.architectures)


def selected(params: Params) -> list[str]:
    """Keys of the studies to plan, in the file's order."""
    return [key for key in params.studies if params.select == "all" or key in params.select]


class _Expansion:
    """Gathers runs, scorings and architectures, each once, by the name of the first point that needs it."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.runs: dict[str, Run] = {}
        self.scorings: dict[str, Scoring] = {}
        self.architectures: dict[str, Architecture] = {}
        self._points: dict[str, list[Point]] = {}
        self._trainings = 0
        self._run_names: dict[str, str] = {}
        self._scoring_names: dict[str, str] = {}
        self._architecture_names: dict[str, str] = {}

    def rows(self, key: str) -> list[Row]:
        """The rows of a study's tables."""
        points = self._points_of(key)
        check_task(self.params, key)
        only = self.params.studies[key].only
        rows = [self._row(key, point, only is None or point.label in only) for point in points]
        rows = with_baselines(self.params, key, rows, [point.labels for point in points])
        check_rows(self.params, key, rows)
        return rows

    def _row(self, key: str, point: Point, made: bool) -> Row:
        """The row of a point, with its runs where it is made at this scale."""
        seeds = range(self._seeds(key, point)) if made else range(0)
        runs = [self._run(key, point, point.first_seed + seed) for seed in seeds]
        return Row(
            study=key,
            label=point.label,
            settings=point.settings,
            runs=tuple(runs),
            scorings=tuple(
                self._scoring(point, run, point.first_seed + seed) for seed, run in zip(seeds, runs)
            ),
            seeds=tuple(seeds),
            architecture=self._architecture(key, point) if made else None,
            baseline=None,
            dataset=point.dataset,
            pair=row_label(self.params, key, point.labels, point.settings, "pair"),
            status=None if made else NOT_AT_THIS_SCALE,
            reason=None if made else f"scale {self.params.scale} leaves it out",
        )

    def _run(self, key: str, point: Point, seed: int, asked_by: tuple[RowKey, ...] = ()) -> str:
        """Name of the run that trains a point; before it, the one that it starts from is added."""
        start = self._start(key, point, (*asked_by, (key, point.label)))
        model = trained(self.params, point.model)
        identity: list[object] = [point.dataset, model, to_json(point.recipe), seed]
        name = f"{point.name}/seed-{seed}"
        name = self._run_names.setdefault(digest_of([*identity, start] if start else identity), name)
        self.runs.setdefault(
            name, Run(name, key, point.dataset, point.backbone, model, point.recipe, seed, start)
        )
        return name

    def _start(self, key: str, point: Point, asked_by: tuple[RowKey, ...]) -> str | None:
        """Name of the run whose weights a point starts from."""
        given = point.init_from
        if given is None:
            return None
        where = key_path_of(key, self.params.studies[key], point.settings, "init_from")
        if given.study not in self.params.studies:
            raise self.params.wrong(
                where, f"{given.study!r} is not in studies; use {one_of(self.params.studies)}"
            )
        others = {other.label: other for other in self._points_of(given.study)}
        label = next(iter(others)) if given.row is None and len(others) == 1 else given.row
        if label is None or label not in others:
            what = (
                f"study {given.study!r} has no row {label!r}"
                if label
                else f"{given.study!r} has several rows"
            )
            raise self.params.wrong(where, f"{what}; set row to {one_of(others)}")
        if (given.study, label) in asked_by:
            circle = " <- ".join(f"{study} {row!r}" for study, row in (*asked_by, (given.study, label)))
            raise self.params.wrong(where, f"a training cannot start from its own result: {circle}")
        if given.seed >= (seeds := self._seeds(given.study, others[label])):
            raise self.params.wrong(where, f"seed {given.seed} is not trained; {given.study!r} has {seeds}")
        source = others[label]
        return self._run(given.study, source, source.first_seed + given.seed, asked_by)

    def _scoring(self, point: Point, run: str, seed: int) -> str:
        name = f"{point.name}/seed-{seed}"
        identity = digest_of([run, point.model, to_json(point.evaluation)])
        name = self._scoring_names.setdefault(identity, name)
        self.scorings.setdefault(name, Scoring(name, run, point.model, point.evaluation))
        return name

    def _architecture(self, key: str, point: Point) -> str:
        setting, network = cost_setting(self.params, point.recipe), costing(self.params, point.model)
        identity = digest_of([without_weights(network), setting])
        name = self._architecture_names.setdefault(identity, point.name)
        self.architectures.setdefault(name, Architecture(name, key, network, setting))
        return name

    def _points_of(self, key: str) -> list[Point]:
        if key not in self._points:
            self._count(key)
            self._points[key] = points_of(self.params, key)
            self._check_extra_seeds(key)
        return self._points[key]

    def _count(self, key: str) -> None:
        """Refuse more trainings than the limit, before any is planned."""
        study = self.params.studies[key]
        points = prod(len(values) for values in study.vary.values())
        seeds = max(study.seeds or self.params.seeds, *(extra.seeds for extra in study.extra_seeds), 1)
        self._trainings += points * seeds
        if self._trainings > self.params.max_trainings:
            so_far = f" ({self._trainings:,} with those before)" if self._trainings > points * seeds else ""
            raise self.params.wrong(
                self._too_many_at(key, points, seeds),
                f"{key} has up to {points:,} rows with {seeds:,} seeds, "
                f"{points * seeds:,} trainings{so_far}; "
                f"a plan may have {self.params.max_trainings:,}: use fewer, or raise max_trainings",
            )

    def _too_many_at(self, key: str, points: int, seeds: int) -> list[str | int]:
        """The key that asks for too many trainings."""
        study = self.params.studies[key]
        if points > self.params.max_trainings:
            return ["studies", key, "vary"]
        if points * seeds <= self.params.max_trainings:
            return ["studies", key]
        if any(extra.seeds == seeds for extra in study.extra_seeds):
            return ["studies", key, "extra_seeds"]
        return ["seeds"] if study.seeds is None else ["studies", key, "seeds"]

    def _seeds(self, key: str, point: Point) -> int:
        study = self.params.studies[key]
        seeds = study.seeds or self.params.seeds
        for extra in study.extra_seeds:
            if _selects(extra, point):
                seeds = max(seeds, extra.seeds)
        return seeds

    def _check_extra_seeds(self, key: str) -> None:
        """Refuse `extra_seeds` whose `where` names what no axis sets, or selects no row."""
        points = self._points[key]
        known: dict[str, list[str]] = {}
        for point in points:
            for path, value in point.settings.items():
                values = known.setdefault(path, [])
                if str(value) not in values:
                    values.append(str(value))
        for index, extra in enumerate(self.params.studies[key].extra_seeds):
            where: list[str | int] = ["studies", key, "extra_seeds", index, "where"]
            for path in extra.where:
                if path not in known:
                    use = f"use {one_of(known)}" if known else "this study has none; leave it out"
                    raise self.params.wrong([*where, path], f"is not an axis of `vary`; {use}")
            for path, value in extra.where.items():
                if not any(_selects(extra, point, path) for point in points):
                    raise self.params.wrong(
                        [*where, path], f"no row has {value!r}; use {one_of(known[path])}"
                    )
            if not any(_selects(extra, point) for point in points):
                raise self.params.wrong(where, "no row has all these values; use those of one row")


def _selects(extra: ExtraSeeds, point: Point, *paths: str) -> bool:
    """Whether a point has the values of `extra.where`; given `paths`, only these count."""
    return all(
        path in point.settings and point.settings[path] == extra.where[path] for path in paths or extra.where
    )
