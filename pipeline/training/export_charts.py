"""Pictures of an export: how scores, lengths, margins, sources and agent versions are distributed.

What belongs here: what is drawn from a manifest. What does not: drawing (``pipeline.plots``).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.plots import bars, histogram

MOST_BARS = 15


def distributions(manifest: dict[str, Any]) -> dict[str, str]:
    """Title to Markdown picture; a figure that no row has makes no picture."""
    rows = manifest["rows"]
    scores = [row["score"] for row in rows if "score" in row]
    margins = [row["margin"] for row in rows if "margin" in row]
    lengths = [float(row["tokens"]) for row in rows]
    plots = {}
    if scores:
        plots["scores"] = histogram("Scores (1-10)", scores, bins=18, low=1, high=10)
    if lengths:
        plots["lengths"] = histogram("Lengths (tokens)", lengths, low=0, high=max(lengths))
    if margins:
        plots["margins"] = histogram("Margins (0-1)", margins, low=0, high=1)
    for title, field in (("sources", "source"), ("agent versions", "agent_version"), ("rules", "rule")):
        counted = Counter(row[field] for row in rows).most_common(MOST_BARS)
        if counted:
            labels, counts = zip(*counted, strict=True)
            plots[title] = bars(f"Rows by {field.replace('_', ' ')}", labels, counts, unit="rows")
    return plots
