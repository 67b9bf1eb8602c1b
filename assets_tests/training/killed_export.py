"""A process that exports and kills itself at a chosen call while the repository is written; 0 never kills.

``python -m assets_tests.training.killed_export STEP DIRECTORY`` prints how many calls there were.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from assets_tests.training.export_states import criteria
from pipeline.settings.places import data_directory
from pipeline.training import exporting
from pipeline.training.examples.records import Records
from pipeline.training.repository import Written, write_repository
from pipeline.warehouse.store import Warehouse

WATCHED = ("repository.py", "parquet.py", "card.py", "pathlib.py", "shutil.py")
seen = 0


def _watch(frame: FrameType, event: str, _: Any) -> None:
    global seen  # noqa: PLW0603 - the count of one process
    if event == "call" and frame.f_code.co_filename.endswith(WATCHED):
        seen += 1
        if seen == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)


def _watched(*arguments: Any, **named: Any) -> Written:
    sys.setprofile(_watch)
    try:
        return write_repository(*arguments, **named)
    finally:
        sys.setprofile(None)


if __name__ == "__main__":
    setattr(exporting, "write_repository", _watched)  # noqa: B010 - said to mypy as what it is
    records = Records(Warehouse(data_directory() / "warehouse.duckdb"))
    exporting.export(records, criteria("kto"), Path(sys.argv[2]), overwrite=True)
    print(seen)  # noqa: T201
