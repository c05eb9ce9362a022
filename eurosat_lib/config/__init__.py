"""One frozen, strict configuration: its sections (schema) and how it is read (load)."""

from eurosat_lib.config.load import (
    PARAMETERS,
    configure,
    cuda_is_available,
    find_config,
    load_config,
    override,
    parse_literal,
    parse_override,
    save_config_snapshot,
    stored_parameters,
)
from eurosat_lib.config.schema import Config

__all__ = [
    "PARAMETERS",
    "Config",
    "configure",
    "cuda_is_available",
    "find_config",
    "load_config",
    "override",
    "parse_literal",
    "parse_override",
    "save_config_snapshot",
    "stored_parameters",
]
