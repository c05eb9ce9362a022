"""In what a run differs from the course's protocol, setting by setting."""

from __future__ import annotations

import json
from pathlib import Path

from eurosat_lib.config import load_config
from eurosat_lib.report.results.english import DASH, table
from eurosat_lib.report.results.reading import Results
from eurosat_lib.report.runs.settings import CHOSEN, flatten, settings

PROTOCOL = "full"
# Where it lies and who signs it; a recipe stands beside the protocol.
ASIDE = ("profile", "paths.", "identity.", "compute.", "data.source", "data.synthetic", "recipe.")


def departures(r: Results) -> str:
    """List the settings of a run that are not those of the profile ``full``; empty without any."""
    path = Path(r.run.paths.root) / "configs" / "config.yaml"
    whole = flatten(load_config(path, PROTOCOL).model_dump(mode="json"))
    own = settings(r.run)
    keys = [k for k in whole if not k.startswith(ASIDE) and k in own and own[k] != whole[k]]
    rows = [(f"`{key}`", *(f"`{json.dumps(tree[key])}`" for tree in (own, whole))) for key in keys]
    if CHOSEN in own:
        rows.append((f"`{CHOSEN}`", f"`{own[CHOSEN]}`", DASH))
    return table(("Setting", "This run", "Protocol"), rows) if rows else ""
