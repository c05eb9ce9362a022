"""Ranges of the configuration's values."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
LearningRate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]  # per step
Blocks = Annotated[int, Field(ge=1, le=6)]
Dilation = Annotated[int, Field(ge=1, le=8)]
ImageSize = Annotated[int, Field(ge=16, le=256)]  # pixels, side of the square
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Triple = tuple[float, float, float]
