"""One state to export from, made once for all tests of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets_tests.training.export_states import mixed_state
from pipeline.training.examples.records import Records


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of ``records``."""
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="session")
def records(folder: Path) -> Records:
    """Twenty-four sessions of four lineages, with scores, rankings, locks, tools and reasoning."""
    return mixed_state().into(folder)
