"""What a table says about itself: scale, data, how each column was measured, and on what."""

from pipeline_src.reporting.report_params import CostSetting, EvaluatedData, MakeTable, Scale, Testing
from pipeline_src.reporting.table import Column, Values
from pipeline_src.reporting.table_blocks import sentence
from pipeline_src.tasks.declaration import Task
from pipeline_src.tasks.table import TASKS

NEVER_EVIDENCE = "Its numbers are never evidence about a paper."


def scale_sentence(scale: Scale, compared: bool = True) -> str:
    """Name and note of the scale; one that is not to be compared says so, where there is a paper."""
    parts = [f"Scale {scale.name}{': ' + scale.note.rstrip('.') if scale.note else ''}."]
    if compared and not scale.comparable:
        parts.append(NEVER_EVIDENCE)
    return " ".join(parts)


def describe_table(params: MakeTable, table: Values) -> list[str]:
    """Sentences below a table's title, from its `params` and from what `Comparison.table` found."""
    notes = [scale_sentence(params.scale, compared=bool(params.paper))]
    columns = table.columns
    scores = [column for column in columns if column.kind == "score"]
    if scores:
        notes.append(_data_sentence(params.data, table, scores))
    task = TASKS[params.data.task]
    notes += [_column_sentence(column, params.costs, task) for column in columns]
    baselines = {row.baseline_row or "" for row in table.rows if not row.is_baseline}
    if baselines:
        which = (
            "Baseline row: " + baselines.pop()
            if len(baselines) == 1
            else "Each row has a baseline of its own"
        )
        notes.append(
            f"{which}. Differences from it are means over the "
            "seeds that both rows have, so they need not be the difference of the means."
        )
    notes += [f"{row.row}: {row.status}, {row.reason.rstrip('.')}." for row in table.rows if row.reason]
    started = {row.name: row.init_from for row in params.rows if row.init_from}
    if "none" in params.weights and any(row.runs and not row.init_from for row in params.rows):
        rest = "the backbones of the other rows" if started else "the backbone"
        fixed = params.fixed_at_random
        never = f"; of it {fixed} stayed as it was, and never learned" if fixed else ""
        notes.append(f"Backbone weights: none, so {rest} started from a random initialisation{never}.")
    notes += [f"{row}: started from the weights of {run}." for row, run in started.items()]
    if params.assumptions and not params.scale.comparable:
        notes.append(
            "The assumptions describe the paper's recipe; this scale replaces its data, sizes and lengths."
        )
    if params.note:
        notes.append(params.note)
    return notes


def _data_sentence(data: EvaluatedData, table: Values, scores: list[Column]) -> str:
    kinds = {"scenes": " (generated scenes)", "folder": " (a user's own folder)"}
    ours = f"{data.dataset} {data.split}{kinds.get(data.kind, '')}"
    seeds = sorted({row.score(scores[0]).n for row in table.rows} - {0})
    n = f", n = {seeds[0]}" + (f" to {seeds[-1]}" if len(seeds) > 1 else "") if seeds else ""
    n += " (seeds)" if n else ""
    splits = {column.paper_split for column in scores if column.paper_split}
    paper = f"Paper: {data.paper_dataset or data.dataset} {', '.join(sorted(splits))}; " if splits else ""
    ways = [_way(one) + (f" ({one.rows} rows)" if len(data.testing) > 1 else "") for one in data.testing]
    parts = [ours, *([" or ".join(ways)] if ways else [])]
    if extra := TASKS[data.task].scores:
        parts.append(extra)
    return f"{paper}{'here' if paper else 'Data'}: {', '.join(parts)}{n}."


def _way(testing: Testing) -> str:
    """How a network is tested."""
    sizes = testing.scales or ([testing.resize] if testing.resize else [])
    if not sizes:
        text = "images at their original size"
    else:
        text = f"images fitted into {' and '.join(f'{long}x{short}' for long, short in sizes)}"
        text += ", detections merged" if len(sizes) > 1 else ""
        text += "" if testing.scales else " and scored at their original size"
    if testing.window and testing.stride:
        (height, width), (down, across) = testing.window, testing.stride
        text += f", in windows of {width}x{height} every {across}x{down} pixels"
    return text


def _column_sentence(column: Column, settings: list[CostSetting], task: Task) -> str:
    text = f"{sentence(column.header)}: {column.meaning}"
    if column.kind == "cost" and settings and column.key != "parameters":
        batches = ((1 if column.key == "flops" else setting.batch, setting.crop) for setting in settings)
        texts = [f"{'one image' if n == 1 else f'a batch of {n}'} of {w}x{h}" for n, (h, w) in batches]
        text += f", for {' or '.join(dict.fromkeys(texts))}"
    if task.flops and column.key == "flops":
        text += f", {task.flops}"
    if column.devices:
        text += f", measured on {'; '.join(column.devices)}"
    if column.published and column.kind == "cost":
        text += "; compared as ratios to the baseline row, since the paper's hardware differs"
    return text + "."
