"""Verify: a known-bad case for every one of its checks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from assets_tests.training.export_states import criteria
from pipeline.errors import InputError
from pipeline.privacy.detect import default_detector
from pipeline.training.examples.records import Records
from pipeline.training.exporting import export
from pipeline.training.repository import CHECKSUMS, MANIFEST, file_digest
from pipeline.training.verifying import verify


@pytest.fixture(autouse=True)
def _data_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_DATA_DIR", str(folder))


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
