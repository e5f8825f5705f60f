"""A UPerNet in full size, as resolved model section, and what benchmarks step it with."""

from typing import Any

from pipeline_src.models.backbones.table import lookup
from pipeline_src.training.optimizer_options import Sgd, Update

CLASSES = 150
UPDATE = Update(optimizer=Sgd(kind="sgd", lr=1e-4))
LOSS = {"reduction": "all_pixels"}
FUSION = "decoder.concat"
"""The concatenation of a UPerHead that the paper equalises."""


def upernet(form: str | None, backbone: str = "convnext_tiny.fb_in1k") -> dict[str, Any]:
    """UPerNet with heads of 512 channels and an FCN auxiliary head; `form` of its equalizers, or None."""
    facts = lookup(backbone)
    return {
        "task": "segmentation",
        "num_classes": CLASSES,
        "backbone": {
            "timm": backbone,
            "family": facts.family,
            "weights": "none",
            "args": {},
            "output_stride": 32,
            "out_norm": True,
            "mean": list(facts.mean),
            "std": list(facts.std),
        },
        "pyramid": None,
        "decoder": {"kind": "uper", "channels": 512, "pool_scales": [1, 2, 3, 6], "dropout": 0.1},
        "auxiliary": {
            "kind": "fcn", "level": 4, "channels": 256, "num_convs": 1, "concat_input": False, "dropout": 0.1,
        },
        "equalizer": None if form is None else {"form": form, "concatenations": [[FUSION]], "images": None},
    }  # fmt: skip
