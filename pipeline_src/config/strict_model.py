"""What all configuration models share: strict types, no unknown keys, every field described."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of `params.yaml`. Unknown keys, silent conversions (`"3"` for 3), and
    infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
