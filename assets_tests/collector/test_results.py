"""Result files: names that cannot leave the folder, listing, removing, heads without records."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.collector.runs import TableAsker, model, plan, sums
from pipeline.cli.collect_results import clean, cost, list_
from pipeline.collector import results
from pipeline.collector.journal import Journal
from pipeline.collector.result_files import (
    list_results,
    remove_results,
    result_path,
    results_directory,
    safe_name,
)
from pipeline.collector.running import Outcome, Progress, run_plans
from pipeline.errors import InputError, PipelineError

HOSTILE = [
    "..", ".", "", "../../etc/passwd", "a/b", "a\\b", "CON", "nul.txt", ".hidden", "ä" * 300, "a\0b", "~",
    "-rf",
    "\ud800",
]  # fmt: skip
WHEN = datetime(2026, 11, 20, 10, 0, 0, 5, tzinfo=UTC)


def collected(names: list[str]) -> list[Outcome]:
    """A run of three sums per model name, in the data folder of the test."""
    journal = Journal()
    plans = [plan(sums(journal.path.parent / "rows", 3), journal, of=model(name)) for name in names]
    return asyncio.run(
        run_plans(plans, TableAsker(), journal, results_directory(), Progress(), concurrency=2)
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_inside_the_folder(name: str, tmp_path: Path) -> None:
    path = result_path(tmp_path, name, name, name, WHEN)
    assert path.resolve().is_relative_to(tmp_path / "bench")
    assert len(path.relative_to(tmp_path).parts) == 5
    path.parent.mkdir(parents=True)
    path.write_text("{}", encoding="utf-8")


@given(st.text(), st.text())
def test_no_two_names_share_a_folder_and_none_is_special(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)
    assert safe_name(one) not in {"", ".", ".."}
    assert not set(safe_name(one)) & set("/\\\0:")
    assert len(safe_name(one)) <= 80


def test_plain_names_stay_as_they_are() -> None:
    assert safe_name("gpt-4o-mini") == "gpt-4o-mini"
    assert safe_name("openai/gpt-4o") != "openai_gpt-4o"


def test_results_are_listed_by_dataset_model_and_day(data_directory: Path) -> None:
    collected(["a", "b"])
    folder = results_directory()
    today = datetime.now(UTC).date()
    assert {one.head["model_name"] for one in list_results(folder)} == {"a", "b"}
    assert [one.head["model_name"] for one in list_results(folder, model="a")] == ["a"]
    assert [one.head["model_name"] for one in list_results(folder, model="maker/b")] == ["b"]
    assert list_results(folder, dataset="other") == []
    assert list_results(folder, before=today) == []
    assert len(list_results(folder, since=today)) == 2
    assert "records" not in list_results(folder)[0].head


def test_files_that_others_wrote_are_read_or_named(data_directory: Path) -> None:
    folder = results_directory() / "bench" / "d" / "test" / "m"
    folder.mkdir(parents=True)
    (folder / "one.json").write_text(
        json.dumps({"performance": 0.5, "model_name": "m", "records": []}), encoding="utf-8"
    )
    (folder / "two.json").write_text("{broken", encoding="utf-8")
    one, two = list_results(results_directory())
    assert (one.head["performance"], one.problem) == (0.5, "")
    assert "no JSON" in two.problem


def test_nothing_outside_the_folder_is_removed(data_directory: Path, tmp_path: Path) -> None:
    collected(["a"])
    (result,) = list_results(results_directory())
    with pytest.raises(InputError, match="lies outside"):
        remove_results([result], tmp_path / "elsewhere")
    assert result.path.exists()
    assert remove_results([result], results_directory()) == 1
    assert list((results_directory() / "bench").iterdir()) == []


def test_clean_shows_asks_and_keeps_what_was_collected(data_directory: Path) -> None:
    collected(["a", "b"])
    refused = CliRunner().invoke(clean, ["--model", "a"], input="n\n")
    assert refused.exit_code == 1
    assert len(list_results(results_directory())) == 2
    done = CliRunner().invoke(clean, ["--model", "a", "--yes", "--json"])
    assert json.loads(done.stdout)["results"] == 1
    assert [one.head["model_name"] for one in list_results(results_directory())] == ["b"]
    (again, _) = collected(["a", "b"])
    assert again.result is not None and again.result.exists(), "written again from the journal"
    assert CliRunner().invoke(clean, ["--yes", "--journal"]).exit_code == 0
    assert Journal().runs() == []
    assert CliRunner().invoke(clean, ["--json"]).exit_code == 2


def test_list_and_cost_print_json(data_directory: Path) -> None:
    collected(["a", "b"])
    listed = json.loads(CliRunner().invoke(list_, ["--json"]).stdout)
    assert [(row["model"], row["performance"], row["records"]) for row in listed] == [
        ("a", 1.0, 3),
        ("b", 1.0, 3),
    ]
    by_model = json.loads(CliRunner().invoke(cost, ["--by", "model", "--json"]).stdout)
    assert [row["billed"] for row in by_model] == [pytest.approx(3 * 20 / 1e6)] * 2
    (by_dataset,) = json.loads(CliRunner().invoke(cost, ["--by", "dataset", "--json"]).stdout)
    assert (by_dataset["records"], by_dataset["without_price"]) == (6, 0)
    none = json.loads(CliRunner().invoke(cost, ["--since", "2999-01-01", "--json"]).stdout)
    assert none == []


def test_an_interrupted_write_leaves_the_file_before(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()
    reader = sums(journal.path.parent / "rows", 3)

    def collect(limit: int | None) -> Outcome:
        plans = [plan(reader, journal, limit=limit)]
        folder = results_directory()
        return asyncio.run(run_plans(plans, TableAsker(), journal, folder, Progress(), concurrency=2))[0]

    demo = collect(limit=2)

    def broken(*_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results, "document_record", broken)
    with pytest.raises(PipelineError, match="No space left on device .* free space"):
        collect(limit=None)
    assert demo.result is not None and demo.result.exists()
    assert [path for path in demo.result.parent.iterdir() if path.name.endswith(".part")] == []


def test_dates_of_results_are_days() -> None:
    assert result_path(Path("r"), "d", "s", "m", WHEN).name == "20261120T100000_000005Z.json"
    assert WHEN.date() == date(2026, 11, 20)
