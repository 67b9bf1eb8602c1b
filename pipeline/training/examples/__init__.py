"""From training records to examples: one module per kind, plain functions.

What belongs here: which records make an example, what its row says. What does not: the door, splits and files
(``pipeline.training.exporting`` and ``writing``).
"""

from __future__ import annotations
