"""The base of every result: a frozen model that JSON can hold."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of results: frozen, unknown fields refused, NaN kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
