"""Tables of where, when and with what a run was computed."""

from __future__ import annotations

import csv
from datetime import datetime

from eurosat_lib.progress import duration
from eurosat_lib.report.results.english import DASH, number, table
from eurosat_lib.report.results.reading import Results
from eurosat_lib.training.final import Training

MACHINE = {  # entry of a provenance -> label
    "device": "device",
    "precision": "precision",
    "processor": "processor",
    "cores": "cores",
    "system": "system",
    "python": "Python",
    "torch": "PyTorch",
    "torchvision": "torchvision",
    "cuda": "CUDA",
    "numpy": "NumPy",
    "scikit-learn": "scikit-learn",
    "datasets": "datasets",
    "commit": "commit that computed",
}
STEADY = 1.25  # slowest over fastest epoch, from which they are uneven


def environment(r: Results) -> str:
    """List device, versions and commits; several values where stages differ."""
    rows = []
    for key, label in MACHINE.items():
        values = dict.fromkeys(r.origin(stage).get(key, "") for stage in r.trees)
        shown = ", ".join(value for value in values if value)
        if shown:
            rows.append((label, f"`{shown}`" if key == "commit" else shown))
    return table(("What", "Value"), rows)


def durations(r: Results) -> str:
    """List when each stage began and how long it took, in the order of the report."""
    rows, total = [], 0.0
    for stage in r.trees:
        origin = r.origin(stage)
        total += origin["seconds"]
        began = datetime.fromisoformat(origin["started"]).strftime("%Y-%m-%d %H:%M")
        where = f"{origin['device']}, {origin['precision']}"
        rows.append((f"`{stage}`", began, duration(origin["seconds"]), where))
    rows.append(("**all**", "", duration(total), ""))
    return table(("Stage", "Begun (UTC)", "Time", "On"), rows)


def pace(r: Results) -> str:
    """Say how even the epochs of the final training were, its first (warm-up) left out."""
    epochs = r.need(Training).fit.epochs
    seconds = [epoch.seconds for epoch in epochs[1:] or epochs]
    ratio = max(seconds) / min(seconds)
    text = (
        f"Epochs of the final training, after the first, took {number(min(seconds), 1)} to "
        f"{number(max(seconds), 1)} s each, a factor of {number(ratio, 2)}"
    )
    if ratio < STEADY:
        return f"{text}: the machine kept its pace."
    return f"{text}: the machine may have had other work, so times here are upper bounds."


def openings(r: Results) -> str:
    """List each opening of the test split in this run, in order."""
    rows = [
        (
            row["opened"].replace("T", " ").replace("+00:00", ""),
            row.get("role") or DASH,
            f"`{row['configuration']}`",
            row["seed"],
            row["epoch"],
            f"`{row['sha256'][:12]}`",
            int(row["images"]),
        )
        for row in opened(r)
    ]
    heads = ("Opened (UTC)", "What for", "Configuration", "Seed", "Epoch")
    return table((*heads, "SHA-256 of the checkpoint", "Images"), rows)


def opened(r: Results) -> list[dict[str, str]]:
    """Read the log of the openings: one row each, in order."""
    with open(r.folder / "test_openings.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
