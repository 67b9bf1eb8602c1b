"""Whole exports: what criteria let through, the same bytes twice, and a known-bad case for every check of
verify.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from assets_tests.training.export_states import START, State, criteria, mixed_state
from pipeline.errors import ConfigurationError, InputError
from pipeline.privacy.detect import default_detector
from pipeline.settings.exports import KINDS, Criteria, Kind, default_criteria, load_criteria
from pipeline.telemetry.halting import HaltedError
from pipeline.training.examples.records import Records
from pipeline.training.exporting import export
from pipeline.training.repository import CHECKSUMS, MANIFEST, Written, file_digest
from pipeline.training.tracing import trace
from pipeline.training.verifying import verify
from pipeline.warehouse.store import Warehouse

CANARIES = ["anna.berg@example.org", "+49 30 901820", "AKIAIOSFODNN7EXAMPLE", "4111 1111 1111 1111"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def records(folder: Path) -> Records:
    return mixed_state().into(folder)


@pytest.fixture(autouse=True)
def _data_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_DATA_DIR", str(folder))


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def rows_of(written: Written, split: str = "train", part: str = "default") -> list[dict[str, Any]]:
    facts = written.manifest["parts"][part]["splits"][split]
    lines = (written.directory / facts["jsonl"]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_verified_and_the_same_bytes_twice(
    kind: Kind, records: Records, tmp_path: Path
) -> None:
    first = export(records, criteria(kind), tmp_path / "first")
    second = export(records, criteria(kind), tmp_path / "second")
    assert files(first.directory) == files(second.directory)
    report = verify(first.directory, default_detector())
    assert report.problems == {}
    counts = first.manifest["counts"]
    assert report.rows == counts["rows"] > 0
    assert counts["examples"] == counts["rows"] + sum(counts["dropped"].values())
    card = (first.directory / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---")[1])
    assert front["configs"][0]["default"] is True
    assert (
        sum(split["num_examples"] for part in front["dataset_info"] for split in part["splits"])
        == counts["rows"]
    )
    assert f"{counts['rows']:,} rows" in card


def test_another_seed_draws_other_splits(records: Records, tmp_path: Path) -> None:
    first = export(records, criteria("kto"), tmp_path / "first")
    second = export(records, criteria("kto", seed=7), tmp_path / "second")
    sides = [
        {entry["hash"]: entry["split"] for entry in written.manifest["rows"]} for written in (first, second)
    ]
    assert sides[0].keys() == sides[1].keys()
    assert sides[0] != sides[1]


def test_shards_are_numbered_and_hold_all_rows(records: Records, tmp_path: Path) -> None:
    written = export(records, criteria("kto", shard_rows=30), tmp_path / "out")
    names = written.manifest["parts"]["default"]["splits"]["train"]["files"]
    assert names == [f"data/train-{number:05d}-of-00003.parquet" for number in range(3)]
    assert sum(pq.read_metadata(written.directory / name).num_rows for name in names) == len(rows_of(written))


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


def test_no_canary_passes_the_door(tmp_path: Path) -> None:
    state = State()
    for number, canary in enumerate(CANARIES):
        session = f"session-{number}-{canary}"
        state.session(session, "How?")
        state.agent(session, f"A{number}", system=f"Write to {canary}.", name=f"agent of {canary}")
        state.answer(
            session,
            f"A{number}",
            f"a{number}",
            [
                {
                    "role": "assistant",
                    "content": f"I call {canary}.",
                    "tool_calls": [
                        {
                            "id": "c",
                            "type": "function",
                            "function": {"name": "call", "arguments": {"to": canary}},
                        }
                    ],
                },
                {"role": "tool", "content": f"reached {canary}", "tool_call_id": "c"},
                {"role": "assistant", "content": f"Done {number} with {canary}, as the user had asked for."},
            ],
            need=f"Reach {canary} about matter {number}",
            score=9,
            thoughts=f"The user {canary} wants it.",
            metadata={"ground_truth": canary},
        )
    records = state.into(tmp_path)
    for kind in ("sft", "kto", "reasoning", "grpo", "verl", "openai-sft", "atif"):
        written = export(records, criteria(kind), tmp_path / kind)
        report = verify(written.directory, default_detector(), CANARIES)
        assert report.problems == {}
        assert sum(written.manifest["privacy"]["acted_on"].values()) > 0
        for name, body in files(written.directory).items():
            assert not any(canary.encode() in body for canary in CANARIES), name


def test_too_few_rows_make_no_directory(records: Records, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="at least 5,000 are asked for .*neither_good_nor_bad|at least 5,000"
    ):
        export(records, criteria("kto", minimum_rows=5000), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_warehouse_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no records yet"):
        export(Records(Warehouse(tmp_path / "none.duckdb")), criteria("sft"), tmp_path / "out")


def test_a_standing_directory_is_replaced_only_when_asked(records: Records, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(InputError, match="exists already"):
        export(records, criteria("grpo"), out)
    assert (out / "mine.txt").exists()
    export(records, criteria("grpo"), out, overwrite=True)
    assert not (out / "mine.txt").exists()
    assert verify(out, default_detector()).passed
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_halt_stops_exports(records: Records, folder: Path, tmp_path: Path) -> None:
    halt = folder / "spool" / "halt.json"
    halt.parent.mkdir(exist_ok=True)
    for body in ('{"halts": [{"name": "privacy-violation", "alert_id": "1"}]}', "{torn"):
        halt.write_text(body, encoding="utf-8")
        with pytest.raises(HaltedError, match="halted"):
            export(records, criteria("grpo"), tmp_path / "out")
    halt.unlink()
    assert export(records, criteria("grpo"), tmp_path / "out").directory.exists()


def test_a_row_leads_back_to_its_events(records: Records, tmp_path: Path) -> None:
    written = export(records, criteria("rewards"), tmp_path / "out")
    for name in ("train:0", "scores:test:0", written.manifest["rows"][3]["hash"][:12]):
        found = trace(written.directory, name, records.warehouse)
        tables = {origin.table for origin in found.origins}
        assert {
            "training.artifacts",
            "training.attempts",
            "training.sessions",
            "training.evaluations",
        } <= tables
        assert [origin.event_id for origin in found.origins] == found.entry["events"]
        sessions = {origin.record["session_id"] for origin in found.origins}
        assert len(sessions) == 1
    with pytest.raises(InputError, match="no row of this export"):
        trace(written.directory, "train:99999", records.warehouse)


# --- a known-bad case for every check
# -----------------------------------------------------------------------------


def renew_checksums(directory: Path) -> None:
    lines = [
        f"{file_digest(path)}  {path.relative_to(directory).as_posix()}\n"
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != CHECKSUMS
    ]
    (directory / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def edit_manifest(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (directory / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def edit_rows(directory: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the rows of train in Parquet only."""
    path = next((directory / "data").glob("train-*.parquet"))
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)


def _same_texts(rows: list[dict[str, Any]]) -> None:
    rows[0]["rejected"] = rows[0]["chosen"]


def _other_prompt(rows: list[dict[str, Any]]) -> None:
    rows[0]["prompt"][-1]["content"] += " "


def _leak(rows: list[dict[str, Any]]) -> None:
    rows[0]["chosen"][0]["content"] = "write to anna.berg@example.org"


def _prompt_of_another_split(directory: Path) -> None:
    other = pq.read_table(next((directory / "data").glob("test-*.parquet"))).to_pylist()[0]["prompt"]
    edit_rows(directory, lambda rows: rows[0].update(prompt=other))


def _first(manifest: dict[str, Any], **changes: Any) -> None:
    manifest["rows"][0].update(changes)


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a byte of a shard": ("checksums", lambda d: (d / "README.md").write_text("other", encoding="utf-8")),
    "a stray file": ("checksums", lambda d: (d / "stray.txt").write_text("x", encoding="utf-8")),
    "a missing file": ("checksums", lambda d: (d / "README.md").unlink()),
    "no checksums": ("checksums", lambda d: (d / CHECKSUMS).unlink()),
    "a dropped row": ("counts", lambda d: edit_rows(d, lambda rows: rows.pop())),
    "an example without a reason": (
        "counts",
        lambda d: edit_manifest(d, lambda m: m["counts"].update(examples=m["counts"]["examples"] + 1)),
    ),
    "another row": ("row_hashes", lambda d: edit_rows(d, lambda rows: rows[0].update(margin=0.123))),
    "another line": (
        "jsonl",
        lambda d: (d / "jsonl" / "train.jsonl").write_bytes(
            b"{}\n" + (d / "jsonl" / "train.jsonl").read_bytes()
        ),
    ),
    "equal texts": ("format", lambda d: edit_rows(d, _same_texts)),
    "a tie": ("format", lambda d: edit_rows(d, lambda rows: rows[0].update(margin=0.0))),
    "another prompt": ("prompts", lambda d: edit_rows(d, _other_prompt)),
    "a prompt in two splits": ("splits", _prompt_of_another_split),
    "a session in two splits": (
        "splits",
        lambda d: edit_manifest(d, lambda m: _first(m, group=m["rows"][-1]["group"])),
    ),
    "a row over budget": ("budget", lambda d: edit_manifest(d, lambda m: _first(m, tokens=10**6))),
    "private data": ("privacy", lambda d: edit_rows(d, _leak)),
    "a canary": ("canaries", lambda d: (d / "README.md").write_text("maroon-lantern-77", encoding="utf-8")),
    "an unreadable shard": (
        "files",
        lambda d: next((d / "data").glob("train-*.parquet")).write_bytes(b"PAR1 torn"),
    ),
}


@pytest.fixture(scope="module")
def pairs(records: Records, folder: Path) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setenv("PIPELINE_DATA_DIR", str(folder))
    written = export(records, criteria("preferences"), folder / "pairs")
    patch.undo()
    return written.directory


@pytest.mark.parametrize("name", DAMAGE)
def test_every_check_notices_its_damage(name: str, pairs: Path, tmp_path: Path) -> None:
    check, damage = DAMAGE[name]
    copy = tmp_path / "copy"
    shutil.copytree(pairs, copy)
    assert verify(copy, default_detector(), ["maroon-lantern-77"]).problems == {}
    damage(copy)
    if check != "checksums":
        renew_checksums(copy)
    problems = verify(copy, default_detector(), ["maroon-lantern-77"]).problems
    assert check in problems
    assert all(sentence.endswith(".") for sentences in problems.values() for sentence in sentences)


def test_mixed_prompts_in_one_file_are_noticed(records: Records, tmp_path: Path) -> None:
    changes = {"prompts": "text", "system_prompt": "leave_out"}
    text = export(records, criteria("grpo", **changes), tmp_path / "text").directory
    messages = export(records, criteria("grpo"), tmp_path / "messages").directory
    source = next((messages / "data").glob("test-*.parquet"))
    target = next((text / "data").glob("test-*.parquet"))
    shutil.copy(source, target.with_name("test-00001-of-00002.parquet"))
    edit_manifest(
        text,
        lambda m: m["parts"]["default"]["splits"]["test"]["files"].append("data/test-00001-of-00002.parquet"),
    )
    assert "one_form" in verify(text, default_detector()).problems


@pytest.mark.parametrize("body", ["", "{}", '{"kind": "sft"}', '{"kind": "poems", "rows": []}', "[1"])
def test_what_is_no_manifest_is_said_in_a_sentence(body: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(body, encoding="utf-8")
    with pytest.raises(InputError, match="Reading"):
        verify(tmp_path, default_detector())


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
