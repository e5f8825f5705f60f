"""The `recipes` and `evaluations` sections: how a network is trained and how a trained one is evaluated."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Union

from pipeline_src.config.component_declarations import component
from pipeline_src.config.sections import OptionsSection, section_of
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.options import REQUIRED, option
from pipeline_src.tasks.table import TASKS
from pipeline_src.training import recipe as training
from pipeline_src.training.loss_options import Loss

AUGMENTS: dict[str, type] = {task: component(f"augment.{task}") for task in TASKS}
"""What the training transforms are told, by task."""

_SIZES = dict.fromkeys(f"with {task.sizes} for {task.annotations}" for task in TASKS.values())


class Augment(Protocol):
    """What the training transforms of every task say."""

    @property
    def size(self) -> list[int]:
        """Height and width of a training image."""


if TYPE_CHECKING:
    AnyAugment = Augment
else:
    AnyAugment = Union[tuple(dict.fromkeys(AUGMENTS.values()))]  # noqa: UP007


@dataclass(frozen=True, kw_only=True)
class RunRecipe(training.Recipe):
    """One training recipe."""

    loss: Loss = option(Loss(), "Training loss.")
    augment: AnyAugment = option(REQUIRED, f"Training transforms: {', '.join(_SIZES)}.")


if TYPE_CHECKING:
    RecipeSection = OptionsSection
    EvaluationSection = OptionsSection
else:
    RecipeSection, EvaluationSection = section_of(RunRecipe), section_of(Evaluation)
