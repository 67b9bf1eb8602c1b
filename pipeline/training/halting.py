"""Whether exports are halted: an alert that asks for it leaves ``halt.json`` in the spool folder.

What belongs here: the one question every export asks first. What does not: raising and lifting a halt
(``pipeline alerts``).
"""

from __future__ import annotations

import json

from pipeline.capture.spool import spool_directory
from pipeline.errors import PipelineError


class HaltedError(PipelineError):
    """Exports are halted until somebody acknowledges the alert."""


def refuse_if_halted() -> None:
    """Raise ``HaltedError`` while a halt is in force; a halt file that cannot be read counts as one."""
    path = spool_directory() / "halt.json"
    if not path.exists():
        return
    try:
        found = json.loads(path.read_bytes())
        halts = found["halts"]
        why = ", ".join(str(halt["name"]) for halt in halts)
    except (OSError, ValueError, KeyError, TypeError):
        why = "a halt whose file cannot be read"
    raise HaltedError(
        f"Exporting: exports are halted ({why[:200]}); look at `pipeline alerts list`, and lift the halt "
        "with `pipeline alerts acknowledge ID`. Trying again before does not help."
    )
