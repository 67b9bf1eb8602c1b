"""These tests need PyTorch and TRL: `make test-trainers` runs them in an environment of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("trl") else ["test_*.py"]


@pytest.fixture(scope="session")
def state_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of its own."""
    return tmp_path_factory.mktemp("state")
