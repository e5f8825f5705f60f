"""Small resolved `model` sections, as a job carries them."""

from typing import Any

NAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("resnet50.tv_in1k", {"layers": [1, 1, 1, 1], "channels": [8, 12, 16, 20]}),
    "convnext": ("convnext_tiny.fb_in1k", {"depths": [1, 1, 2, 1], "dims": [8, 12, 16, 20]}),
    "swin": (
        "swin_tiny_patch4_window7_224.ms_in1k",
        {"embed_dim": 8, "depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8], "drop_path_rate": 0.2},
    ),
    "twins": (
        "twins_svt_small.in1k",
        {"embed_dims": [8, 12, 16, 20], "num_heads": [1, 2, 4, 5], "depths": [2, 2, 2, 2]},
    ),
    "mobilenetv2": ("mobilenetv2_050.lamb_in1k", {}),
}
RECIPE = {
    "optimizer": {"kind": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": False},
    "amp": "none",
    "accumulate": 1,
    "loss": {"reduction": "labelled_pixels"},
}


def section(family: str, depth: int | None) -> dict[str, Any]:
    """The section of one network; depth None: without a pyramid."""
    name, args = NAMES[family]
    dfp = {
        "kind": "dfp",
        "depth": depth,
        "scales": [1.0, 0.75, 0.5],
        "split": "before_downsampling",
        "encoder": "shared",
    }
    return {
        "task": "segmentation",
        "num_classes": 5,
        "backbone": {
            "timm": name,
            "family": family,
            "weights": "none",
            "args": args,
            "output_stride": 32,
            "out_norm": family in ("swin", "twins", "convnext"),
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        "pyramid": None if depth is None else dfp,
        "decoder": {"kind": "fcn", "channels": 0, "num_convs": 0, "concat_input": False, "dropout": 0.0},
    }


def with_auxiliary(family: str, depth: int | None) -> dict[str, Any]:
    """A UPerNet with an auxiliary head."""
    return {
        **section(family, depth),
        "decoder": {"kind": "uper", "channels": 12},
        "auxiliary": {"kind": "fcn", "level": 4, "num_convs": 1, "channels": 6, "concat_input": False},
    }


def cost_params(family: str = "resnet", depth: int = 2, **changes: Any) -> dict[str, Any]:
    return {
        "model": section(family, depth),
        "crop": [64, 96],
        "batch": 2,
        "recipe": RECIPE,
        "threads": 1,
        "repeats": 3,
        "warmup": 1,
        **changes,
    }
