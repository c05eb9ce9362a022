"""Stages that look at the images themselves, all of them, before any batch is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, audit, load_dataset
from eurosat_lib.record import Record
from eurosat_lib.stages.core import run_stage

R = TypeVar("R", bound=Record)


def explore_dataset(config: Config) -> audit.Audit:
    """Count classes and faults over all images of the three splits."""
    location = load_dataset(config).source.location
    return _look(config, audit.Audit, "explore", audit.explore_dataset, source=location)


def find_duplicates(config: Config) -> audit.Duplicates:
    """Search the three splits for pairs of images of the same place."""
    return _look(config, audit.Duplicates, "duplicates", audit.find_duplicates)


def find_overlaps(config: Config) -> audit.Overlaps:
    """Search the three splits for tiles that share part of their ground."""
    return _look(config, audit.Overlaps, "overlaps", audit.find_overlaps)


def find_seams(config: Config) -> audit.Seams:
    """Count the validation tiles that touch a training tile."""
    return _look(config, audit.Seams, "seams", audit.find_seams)


def draw_landscape(config: Config) -> audit.Landscape:
    """Put training images on a plane, by colour and texture."""
    return _look(config, audit.Landscape, "landscape", audit.draw_landscape)


def _look(
    config: Config, kind: type[R], module: str, look: Callable[[EuroSAT], R], **inputs: str
) -> R:
    dataset = load_dataset(config)
    return run_stage(config, kind, f"data.audit.{module}", (), lambda _: look(dataset), **inputs)
