"""Tables of the images: classes, findings, overlaps, seams."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from statistics import median

from eurosat_lib.data.audit import Audit, Duplicates, Overlaps, Seams
from eurosat_lib.data.audit.overlaps import Overlap
from eurosat_lib.report.results.english import DASH, interval, percent, table
from eurosat_lib.report.results.reading import Results


def classes(r: Results) -> str:
    """List the images per class and split."""
    audit = r.need(Audit)
    counts = list(zip(*audit.counts.values(), strict=True))
    total = sum(audit.sizes.values())
    rows = [
        (name, *own, sum(own), percent(sum(own) / total, 1))
        for name, own in zip(audit.classes, counts, strict=True)
    ]
    rows.append(("**all**", *audit.sizes.values(), total, percent(1, 1)))
    heads = [name.capitalize() for name in audit.counts]
    return table(("Class", *heads, "All", "Share"), rows)


def findings(r: Results) -> str:
    """List what was looked for over all images, and how often it is there."""
    audit, copies = r.need(Audit), r.need(Duplicates)
    shared = r.need(Overlaps).facts()
    rows = [
        ("images decoded, RGB, 64 × 64", sum(audit.sizes.values())),
        ("images with the pixels of another", audit.duplicates),
        ("groups of equal images over several splits", audit.duplicates_across),
        ("pairs that are nearly equal", len(copies.pairs)),
        ("pairs of tiles that overlap", shared["found"]),
        ("… over two splits", shared["across"]),
        ("… with two labels", shared["relabelled"]),
        ("test images that overlap an image of another split", shared["test_images"]),
        ("images without any data", audit.black),
        ("images with a pixel without data", audit.nodata),
        ("images of a single colour", audit.flat),
        ("images nearly of a single colour", audit.faint),
        ("images with more than 1 % of values at 255", audit.saturated),
    ]
    return table(("Looked for", "Found"), rows)


def overlap_counts(r: Results) -> str:
    """Count the overlapping pairs by the splits they join."""
    pairs, rows = r.need(Overlaps).pairs, []
    for one, other in combinations_with_replacement(("train", "validation", "test"), 2):
        mine = [p for p in pairs if {p.first.split, p.second.split} == {one, other}]
        rows.append((f"{one} – {other}", *_summary(mine)))
    rows.append(("**all**", *_summary(pairs)))
    return table(("Splits", "Pairs", "With two labels", "Ground shared (median)"), rows)


def seam_counts(r: Results) -> str:
    """Compare, by threshold, the validation tiles with a seam and those of the control."""
    rows = [
        (
            f"{e.threshold:.2f}",
            e.seams,
            e.controls,
            e.seams - e.controls,
            f"{percent(e.share, 1)} {interval((e.low, e.high), 1)}",
        )
        for e in r.need(Seams).excesses
    ]
    return table(("Agreement from", "Edge", "Control", "Excess", "Share of the tiles"), rows)


def _summary(pairs: Sequence[Overlap]) -> tuple[int, int, str]:
    differ = sum(p.first.label != p.second.label for p in pairs)
    return len(pairs), differ, percent(median(p.share for p in pairs), 0) if pairs else DASH
