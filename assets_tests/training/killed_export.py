"""A process that forks exports, each of which kills itself somewhere while its repository is written.

``python -m assets_tests.training.killed_export DIRECTORY FRACTION…`` exports to ``DIRECTORY/whole`` and
counts the calls that writing makes; then, for each fraction, to ``DIRECTORY/out-N``, killed after that share
of the calls. What stands at ``out-N`` is replaced. It prints how each ended as a JSON list.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

import datasketch  # noqa: F401 - loaded once here, not in every child
import pyarrow.parquet  # noqa: F401

from assets_tests.training.export_states import criteria
from pipeline.settings.places import data_directory
from pipeline.training import exporting
from pipeline.training.examples.records import Records
from pipeline.training.repository import Written, write_repository
from pipeline.warehouse.store import Warehouse

WATCHED = ("repository.py", "placing.py", "parquet.py", "card.py", "pathlib.py", "shutil.py")


def export_killed_at(step: int, out: Path) -> tuple[int, int]:
    """Export in a child; 0 never kills. Returns the child's status and how many calls it had made."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _export(step, out, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        counted = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), int(counted or 0)


def _export(step: int, out: Path, writing: int) -> None:
    seen = 0

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal seen
        if event == "call" and frame.f_code.co_filename.endswith(WATCHED):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    def watched(*arguments: Any, **named: Any) -> Written:
        sys.setprofile(watch)
        try:
            return write_repository(*arguments, **named)
        finally:
            sys.setprofile(None)

    try:
        setattr(exporting, "write_repository", watched)  # noqa: B010 - said to mypy as what it is
        records = Records(Warehouse(data_directory() / "warehouse.duckdb"))
        exporting.export(records, criteria("kto"), out, overwrite=True)
        os.write(writing, str(seen).encode())
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    code, calls = export_killed_at(0, folder / "whole")
    codes = [code]
    for number, fraction in enumerate(sys.argv[2:]):
        codes.append(export_killed_at(max(1, round(float(fraction) * calls)), folder / f"out-{number}")[0])
    print(json.dumps(codes))  # noqa: T201
