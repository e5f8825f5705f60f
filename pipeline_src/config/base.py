"""What all configuration models share: strict types, no unknown keys, every field described."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A section of `params.yaml`. Unknown keys, silent conversions (`"3"` for 3), and
    infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Pair = Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
Rgb = Annotated[list[float], Field(min_length=3, max_length=3)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""A name that becomes part of a path: letters, digits, `_`, `.`, `-`."""
