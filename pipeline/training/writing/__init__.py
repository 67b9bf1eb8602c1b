"""From examples to files: rows, Parquet, JSONL, cards and whole dataset repositories.

What belongs here: formats. What does not: which records become rows (``examples``).
"""

from __future__ import annotations
