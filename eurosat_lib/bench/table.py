"""The benchmark as a Markdown table."""

from __future__ import annotations

from typing import Any


def bench_table(result: dict[str, Any]) -> str:
    """Write machine, versions and all rows; a median's number of repetitions is its n."""
    versions = {name: result["environment"][name] for name in ("python", "torch", "torchvision")}
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        f"{result['device']}; {named}; precision {result['precision']}; profile "
        f"`{result['profile']}`, batches of {result['batch_size']}, {result['steps']} timed "
        f"batches a run.",
        "",
        "| what | this project | the usual way | ratio | n | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    return "\n".join([*lines, *map(_line, result["rows"])]) + "\n"


def _line(row: dict[str, Any]) -> str:
    value = f"{row['value']:,.3g}" if row["value"] < 100 else f"{row['value']:,.0f}"
    usual = "" if row["reference"] is None else f"{row['reference']:,.0f} {row['unit']}"
    ratio = "" if row["ratio"] is None else f"× {row['ratio']:.2f}"
    cells = (row["what"], f"{value} {row['unit']}", usual, ratio, str(row["n"]), row["note"])
    return f"| {' | '.join(cells)} |"
