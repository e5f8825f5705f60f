"""What is simulated of random maps: options of a figure and parameters of step `simulate`. No torch."""

from dataclasses import dataclass

from pipeline_src.options import NonNegativeInt, PositiveFloat, PositiveInt, option


@dataclass(frozen=True)
class Simulation:
    """Random maps whose variance is compared before and after upsampling (Scale Equalization, Figure 3)."""

    maps: list[PositiveInt] = option(
        [16, 256, 128, 128], "Batch, channels, height and width.", min_length=4, max_length=4
    )
    mean: float = option(0.3989, "Mean of the normal distribution; 1 / sqrt(2 pi).")
    variances: list[PositiveFloat] = option(
        [0.01, 0.99], "Smallest and largest variance.", min_length=2, max_length=2
    )
    points: int = option(99, "Number of variances, evenly spaced.", ge=2)
    ratios: list[PositiveInt] = option([2, 4, 8], "Upsampling ratios.", min_length=1)
    seed: NonNegativeInt = option(0, "Seed of the maps.")
    confirm: NonNegativeInt = option(
        16, "Images of the batch that are really upsampled, for one variance per ratio."
    )

    def __post_init__(self) -> None:
        low, high = self.variances
        if not 0 < low < high:
            raise ValueError(f"variances {low:g} to {high:g}; use two positive numbers that rise")
        if len(set(self.ratios)) != len(self.ratios):
            raise ValueError(f"ratios {self.ratios}; use different ones")
        if self.confirm > self.maps[0]:
            raise ValueError(
                f"confirm {self.confirm}: images that are to be upsampled; the batch has {self.maps[0]}"
            )


@dataclass(frozen=True, kw_only=True)
class SimulateUpsampling:
    """Step `simulate`."""

    simulation: Simulation
    threads: int
