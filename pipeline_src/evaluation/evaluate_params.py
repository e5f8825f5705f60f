"""What the planner tells step `evaluate`. No torch."""

from dataclasses import dataclass

from pipeline_src.evaluation.inference_options import SplitEvaluation
from pipeline_src.training.train_params import RunParameters


@dataclass(frozen=True, kw_only=True)
class EvaluateRun(RunParameters):
    """How a trained run is tested, and on which split."""

    evaluation: SplitEvaluation
