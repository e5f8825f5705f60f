"""What the components of this folder share."""

WIDTH = 8
