"""What is to be done: the request, checked before any kernel starts, and a plan per notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eurosat_lib.config import PARAMETERS, Config, configure, stored_parameters
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.report.runner.incremental import facts_key, notebook_key, read_record
from eurosat_lib.report.runner.options import (
    COMMON,
    Given,
    notebook_config,
    parse_options,
    resolve,
)
from eurosat_lib.report.runner.parameters import Notebook, read_notebook


@dataclass(frozen=True)
class Request:
    """What the user asks for; ``None`` keeps the notebooks' or the configuration's value."""

    config_path: str | None = None
    profile: str | None = None
    data: str | None = None
    name: str | None = None
    params: str = ""  # papermill's options, for instance "-p max_epochs 15"
    values: Mapping[str, Any] | None = None  # further parameters; they win over params
    only: str | None = None  # run this notebook alone, and do not bind the report
    pdf: bool = True


@dataclass(frozen=True)
class Plan:
    """One notebook to bring up to date."""

    notebook: Notebook
    before: tuple[Notebook, ...]  # those that come before it in the report
    values: Mapping[str, Any]  # parameters to inject
    config: Config
    target: Path
    key: str

    def facts(self) -> str:
        """Key of the facts it depends on, as they are now."""
        return facts_key([*self.before, self.notebook], self.config.paths.artifacts)

    def current(self) -> bool:
        """Whether the executed copy is up to date."""
        record = read_record(self.target)
        return record.get("key") == self.key and record.get("facts") == self.facts()


def prepare(request: Request) -> tuple[Config, list[Plan]]:
    """Check the whole request; return the run's configuration and a plan per notebook.

    Raises:
        UserError: the request is wrong.
    """
    given = _given(request)
    common = {name: item.value for name, item in given.items() if name in COMMON}
    config = configure(**common)
    notebooks = find_notebooks(Path(config.paths.root))
    selected = [n for n in notebooks if request.only in (None, n.name)]
    if not selected:
        names = [n.name for n in notebooks]
        hint = did_you_mean(request.only or "", names)
        raise UserError(f"{request.only}: no such notebook{hint}; there are {', '.join(names)}")
    values = resolve(notebooks, selected, given)
    known = {k: v for passed in values.values() for k, v in passed.items() if k in PARAMETERS}
    plans = _plan(notebooks, selected, values, _to_store(config, selected, values))
    return configure(**{k: v for k, v in common.items() if k not in known}, **known), plans


def find_notebooks(root: Path) -> list[Notebook]:
    """Return the notebooks ``NN_name.ipynb`` of a project, in their order.

    Raises:
        UserError: there are none, or one is not readable.
    """
    paths = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise UserError(f"{root / 'notebooks'}: no notebook there")
    return [read_notebook(path) for path in paths]


def store_parameters(plans: Sequence[Plan], config: Config) -> None:
    """Write the parameters of the run beside its results, as ``params.yaml``: PARAMS="-f …".

    A notebook run alone speaks for the parameters that it takes; the others stay as they were.
    """
    path = config.paths.artifacts / "params.yaml"
    values = {plan.notebook.name: plan.values for plan in plans}
    text = _to_store(config, [plan.notebook for plan in plans], values)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _to_store(
    config: Config, selected: Sequence[Notebook], values: Mapping[str, Mapping[str, Any]]
) -> str:
    taken = {name for notebook in selected for name in notebook.parameters}
    kept = {k: v for k, v in stored_parameters(config).items() if k not in taken}
    merged = {k: v for own in values.values() for k, v in own.items() if k not in COMMON}
    return yaml.safe_dump(kept | merged, sort_keys=True, allow_unicode=True)


def _given(request: Request) -> dict[str, Given]:
    fields = {name: getattr(request, name) for name in COMMON}
    plain = {name: Given(value, "-r") for name, value in fields.items() if value}
    further = {name: _given_value(item) for name, item in (request.values or {}).items()}
    return plain | parse_options(request.params) | further


def _given_value(value: Any) -> Given:
    """Take a value of a YAML file; text is read by the parameter's kind (``3e-4`` is text)."""
    return Given(value, "-p" if isinstance(value, str) else "-y")


def _plan(
    notebooks: Sequence[Notebook],
    selected: Sequence[Notebook],
    values: Mapping[str, Mapping[str, Any]],
    stored: str,
) -> list[Plan]:
    from eurosat_lib.data import signature, spatial_absence

    signatures: dict[str, str] = {}
    plans = []
    for notebook in selected:
        config = notebook_config(notebook, values[notebook.name])
        data = config.data.model_dump_json()
        if data not in signatures:
            signatures[data] = signature(config)
        source = signatures[data]
        if any("protocol.compare_splits" in code for code in notebook.code):
            absence = spatial_absence(config)
            source += absence.kind if absence else ""  # the lists are pinned
        before = tuple(notebooks[: notebooks.index(notebook)])
        target = config.paths.reports / "notebooks" / notebook.path.name
        key = notebook_key(notebook, config, source, stored)
        plans.append(Plan(notebook, before, values[notebook.name], config, target, key))
    return plans
