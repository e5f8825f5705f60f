"""RoIAlign from the maps of an FPN, with the strides that these have."""

from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from pipeline_src.models.detectors.fpn import PyramidWithFPN
from pipeline_src.models.detectors.options import RoiOptions, check_roi_levels


def roi_pool(backbone: PyramidWithFPN, options: RoiOptions) -> MultiScaleRoIAlign:
    """RoIAlign from `options.levels` of `backbone` at their real strides (`InputError` for a level it lacks).

    torchvision infers strides and levels from the first batch that a pooler sees and keeps them; a small
    or odd first image, a dilated stage or a resumed training would then pool from elsewhere.
    """
    check_roi_levels(options.levels, backbone.levels)
    strides = [backbone.strides[backbone.levels.index(level)] for level in options.levels]
    pool = MultiScaleRoIAlign([str(level) for level in options.levels], options.size, options.sampling_ratio)
    pool.scales = [1.0 / stride for stride in strides]
    pool.map_levels = LevelMapper(options.levels[0], options.levels[-1])
    return pool
