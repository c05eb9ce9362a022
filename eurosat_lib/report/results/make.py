"""``make results``: check a run, then write what the repository shows of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.report.results.card import model_card
from eurosat_lib.report.results.check import faults
from eurosat_lib.report.results.page import readme_headline, replace_headline, results_page
from eurosat_lib.report.results.reading import Results, read_results
from eurosat_lib.report.results.tracked import listing
from eurosat_lib.stages.files import write_text


def make_results(config: Config, name: str, data: str | None, say: Callable[[str], None]) -> None:
    """Write ``docs/RESULTS.md``, the README's headline, the model card and ``params.yaml``.

    Args:
        config: any configuration of the project: root and repository.
        name: of the run.
        data: source that the run was asked for; ``None``: the configuration's.
        say: gets the lines for the console.

    Raises:
        UserError: the run is not fit to be committed; the text says why.
    """
    if not name:
        raise UserError("make results NAME=…: which run? one without a name is not committed")
    r, root = read_results(config, name), Path(config.paths.root)
    found = faults(r, data)
    if found:
        raise UserError("\n  ".join([f"{name} is not fit to be committed:", *found]))
    for path, text in pages(r, config.identity.repository).items():
        write_text(path, text)
        say(f"written: {path.relative_to(root).as_posix()}")
    say("\n".join(["for git:", *listing(r)]))


def pages(r: Results, repository: str) -> dict[Path, str]:
    """Return the text of each file, from the run's published results alone."""
    root = Path(r.run.paths.root)
    readme = root / "README.md"
    shown = replace_headline(readme.read_text(encoding="utf-8"), readme_headline(r))
    return {
        r.run.paths.card: model_card(r, repository),
        root / "docs" / "RESULTS.md": results_page(r),
        readme: shown,
        r.run.paths.reports / "params.yaml": _parameters(r),
    }


def _parameters(r: Results) -> str:
    """Return what ``make report PARAMS="-f …"`` needs to ask for this run again."""
    head = '# The parameters of this run: make report NAME=again PARAMS="-f <this file>"\n'
    values = {"profile": r.profile} | r.parameters
    return head + yaml.safe_dump(values, sort_keys=True, allow_unicode=True)
