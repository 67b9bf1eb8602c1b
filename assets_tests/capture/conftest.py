"""A recorder of its own for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.capture.recorder import Recorder


@pytest.fixture
def places(tmp_path: Path, data_directory: Path) -> tuple[Path, Path]:
    """First and second directory of a spool; not made yet."""
    return tmp_path / "first", tmp_path / "second"


@pytest.fixture
def recorder(places: tuple[Path, Path]) -> Iterator[Recorder]:
    """A recorder with privacy's door, closed at the end."""
    with Recorder(places[0], second=[places[1]]) as made:
        yield made
