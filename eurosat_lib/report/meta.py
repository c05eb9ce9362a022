"""What stands on the title page: who, what, when, and what to be wary of."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from eurosat_lib.captures import Capture
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.report.profiles import banners, profile_name

Links = dict[str, list[tuple[str, str]]]  # label → (name, address)
MONTHS = ["janvier", "février", "mars", "avril", "mai", "juin"]
MONTHS += ["juillet", "août", "septembre", "octobre", "novembre", "décembre"]


@dataclass(frozen=True)
class ReportMeta:
    """The title page.

    Attributes:
        title, author, course, repository: from the configuration; all but the title may be empty.
        date: as it is printed.
        profile: ``full``, ``quick`` …; anything but ``full`` is said beside every table.
        synthetic: True if no real image was used.
        banners: warnings, Markdown (one paragraph each).
        card: label → value, printed as a two-column table.
        files: label → files and folders that the title page links to.
        captures: TensorBoard's screenshots, by name.
    """

    title: str
    author: str
    course: str = ""
    repository: str = ""
    date: str = ""
    profile: str = "full"
    synthetic: bool = False
    banners: tuple[str, ...] = ()
    card: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    captures: Mapping[str, Capture] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ReportMeta:
        """Build it from a mapping; without ``banners``, they follow from profile and data.

        Raises:
            UserError: an unknown or missing key.
        """
        known = [f.name for f in fields(cls)]
        for key in values:
            if key not in known:
                raise UserError(f"report: unknown entry {key!r}{did_you_mean(str(key), known)}")
        if not values.get("title") or "author" not in values:
            raise UserError("report: title or author is missing")
        chosen = dict(values)
        if chosen.get("banners") is None:
            profile = values.get("profile", "full")
            chosen["banners"] = banners(profile, bool(values.get("synthetic")))
        chosen["banners"] = tuple(chosen["banners"])
        chosen["date"] = french_date(values.get("date") or datetime.date.today())
        chosen["card"] = {str(k): str(v) for k, v in (values.get("card") or {}).items()}
        chosen["files"] = {k: tuple(map(Path, v)) for k, v in (values.get("files") or {}).items()}
        return cls(**chosen)

    @property
    def marker(self) -> str:
        """What is said beside every table of a run that is not the real thing."""
        words = ["données synthétiques"] if self.synthetic else []
        if self.profile != "full":
            words.append(profile_name(self.profile))
        return ", ".join(words)


def links_from(folder: Path, files: Mapping[str, Iterable[Path]]) -> Links:
    """Return name and address of each file that exists, as seen from a page in ``folder``."""
    links: Links = {}
    for label, paths in files.items():
        for path in filter(Path.exists, paths):
            address = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
            end = "/" if path.is_dir() else ""
            links.setdefault(label, []).append((path.name + end, quote(address) + end))
    return links


def french_date(value: Any) -> str:
    """Write a date in French (``22 novembre 2025``); a text is taken as it is."""
    if not isinstance(value, datetime.date):
        return str(value)
    day = "1er" if value.day == 1 else value.day
    return f"{day} {MONTHS[value.month - 1]} {value.year}"
