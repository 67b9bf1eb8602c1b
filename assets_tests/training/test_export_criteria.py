"""Criteria: each does what it says, what it leaves out is counted, and what makes no sense is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from assets_tests.training.export_states import START, State, criteria, rows_of
from pipeline.errors import ConfigurationError, InputError
from pipeline.settings.exports import KINDS, Criteria, Kind, default_criteria, load_criteria
from pipeline.training.examples.records import Records
from pipeline.training.exporting import export


@pytest.fixture(autouse=True)
def _data_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_DATA_DIR", str(folder))


@pytest.mark.parametrize(
    ("kind", "changes", "holds"),
    [
        ("sft", {"minimum_score": 9}, lambda entry, row: entry["score"] >= 9),
        (
            "sft",
            {"prompts": "text", "system_prompt": "leave_out"},
            lambda entry, row: isinstance(row["prompt"], str),
        ),
        ("sft", {"layout": "messages"}, lambda entry, row: row["messages"][-1]["role"] == "assistant"),
        ("sft", {"turns": "last"}, lambda entry, row: len(row["completion"]) == 1),
        ("kto", {}, lambda entry, row: row["label"] == (entry["score"] >= 7)),
        ("preferences", {"pair_rules": ["lock"]}, lambda entry, row: entry["rule"] == "lock"),
        ("preferences", {"minimum_margin": 0.6}, lambda entry, row: row["margin"] >= 0.6),
        (
            "reasoning",
            {},
            lambda entry, row: any("reasoning_content" in message for message in row["completion"]),
        ),
        ("grpo", {}, lambda entry, row: row["ground_truth"].startswith("step") and row["attempts"] == 4),
        ("verl", {}, lambda entry, row: row["reward_model"]["style"] == "rule"),
        ("openai-dpo", {}, lambda entry, row: len(row["preferred_output"]) == 1),
        ("atif", {}, lambda entry, row: row["schema_version"] == "ATIF-v1.8"),
    ],
)
def test_criteria_and_formats_hold_for_every_row(
    kind: Kind,
    changes: dict[str, Any],
    holds: Callable[[dict[str, Any], dict[str, Any]], bool],
    records: Records,
    tmp_path: Path,
) -> None:
    written = export(records, criteria(kind, **changes), tmp_path / "out")
    entries = [entry for entry in written.manifest["rows"] if entry["split"] == "train"]
    rows = rows_of(written)
    assert len(entries) == len(rows) > 5
    assert all(holds(entry, row) for entry, row in zip(entries, rows, strict=True))


@pytest.mark.parametrize(
    ("changes", "reason", "count"),
    [
        ({"time_range": {"start": START + timedelta(hours=1)}}, "before_time_range", 96),
        ({"time_range": {"end": START}}, "after_time_range", 96),
        ({"task_types": ["care-1"]}, "other_task_type", 76),
        ({"sources": ["elsewhere"]}, "other_source", 96),
        ({"compliant_only": True}, "not_compliant", 24),
        ({"token_budget": 16}, "over_budget", 96),
        ({"maximum_rows": 10}, "not_needed", 86),
        ({"complexity_distribution": {"complex": 1.0}}, "other_complexity", 64),
        ({"evaluators": ["program"]}, "no_score", 96),
    ],
)
def test_what_criteria_leave_out_is_counted(
    changes: dict[str, Any], reason: str, count: int, records: Records, tmp_path: Path
) -> None:
    asked = criteria("kto", minimum_rows=0, **changes)
    try:
        counts = export(records, asked, tmp_path / "out").manifest["counts"]
        found = {**counts["refused"], **counts["dropped"]}[reason]
    except InputError as error:
        assert f"{reason} {count}" in str(error)
        assert not (tmp_path / "out").exists()
        return
    assert found == count


def test_a_distribution_sets_quotas(records: Records, tmp_path: Path) -> None:
    shares = {"trivial": 0.5, "complex": 0.5}
    written = export(
        records, criteria("kto", maximum_rows=20, complexity_distribution=shares), tmp_path / "out"
    )
    assert written.manifest["counts"]["rows"] == 20
    complexities = records.artifacts(criteria("kto")).select("complexity", "events")
    of_event = {row["events"][0]: row["complexity"] for row in complexities.to_dicts()}
    taken = [of_event[entry["events"][0]] for entry in written.manifest["rows"]]
    assert (taken.count("trivial"), taken.count("complex")) == (10, 10)


def test_the_scarcest_share_decides_how_many_rows_there_are(records: Records, tmp_path: Path) -> None:
    shares = {"trivial": 0.29, "complex": 0.71}
    written = export(records, criteria("kto", complexity_distribution=shares), tmp_path / "out")
    counts = written.manifest["counts"]
    assert counts["dropped"]["over_its_share"] > 0
    of_event = {row["events"][0]: row["complexity"] for row in records.artifacts(criteria("kto")).to_dicts()}
    taken = [of_event[entry["events"][0]] for entry in written.manifest["rows"]]
    assert taken.count("complex") == counts["rows"] - taken.count("trivial")
    assert abs(taken.count("complex") - 0.71 * counts["rows"]) <= 1
    none_is_complex = {"maximum_rows": 10**6, "sources": ["elsewhere"]}
    with pytest.raises(InputError, match="0 rows"):
        export(records, criteria("kto", complexity_distribution=shares, **none_is_complex), tmp_path / "none")


def test_a_conversation_over_budget_is_split_by_turns_where_asked(tmp_path: Path) -> None:
    state = State()
    state.session("s", "How?")
    state.agent("s", "A")
    talk = [
        message
        for turn in range(6)
        for message in (
            {"role": "assistant", "content": f"answer {turn} " + "word " * 40},
            {"role": "user", "content": f"and {turn}?"},
        )
    ]
    state.answer("s", "A", "a", talk, need="How?", prompt=[{"role": "user", "content": "How?"}], score=9)
    records = state.into(tmp_path)
    whole = {"turns": "whole", "near_duplicate_similarity": None, "token_budget": 400}
    with pytest.raises(InputError, match="over_budget 1"):
        export(records, criteria("sft", **whole), tmp_path / "refused")
    written = export(records, criteria("sft", **whole, over_budget="split"), tmp_path / "split")
    assert [len(row["completion"]) for row in rows_of(written)] == [1, 1, 1]
    assert written.manifest["counts"]["dropped"] == {"over_budget": 3}
    assert max(entry["tokens"] for entry in written.manifest["rows"]) <= 400
    assert rows_of(written)[1]["completion"] == [talk[2]], "nothing was cut"


def test_synthetic_rows_stay_out_unless_asked_for(tmp_path: Path) -> None:
    state = State()
    state.session("s", "How?")
    state.agent("s", "A")
    state.answer("s", "A", "real", "Slowly and with care.", need="How?", score=9)
    state.answer("s", "A", "made", "By a simulator of agents.", need="How?", score=9, synthetic=True)
    records = state.into(tmp_path)
    out = export(records, criteria("sft"), tmp_path / "out")
    assert out.manifest["counts"]["refused"] == {"synthetic": 1}
    assert (
        len(export(records, criteria("sft", include_synthetic=True), tmp_path / "all").manifest["rows"]) == 2
    )


def test_too_few_rows_make_no_directory(records: Records, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="at least 5,000 are asked for .*neither_good_nor_bad|at least 5,000"
    ):
        export(records, criteria("kto", minimum_rows=5000), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_criteria_name_every_setting_that_matters(kind: Kind) -> None:
    shipped = load_criteria(default_criteria(kind), kind)
    assert shipped.kind == kind
    assert shipped.near_duplicate_similarity == 0.9
    assert shipped.include_synthetic is False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": {"train": 0.5, "validation": 0.1, "test": 0.1}}, "add up to 1"),
        ({"minimum_rows": 9, "maximum_rows": 3}, "must not exceed"),
        ({"kind": "verl", "prompts": "text"}, "format of messages"),
        ({"complexity_distribution": {"trivial": 0.4}}, "add up to 1"),
        ({"kind": "kto", "bad_score": 8, "minimum_score": 7}, "below minimum_score"),
        ({"privacy": {"add_differential_privacy_noise": True}}, "False"),
        ({"privacy": {"anonymize": False}}, "True"),
        ({"time_range": {"start": "2026-01-02", "end": "2026-01-01"}}, "before"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_criteria_that_make_no_sense_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"kind": "sft", **changes}), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        load_criteria(path)


def test_criteria_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="kind is sft and kto was asked for"):
        load_criteria(default_criteria("sft"), "kto")
    assert isinstance(load_criteria(default_criteria("sft")), Criteria)
