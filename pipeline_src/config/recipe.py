"""The `recipes` and `evaluations` sections: how a network is trained and how a trained one is evaluated."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_src.config.sections import OptionsSection, section_of
from pipeline_src.data.detection.augment import DetectionAugment
from pipeline_src.data.segmentation.augment import Augment
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.options import REQUIRED, option
from pipeline_src.training import recipe as training
from pipeline_src.training.loss_options import Loss

AUGMENTS: dict[str, type] = {
    "segmentation": Augment,
    "detection": DetectionAugment,
    "instances": DetectionAugment,
}
"""What the training transforms are told, by task."""


@dataclass(frozen=True, kw_only=True)
class Recipe(training.Recipe):
    """One training recipe."""

    loss: Loss = option(Loss(), "Training loss.")
    augment: Augment | DetectionAugment = option(
        REQUIRED, "Training transforms: with a crop for segmentation, with scales for detection."
    )


if TYPE_CHECKING:
    RecipeSection = OptionsSection
    EvaluationSection = OptionsSection
else:
    RecipeSection, EvaluationSection = section_of(Recipe), section_of(Evaluation)
