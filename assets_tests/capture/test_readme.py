"""The page about recording: its examples run as they stand."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from assets_tests.capture.reading import events, problems
from pipeline.settings.places import PROJECT

PAGE = (PROJECT / "pipeline" / "capture" / "README.md").read_text(encoding="utf-8")


def test_the_examples_record_an_agent(data_directory: Path) -> None:
    def route(task: dict[str, Any]) -> str:
        return "careful-1"

    def execute(task: dict[str, Any], agent: str) -> str:
        return "done"

    def evaluate(task: dict[str, Any], output: str) -> float:
        return 0.9

    names: dict[str, Any] = {"route": route, "execute": execute, "evaluate": evaluate}
    three_lines, blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exec(three_lines, names)
    task = {"task_id": "t1", "task_type": "bug_fix"}
    assert names["route"](task) == "careful-1"
    assert names["execute"](task, "careful-1") == "done"
    assert names["evaluate"](task, "done") == 0.9
    names["recorder"].controls.rates["deep_analysis"] = 1.0
    exec(blocks, names)
    assert names["recorder"].report()["failed"] == names["recorder"].report()["refused"] == {}
    names["recorder"].close()
    found = events(data_directory / "spool")
    life = Counter(event.kind for event in found if event.subject == "t1")
    assert life == Counter(
        [
            "task_received",
            "routing_decided",
            "execution_started",
            "execution_completed",
            "evaluation_finished",
        ]
    )
    assert Counter(event.kind for event in found) - life >= Counter(["tool_called", "deep_analysis", *life])
    assert problems([data_directory / "spool"]) == []


def test_the_page_links_to_files_that_exist() -> None:
    folder = PROJECT / "pipeline" / "capture"
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert links and all((folder / link).exists() for link in links)
