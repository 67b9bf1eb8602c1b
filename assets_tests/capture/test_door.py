"""Privacy's door and what recorders are told by files: halts and sampling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assets_tests.capture.reading import bodies, events, problems
from pipeline.capture.recorder import Recorder
from pipeline.errors import ConfigurationError
from pipeline.settings.places import PROJECT

SECRET = "jane.roe@acme-corp.com"


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("t", {"task_type": "x", "description": f"write to {SECRET}"}),
        ("t", {"task_type": "x", "context": {SECRET: 1}}),
        ("t", {"task_type": "x", "context": {"deep": [{"list": [SECRET]}]}}),
        (SECRET, {"task_type": "x"}),
        ("t", {"task_type": SECRET}),
    ],
)
def test_nothing_private_reaches_the_file(
    recorder: Recorder, places: tuple[Path, Path], subject: str, fields: dict[str, Any]
) -> None:
    assert recorder.emit("task_received", subject, fields)
    recorder.close()
    assert b"acme-corp" not in b"".join(file.read_bytes() for file in places[0].rglob("*") if file.is_file())
    assert recorder.report()["redacted"] == 1
    assert problems([places[0]]) == []


POLICIES = """
policies:
  - {surface: capture, field: "*description", type: EMAIL_ADDRESS, action: quarantine}
  - {surface: capture, type: EMPLOYEE_ID, action: pseudonymise, recipient: research}
recipients:
  research: {variable: RESEARCH_KEY, key_id: research-1}
patterns:
  - {name: badge, type: EMPLOYEE_ID, pattern: 'EMP-[0-9]{6}', finds: ["EMP-004211"], ignores: ["EMP-42"]}
"""


@pytest.mark.parametrize("by_variable", [False, True])
def test_the_door_applies_the_policies_of_a_file(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    file = tmp_path / "privacy.yaml"
    file.write_text(POLICIES)
    monkeypatch.setenv("RESEARCH_KEY", "a key of sixteen bytes or more")
    if by_variable:
        monkeypatch.setenv("PIPELINE_PRIVACY_FILE", str(file))
    with Recorder(places[0], second=[], privacy_file=None if by_variable else file) as made:
        made.task_received("kept apart", task_type="x", description=f"write to {SECRET}")
        made.task_received("pseudonym", task_type="x", description="badge EMP-004211")
    kinds = {event.subject: event.kind for event in events(places[0])}
    assert kinds["kept apart"] == "event_quarantined"
    (body,) = bodies("task_received", places[0])
    assert "EMP-004211" not in body["description"] and "research-1" in body["description"]


def test_a_policy_that_cannot_be_applied_lets_nothing_through(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    file = tmp_path / "privacy.yaml"
    file.write_text(POLICIES)  # the recipient's key is not set
    with Recorder(places[0], second=[], privacy_file=file) as made:
        assert made.task_received("t", task_type="x", description="badge EMP-004211")
    (mark,) = bodies("event_quarantined", places[0])
    assert mark["event_kind"] == "task_received" and "no key" in mark["reason"]


@pytest.mark.parametrize("text", [None, "policies: 5", "policies: [{action: destroy}]"])
def test_a_privacy_file_that_cannot_be_used_stops_the_program_at_its_start(
    places: tuple[Path, Path], tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "privacy.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"privacy\.yaml"):
        Recorder(places[0], privacy_file=file)


TOKEN = "Bearer abcdef0123456789"


def test_the_shipped_policies_can_be_used(places: tuple[Path, Path]) -> None:
    with Recorder(places[0], second=[], privacy_file=PROJECT / "configs" / "privacy.yaml") as made:
        made.task_received(
            "t", task_type="x", context={"headers": {"authorization": "Bearer abcdef0123456789"}}
        )
    (body,) = bodies("task_received", places[0])
    assert "abcdef" not in json.dumps(body)


def test_a_halt_drops_every_text(recorder: Recorder, places: tuple[Path, Path]) -> None:
    places[0].mkdir()
    (places[0] / "halt.json").write_text("{}")
    candidates = [{"agent": "a", "reason": "spoken words"}]
    recorder.routing_decided("t", selected_agent="a", candidates=candidates, rationale="spoken words")
    assert bodies("routing_decided", places[0]) == [{"selected_agent": "a", "candidates": [{"agent": "a"}]}]
    assert recorder.report()["dropped_text"] == 1


def test_sampling_repeats_and_follows_its_file(recorder: Recorder, places: tuple[Path, Path]) -> None:
    drawn = [recorder.sampled(f"task-{number}", "deep_analysis") for number in range(5000)]
    assert 400 < sum(drawn) < 600
    assert drawn == [recorder.sampled(f"task-{number}", "deep_analysis") for number in range(5000)]
    places[0].mkdir()
    (places[0] / "sampling.json").write_text('{"rates": {"deep_analysis": 1.0}}')
    recorder.controls._look_at = 0.0
    assert recorder.deep_analysis("any", judge_reasoning="words")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"rates": 1}',
        '{"rates": {"deep_analysis": 7}}',
        '{"rates": {"deep_analysis": "x"}}',
        "\xff",
    ],
)
def test_a_malformed_sampling_file_changes_nothing_and_is_reported(
    recorder: Recorder, places: tuple[Path, Path], text: str
) -> None:
    places[0].mkdir()
    before = recorder.controls.rates
    (places[0] / "sampling.json").write_text(text, encoding="latin-1")
    assert recorder.task_received("t", task_type="x")
    assert recorder.controls.rates == before
    assert "the rates before stay" in recorder.report()["sampling"]


def test_fields_that_a_task_was_not_drawn_for_are_left_out(
    recorder: Recorder, places: tuple[Path, Path]
) -> None:
    places[0].mkdir()
    (places[0] / "sampling.json").write_text(
        '{"rates": {"deep_analysis": 1.0, "deep_analysis.conversation": {"complex": 1.0},'
        ' "deep_analysis.judge_reasoning": 0.0}}'
    )
    talk = [{"role": "user", "content": "words"}]
    for name in ("standard", "complex"):
        recorder.task_received(name, task_type="x", complexity=name)
        assert recorder.deep_analysis(name, conversation=talk, judge_reasoning="words", self_reflection="so")
    assert bodies("deep_analysis", places[0]) == [
        {"self_reflection": "so"},
        {"conversation": talk, "self_reflection": "so"},
    ]
    assert recorder.report()["sampled_out"]["deep_analysis.judge_reasoning"] == 2
