"""Whole runs through the command against the stub: images, embeddings, extracted fields, narrowed keys."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from assets_tests.collector.commands import Commands, stubbed
from pipeline.collector.exchange import Request
from pipeline.collector.payloads import payload_of
from pipeline.collector.stub.knowledge import chosen_answers
from pipeline.collector.stub.server import Stub
from pipeline.settings.collector import ModelSettings
from pipeline.settings.places import PROJECT

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
Make = Callable[..., Commands]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda url, **dataset: Commands(tmp_path, monkeypatch, url, **dataset)


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What every stub of the test is sent."""
    seen: list[dict[str, Any]] = []
    original = Stub._answer

    async def answer(self: Stub, request: web.Request) -> web.StreamResponse:
        seen.append(json.loads(await request.read()))
        return await original(self, request)

    monkeypatch.setattr(Stub, "_answer", answer)
    return seen


def answers(count: int) -> dict[str, str]:
    return {f"What is {number} + 1?": str(number + 1) for number in range(1, count + 1)}


def test_images_of_files_and_addresses_are_sent_and_bytes_stand_for_the_same(
    make: Make, bodies: list[dict[str, Any]]
) -> None:
    with stubbed(answers={"Which colour?": "red"}) as (_, url):
        place = make(url, prompt="Which colour?", images=["{{ image }}"], target="{{ answer }}",
            evaluator={"name": "exact"})  # fmt: skip
        (place.configs / "red.png").write_bytes(PIXEL)
        address = "https://images.example/red.png"
        place.rows([{"image": image, "answer": "red"} for image in ("red.png", address)])
        place.settings["models"][0]["generator_type"] = "multimodal"
        result = place.run()
        place.run("--overwrite")
        assert len(bodies) == 2, "the second run is answered from the cache"
        (place.configs / "red.png").write_bytes(PIXEL + b"\0")
        again = place.run("--overwrite")
    assert result["performance"] == 1.0 and result["counts"]["scored"] == 2
    sent = {body["messages"][-1]["content"][1]["image_url"]["url"] for body in bodies[:2]}
    assert sent == {address, "data:image/png;base64," + base64.b64encode(PIXEL).decode()}
    assert len(bodies) == 3 and again["counts"]["cache_hits"] == 1, "other bytes are another question"
    model = ModelSettings.model_validate(place.settings["models"][0])
    given = payload_of(Request(model, prompt="Which colour?", images=(PIXEL,)))
    assert given["messages"][-1]["content"][1]["image_url"]["url"] in sent


def test_a_missing_image_fails_its_record_for_good_and_sends_nothing(
    make: Make, bodies: list[dict[str, Any]]
) -> None:
    with stubbed() as (_, url):
        place = make(url, images=["{{ image }}"])
        place.rows([{"a": 1, "answer": 2, "image": "lost.png"}])
        place.settings["models"][0]["generator_type"] = "multimodal"
        done = place.call("run", "--quiet")
    assert done.exit_code == 1 and "1 records failed" in str(done.exception)
    (path,) = place.data.rglob("bench/**/*.json")
    (record,) = json.loads(path.read_text(encoding="utf-8"))["records"]
    assert record["error_class"] == "invalid_request" and "lost.png" in record["error"]
    assert bodies == []


def test_embeddings_are_kept_unjudged_as_vectors(make: Make, bodies: list[dict[str, Any]]) -> None:
    with stubbed() as (_, url):
        place = make(url, target=None, evaluator={"name": "none"})
        place.settings["models"][0] = {"name": "vectors", "base_url": url, "generator_type": "embedding"}
        place.settings["cache"]["key_generator"] = {"cached_parameters": ["model", "input"]}
        result = place.run()
        place.run("--overwrite")
    assert result["counts"]["unscored"] == 6 and result["performance"] is None
    assert {len(json.loads(record["raw_output"])) for record in result["records"]} == {16}
    assert len({record["raw_output"] for record in result["records"]}) == 6
    assert [set(body) for body in bodies] == [{"model", "input"}] * 6


def test_extracted_fields_come_from_answers_and_from_the_cache(make: Make) -> None:
    with stubbed(answers=answers(6)) as (stub, url):
        place = make(url)
        place.settings["models"][0]["extract_fields"] = ["model", "choices.0.finish_reason", "no.such"]
        place.settings["cache"]["conditions"] = {"cache_raw_response": True}
        first, second = place.run(), place.run("--overwrite")
        assert stub.outcomes.total() == 6
    for result in (first, second):
        fields = [record["extra_fields"] for record in result["records"]]
        assert fields == [{"model": "adder-v1", "choices.0.finish_reason": "stop"}] * 6


def test_answers_without_their_raw_response_are_asked_again_where_wanted(make: Make) -> None:
    with stubbed(answers=answers(6)) as (stub, url):
        place = make(url)
        place.run()
        place.settings["cache"]["conditions"] = {
            "cache_raw_response": True, "refresh_if_missing_raw_response": True,
        }  # fmt: skip
        reason = json.loads(place.call("why-miss", "--json").stdout)[0]["reason"]
        assert "without its raw response" in reason
        place.run("--overwrite")
        assert stub.outcomes.total() == 12
        place.run("--overwrite")
        assert stub.outcomes.total() == 12, "now they have it"


def test_why_miss_names_what_differs(make: Make) -> None:
    with stubbed(answers=answers(6)) as (_, url):
        place = make(url)
        assert "Nothing like it" in place.call("why-miss", "--json").stdout
        place.run()
        assert "It is no miss" in place.call("why-miss", "--json").stdout
        place.settings["models"][0] |= {"temperature": 0.5, "max_tokens": 17}
        missed = json.loads(place.call("why-miss", "--row", "3", "--json").stdout)
    found = {row["field"]: (row["asked now"], row["stored"]) for row in missed}
    assert found == {"temperature": ("0.5", None), "max_tokens": ("17", "16")}


def test_a_narrowed_key_shares_answers_and_info_says_which(make: Make) -> None:
    with stubbed(answers=answers(6)) as (stub, url):
        place = make(url)
        place.settings["models"].append({**place.settings["models"][0], "name": "warmer", "temperature": 0.9})
        place.settings["models"][1]["api_model_name"] = place.settings["models"][0]["name"]
        place.settings["cache"]["key_generator"] = {"cached_parameters": ["model", "messages"]}
        shown = place.call("info").stdout
        merges = json.loads(place.call("info", "--json").stdout)["merges"]
        place.run("--model", "adder")
        place.run("--model", "warmer")
        assert stub.outcomes.total() == 6, "the second model is answered by the first one's answers"
    assert "cache key: Answers are shared between requests that differ only in" in shown
    assert any("temperature" in sentence for sentence in merges)
    assert any("The models adder, warmer share their answers" in sentence for sentence in merges)


@pytest.mark.parametrize(
    "changes",
    [
        {"api_key": "sk-invented-0123456789abcdef"},
        {"extra_headers": {"X-Api-Key": "invented-0123456789abcdef"}},
        {"extra_body": {"user": "sk-invented-0123456789abcdef"}},
        {"base_url": "https://user:invented-0123456789abcdef@host/v1"},
    ],
)
def test_a_key_in_the_configuration_is_refused_and_not_shown(make: Make, changes: dict[str, Any]) -> None:
    place = make("http://127.0.0.1:9/v1")
    place.settings["models"][0] |= changes
    for command in ("info", "plan", "run"):
        done = place.call(command)
        assert done.exit_code == 1
        said = f"{done.output} {done.exception}"
        assert "collector.yaml" in said and next(iter(changes)) in said
        assert "0123456789abcdef" not in said


def test_the_stub_knows_the_datasets_that_are_named(make: Make) -> None:
    place = make("http://127.0.0.1:9/v1")
    place.call("info")
    known = {f"What is {number} + 1?": str(number + 1) for number in range(1, 7)}
    assert chosen_answers(()) == chosen_answers(("rows",)) == known
    assert chosen_answers((str(place.configs / "datasets.yaml"),)) == known
    (place.configs / "rows.jsonl").unlink()
    assert chosen_answers(()) == {}, "what is not there is not known"
    for name, said in (("rows", "there is no rows.jsonl"), ("gsm9k", "no such dataset")):
        done = place.call("stub", "--dataset", name)
        assert done.exit_code == 1 and said in str(done.exception)


def test_the_stub_serves_from_the_shell_and_explains_itself(tmp_path: Path) -> None:
    environment = {**os.environ, "PIPELINE_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pipeline", "collect", "stub"]
    helped = subprocess.run(
        [*command, "--help"], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )
    for option in ("--accuracy", "--rate-429", "--rate-hang", "--version-after", "--dataset", "--log"):
        assert option in helped.stdout
    serving = subprocess.Popen(
        [*command, "--port", "0", "--latency-ms", "0", "--accuracy", "1"],
        cwd=PROJECT, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert serving.stderr is not None
        url = serving.stderr.readline().split()[4]
        configuration = tmp_path / "collector.yaml"
        shipped = (PROJECT / "configs" / "collector.yaml").read_text(encoding="utf-8")
        configuration.write_text(shipped.replace("http://127.0.0.1:8399/v1", url), encoding="utf-8")
        done = subprocess.run(
            [*command[:-1], "run", str(configuration), "--demo", "--demo-limit", "3", "--json"],
            cwd=PROJECT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        serving.terminate()
        serving.wait()
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)
    assert len(runs) == 6 and {run["performance"] for run in runs} == {1.0}
