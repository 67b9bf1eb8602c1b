"""Parsers of public score tables and of models.json. Every model and score here is invented."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from assets_tests.sources.helpers import body, context
from pipeline.errors import InputError
from pipeline.settings.sources import TableColumns
from pipeline.sources import benchmark_tables as tables
from pipeline.sources import csv_tables
from pipeline.sources.context import Parsed
from pipeline.sources.scores import percentiles
from pipeline.sources.static_models import models_json
from pipeline.sources.trun import trun

RUNS = "\ufeffid,task,model,Best score (across scorers),Scores,log viewer,started_at,Status,task version\n"


def _runs(*lines: str) -> Parsed:
    return csv_tables.epoch_runs((RUNS + "\n".join(lines)).encode(), context("epoch_runs"))


def test_epoch_runs() -> None:
    parsed = _runs(
        "a,GPQA diamond,m-1_high,0.850,choice:0.85±0.02,https://log.example/a,17 November 2025 4:28pm,Success,1",
        "b,MMLU,m-2_16K,0.123,other:0.9±0.5 choice:0.12±0.01,,2 May 2025 1:00am,Success,1",
        "c,MMLU,m-3,0.5,,,,Error,1",
        "d,MMLU,m-4,n/a,,,,Success,1",
        "e,MMLU,m-5,1.5,,,,Success,1",
    )
    first, second = parsed.frame.to_dicts()
    assert (first["source_model"], first["configuration"], first["benchmark"]) == (
        "m-1",
        "effort=high",
        "gpqa_diamond",
    )
    assert (first["score"], first["standard_error"], first["evaluated_at"]) == (85.0, 2.0, date(2025, 11, 17))
    assert (first["reliability"], first["url"]) == ("independent", "https://log.example/a")
    assert (second["configuration"], second["standard_error"]) == ("thinking_budget=16k", 1.0)
    reasons = parsed.rejected["reason"].to_list()
    assert ["'Error'" in reasons[0], "no number" in reasons[1], "above 1" in reasons[2]] == [True] * 3


def _table(text: str, **values: Any) -> Parsed:
    columns = TableColumns(benchmark="mmlu", model=("Version", "Name"), score="EM", **values)
    return csv_tables.score_table(text.encode(), context("score_table", table=columns))


def test_a_score_table_reads_its_unit_as_declared() -> None:
    text = "Name,Version,EM,Source,Source link\nA,a-1_low,63.3%,Some Leaderboard,https://x.example\nB,,71.5,B Technical Report,\nC,c,0.5,,\nD,d,,,\nE,e,text,,\n"
    parsed = _table(text)
    rows = parsed.frame.to_dicts()
    assert [(row["source_model"], row["configuration"], row["score"]) for row in rows] == [
        ("a-1", "effort=low", 63.3),
        ("B", "", 71.5),
    ]
    assert [row["reliability"] for row in rows] == ["independent", "self_reported"]
    assert "a fraction where a percentage belongs" in parsed.rejected["reason"][0]
    assert "no number" in parsed.rejected["reason"][1]
    assert _table("Name,Version,EM\nA,a,0.5\nB,b,7%\n", unit="fraction").frame["score"].to_list() == [
        50.0,
        7.0,
    ]
    assert _table("Name,Version,EM\nA,a,8.39\nB,b,11\n", unit="points_10").frame["score"].to_list() == [83.9]


@pytest.mark.parametrize("raw", [b"", b"Name,EM\na,1\n", b"\xff\xfe", b"{}"])
def test_a_table_of_another_shape_fails_alone(raw: bytes) -> None:
    columns = TableColumns(benchmark="mmlu", model=("Version",), score="EM")
    with pytest.raises(InputError):
        csv_tables.score_table(raw, context("score_table", table=columns))


def test_llm_stats() -> None:
    def row(benchmark: str, score: object, reported: bool = True) -> dict[str, Any]:
        return {"benchmark_id": benchmark, "benchmark_name": benchmark.upper(), "score": score, "is_self_reported": reported,
                "self_reported_source_link": "https://x.example", "created_at": "2025-07-19"}  # fmt: skip

    rows = [row("mmlu", 0.8), row("mmlu", 0.7), row("gsm8k", 2134), row("hle", None), row("gpqa", 0.5, False)]
    parsed = tables.llm_stats(
        body({"models": {"m": {"organization_id": "acme"}}, "scores": {"m": rows}}), context("llm_stats")
    )
    found = {each["benchmark"]: each for each in parsed.frame.to_dicts()}
    assert {name: each["score"] for name, each in found.items()} == {"mmlu": 80.0, "gpqa": 50.0}
    assert found["mmlu"]["evaluated_at"] is None and found["mmlu"]["provider"] == "acme"
    assert (found["mmlu"]["reliability"], found["gpqa"]["reliability"]) == ("self_reported", "independent")
    reasons = " ".join(parsed.rejected["reason"])
    assert "twice" in reasons and "above 1" in reasons and "no number" in reasons
    with pytest.raises(InputError, match="'scores'"):
        tables.llm_stats(body({"models": {}}), context("llm_stats"))


def test_evalplus_dates_and_its_derived_mean() -> None:
    document = {
        "M Opus (Mar 2024)": {
            "link": "https://x.example",
            "pass@1": {"humaneval": 80, "humaneval+": 70, "mbpp": None, "mbpp+": 60},
        },
        "N": {"pass@1": {"humaneval": 50, "humaneval+": 40}},
        "odd": {},
    }
    parsed = tables.evalplus(body(document), context("evalplus"))
    rows = {(row["source_model"], row["benchmark"]): row for row in parsed.frame.to_dicts()}
    assert rows["M Opus (Mar 2024)", "evalplus"]["score"] == 65.0
    assert rows["M Opus (Mar 2024)", "humaneval"]["evaluated_at"] == date(2024, 3, 1)
    assert ("N", "evalplus") not in rows and ("M Opus (Mar 2024)", "mbpp") not in rows
    assert parsed.rejected.height == 1
    with pytest.raises(InputError, match="pass@1"):
        tables.evalplus(body({"a": {"pass": 1}}), context("evalplus"))


def test_aider() -> None:
    text = """
- {model: "A 1 (high)", edit_format: diff, pass_rate_1: 10, pass_rate_2: 55.5, test_cases: 225, date: 2025-02-25}
- {model: "A 1 + B 2", edit_format: architect, pass_rate_2: 60}
- {model: C, pass_rate_1: 3}
"""
    parsed = tables.aider_polyglot(text.encode(), context("aider_polyglot"))
    first, second = parsed.frame.to_dicts()
    assert (first["source_model"], first["score"], first["n"]) == ("A 1 (high)", 55.5, 225)
    assert (first["configuration"], first["evaluated_at"]) == ("edit_format=diff", date(2025, 2, 25))
    assert second["source_model"] == "A 1 + B 2" and parsed.rejected.height == 1
    for bad in (b"a: 1", b"- {model: x}", b"!!python/object:os.system {}", b"- &a [*a]"):
        with pytest.raises(InputError):
            tables.aider_edit(bad, context("aider_edit"))


def test_models_dev_benchmarks_keep_harnesses_apart_and_leave_out_what_is_not_free() -> None:
    entries = [
        {"name": "SWE-Bench Verified", "score": 70.0, "metric": "resolved", "harness": "Some CLI", "variant": "high", "source": "https://acme.example/post", "date": "2026-01-01"},
        {"name": "SWE-Bench Verified", "score": 60.0, "metric": "resolved", "dataset": "public", "version": "2.1"},
        {"name": "Aider Polyglot", "score": 50.0, "source": "https://aider.chat/docs/leaderboards/", "date": "2026-01-02"},
        {"name": "Artificial Analysis Coding Index", "score": 33.3, "source": "https://elsewhere.example"},
        {"name": "MMLU", "score": 33.3, "source": "https://artificialanalysis.ai/x"},
        {"name": "MMLU"},
    ]  # fmt: skip
    parsed = tables.models_dev_benchmarks(body({"models/acme/m": {"benchmarks": entries}}), context("x"))
    rows = parsed.frame.to_dicts()
    assert [(row["configuration"], row["benchmark_version"]) for row in rows[:2]] == [
        ("harness=some_cli;effort=high", None),
        ("", "2.1-public"),
    ]
    assert [row["reliability"] for row in rows] == ["self_reported", "self_reported", "independent"]
    assert [row["evaluated_at"] for row in rows] == [None, None, date(2026, 1, 2)]
    assert rows[0]["source_model"] == "acme/m"
    assert parsed.rejected.height == 3 and "33.3" not in "".join(parsed.rejected["row"])


def test_ratings_become_percentiles_of_their_snapshot() -> None:
    document = {f"m{place}": {"benchmarks": {"Arena Elo": 1000 + 100 * place}} for place in range(5)}
    rows = trun(body(document), context("trun")).frame.sort("source_model").to_dicts()
    assert [row["score"] for row in rows] == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert (rows[0]["benchmark"], rows[0]["raw_value"], rows[0]["raw_unit"]) == ("arena", 1000.0, "elo")
    few = trun(body(dict(list(document.items())[:2])), context("trun"))
    assert few.frame.is_empty() and few.rejected.height == 2


def test_ties_share_their_percentile() -> None:
    assert percentiles([1, 1, 3]) == [25.0, 25.0, 100.0]


def _catalogue(*models: object, **values: Any) -> Parsed:
    return models_json(body({"models": list(models)} | values), context("models_json"))


GOOD = {"id": "good", "provider": "acme", "display_name": 'Good "1"'}


def test_a_model_with_all_its_facts() -> None:
    facts = {
        "api_alias": "g-1", "aliases": ["acme/good", "Acme/Good"], "family": "g", "release_date": "2025-03", "context_window": 1000,
        "max_output_tokens": 100, "cost_in_per_1k": 0.001, "cost_out_per_1k": 0, "avg_latency_ms": None, "open_source": False,
        "capabilities": {"math": 0.5, "reasoning": None}, "tags": ["t"], "source": "litellm",
        "sources": {"family": "litellm:g#family"}, "last_updated": "2026-01-02",
    }  # fmt: skip
    row = _catalogue(GOOD | facts).frame.to_dicts()[0]
    assert (row["model_id"], row["aliases"], row["release_date"]) == ("good", ["acme/good"], date(2025, 3, 1))
    assert (row["cost_in_per_1k"], row["cost_out_per_1k"], row["avg_latency_ms"]) == (0.001, None, None)
    assert (row["capabilities_math"], row["capabilities_reasoning"], row["open_source"]) == (0.5, None, False)
    assert row["field_sources"] == '{"family": "litellm:g#family"}' and row["last_updated"].day == 2


@pytest.mark.parametrize(
    "document",
    [
        [GOOD],
        {"good": {"provider": "acme", "display_name": "x"}},
        {"models": {"good": {"provider": "acme", "display_name": "x"}}},
    ],
)
def test_the_ways_to_write_a_catalogue(document: object) -> None:
    assert models_json(body(document), context("models_json")).frame["model_id"].to_list() == ["good"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "GOOD"}, "stands twice"),
        ({"id": None}, "has no id"),
        ({"id": 5}, "not a text"),
        ({"id": "../x"}, "path to another folder"),
        ({"id": "a/../b"}, "path to another folder"),
        ({"id": "a\u202eb"}, "U+202E"),
        ({"id": "a\u0007"}, "U+0007"),
        ({"id": "a'; drop table x; --"}, "holds the character"),
        ({"id": "x" * 201}, "at most 200"),
        ({"provider": ""}, "provider is empty"),
        ({"context_window": "8k"}, "not a number"),
        ({"context_window": 1.5}, "not a whole number"),
        ({"context_window": True}, "not a number"),
        ({"cost_in_per_1k": -1}, "below 0"),
        ({"cost_in_per_1k": 15}, "divide by 1,000"),
        ({"cost_in_per_1k": "NaN"}, "not a number"),
        ({"release_date": "soon"}, "not a day"),
        ({"release_date": "2025-02-31"}, "not a day"),
        ({"open_source": "yes"}, "neither true nor false"),
        ({"capabilities": {"math": 7}}, "above 1"),
        ({"capabilities": []}, None),
        ({"capabilities": [1]}, "not an object"),
        ({"tags": "x"}, "not a list"),
        ({"surprise": 1}, "'surprise' is not known"),
    ],
)
def test_a_bad_row_is_refused_and_the_good_one_stays(change: dict[str, Any], reason: str | None) -> None:
    parsed = _catalogue(GOOD, {"id": "other", "provider": "acme", "display_name": "x"} | change)
    if reason is None:
        assert parsed.rejected.is_empty()
        return
    assert parsed.frame["model_id"].to_list() == ["good"]
    assert parsed.rejected.height == 1 and reason in parsed.rejected["reason"][0]


def test_nan_spoils_its_own_model_only() -> None:
    raw = b'[{"id":"a","provider":"p","display_name":"NaN","context_window":NaN},{"id":"b","provider":"p","display_name":"b"}]'
    parsed = models_json(raw, context("models_json"))
    assert parsed.frame["model_id"].to_list() == ["b"] and parsed.rejected.height == 1


def test_two_models_with_one_alias_both_stay_and_the_second_loses_it() -> None:
    second = {
        "id": "second",
        "provider": "acme",
        "display_name": "2",
        "api_alias": "Good-Latest",
        "aliases": ["GOOD-latest", "mine", "good"],
    }
    parsed = _catalogue(GOOD | {"aliases": ["good-latest"]}, second)
    rows = parsed.frame.to_dicts()
    assert [row["aliases"] for row in rows] == [["good-latest"], ["mine"]]
    assert rows[1]["api_alias"] is None
    assert (
        all("belongs to good" in reason for reason in parsed.rejected["reason"])
        and parsed.rejected.height == 3
    )


@pytest.mark.parametrize("document", [[], {}, 5, {"models": 5}, {"models": []}, [{"id": ""}]])
def test_a_catalogue_without_a_usable_model_fails(document: object) -> None:
    with pytest.raises(InputError):
        models_json(body(document), context("models_json"))
