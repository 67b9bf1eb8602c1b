"""Datasets: shipped ones work offline, every bad row is named with its reason, all formats give the same
items."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets_tests.collector.runs import sums
from pipeline.collector.datasets import SplitReader, describe_problems
from pipeline.collector.rows import DATASETS_VARIABLE
from pipeline.errors import ConfigurationError, InputError
from pipeline.settings.datasets import Dataset, Datasets, load_datasets

SHIPPED = {"arithmetic": 50, "general_knowledge": 45, "short_facts": 45, "order_extraction": 40}


def dataset(files: list[str], **changes: Any) -> Dataset:
    declaration: dict[str, Any] = {
        "licence": "Apache-2.0",
        "source": "a test",
        "splits": {"test": {"files": files}},
        "prompt": "{{ question }}",
        "target": "{{ answer }}",
        "evaluator": {"name": "exact"},
        **changes,
    }
    return Dataset.model_validate(declaration)


def reasons(path: Path, text: str | bytes, **changes: Any) -> list[str]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    checked = SplitReader("d", "test", dataset([str(path)], **changes)).check()
    return [str(problem) for problem in checked.problems]


@pytest.mark.parametrize(("name", "rows"), SHIPPED.items())
def test_shipped_samples_are_whole_and_their_own_targets_score_full(name: str, rows: int) -> None:
    reader = SplitReader(name, "test", load_datasets().datasets[name])
    checked = reader.check()
    assert (checked.items, checked.problems) == (rows, ())
    for item in reader.items():
        answer = (item.target or "").split("|")[0]
        assert reader.evaluator.judge(answer, item.target).score == 1.0
        assert reader.evaluator.judge("", item.target).unparseable


def test_every_format_gives_the_same_items(tmp_path: Path) -> None:
    rows = [{"question": f'q {n}, "x"\nline', "answer": f"ä{n}"} for n in range(25)]
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "d.jsonl").write_text(lines, encoding="utf-8")
    with gzip.open(tmp_path / "d.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write(lines)
    with (tmp_path / "d.csv").open("w", encoding="utf-8", newline="") as plain:
        writer = csv.DictWriter(plain, ["question", "answer"])
        writer.writeheader()
        writer.writerows(rows)
    pl.DataFrame(rows).write_parquet(tmp_path / "d.parquet")
    read = [
        [
            (item.query, item.target, item.identifier)
            for item in SplitReader("d", "test", dataset([str(file)])).items()
        ]
        for file in sorted(tmp_path.iterdir())
    ]
    assert len(read) == 4
    assert len(read[0]) == 25
    assert all(items == read[0] for items in read)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"question": "a", "answer": "b"', "row 1: it is no JSON at column"),
        ('["question"]', "row 1: it is a list, not an object"),
        ('{"answer": "b"}', "row 1: Rendering prompt of d: 'question' is undefined"),
        ('{"question": "a"}', "row 1: Rendering target of d: 'answer' is undefined"),
        ('{"question": "  ", "answer": "b"}', "row 1: the prompt is empty"),
        ('{"question": "a", "answer": " "}', "row 1: the target is empty"),
        (b'{"question": "\xff"}', "row 1: byte 14 is no UTF-8"),
        ('{"question": "a", "answer": "b"}\n\n{"question": "a", "answer": "c"}', "row 3: the prompt repeats"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_its_reason(tmp_path: Path, text: str | bytes, reason: str) -> None:
    (found,) = reasons(tmp_path / "rows.jsonl", text)
    assert reason in found
    assert found.startswith("rows.jsonl row ")


def test_fields_and_identifiers_are_checked(tmp_path: Path) -> None:
    mapped = {"fields": {"question": "q", "answer": "a", "key": "id"}, "identifier": "key"}
    text = '{"q": "x", "a": "1", "id": 7}\n{"q": "y", "a": "1", "id": 7}\n{"q": "z", "a": "1"}'
    assert reasons(tmp_path / "rows.jsonl", text, **mapped) == [
        "rows.jsonl row 2: the identifier '7' stands in row 1 already",
        "rows.jsonl row 3: it has no id",
    ]


def test_a_short_csv_record_is_a_bad_row_and_a_doubled_column_a_bad_file(tmp_path: Path) -> None:
    assert reasons(tmp_path / "a.csv", "question,answer\nx\ny,z\n") == [
        "a.csv row 1: it has 1 fields where the header has 2"
    ]
    with pytest.raises(InputError, match="names a column twice"):
        reasons(tmp_path / "b.csv", "question,question\nx,y\n")


def test_a_target_the_evaluator_cannot_use_is_found_before_the_run(tmp_path: Path) -> None:
    text = '{"question": "x", "answer": "no digits"}'
    (found,) = reasons(tmp_path / "rows.jsonl", text, evaluator={"name": "number"})
    assert "holds no number" in found


def test_a_missing_file_says_where_to_get_and_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATASETS_VARIABLE, str(tmp_path))
    gsm8k = load_datasets().datasets["gsm8k"]
    with pytest.raises(InputError, match="get it from github.com/openai/grade-school-math and put it below"):
        SplitReader("gsm8k", "test", gsm8k)
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl").write_text(
        json.dumps({"question": "What is 2 + 3?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"}), encoding="utf-8"
    )
    (item,) = SplitReader("gsm8k", "test", gsm8k).items()
    assert item.target == "5"


def test_the_layouts_of_mmlu_and_humaneval_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATASETS_VARIABLE, str(tmp_path))
    declared = load_datasets().datasets
    (tmp_path / "mmlu").mkdir()
    (tmp_path / "mmlu" / "bird_law_test.csv").write_text(
        "question,choice0,choice1,choice2,choice3,answer\nMay a gull own land?,no,yes,once,twice,1\n",
        encoding="utf-8",
    )
    (item,) = SplitReader("mmlu", "test", declared["mmlu"]).items()
    assert (item.target, "about bird law" in item.query, "B. yes" in item.query) == ("B", True, True)
    (tmp_path / "human-eval").mkdir()
    with gzip.open(tmp_path / "human-eval" / "HumanEval.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write(json.dumps({"task_id": "HumanEval/0", "prompt": "def f():\n", "test": "assert f()"}))
    reader = SplitReader("humaneval", "test", declared["humaneval"])
    assert [item.identifier for item in reader.items()] == ["HumanEval/0"]
    with pytest.raises(ConfigurationError, match="there is no sandbox for it yet"):
        reader.evaluator.refuse_to_run()


def test_few_shot_examples_stand_before_the_question() -> None:
    reader = SplitReader("order_extraction", "test", load_datasets().datasets["order_extraction"])
    item = next(reader.items())
    assert [message["role"] for message in item.messages] == ["system", "user", "assistant", "user"]
    assert json.loads(item.messages[2]["content"])["customer"] == "Ada Kern"
    assert item.query == item.messages[3]["content"]


def test_the_fingerprint_follows_rows_and_prompts(tmp_path: Path) -> None:
    first = sums(tmp_path, 3).data_fingerprint()
    assert sums(tmp_path, 3).data_fingerprint() == first
    assert sums(tmp_path, 3, prompt="{{ a }}").data_fingerprint() != first
    assert sums(tmp_path, 4).data_fingerprint() != first


def test_a_limit_reads_no_further_and_says_that_there_is_more(tmp_path: Path) -> None:
    checked = sums(tmp_path, 9).check(limit=4)
    assert (checked.items, checked.truncated) == (4, True)
    assert sums(tmp_path, 4).check(limit=4).truncated is False


def test_skipped_rows_leave_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"question": "a", "answer": "1"}\nbroken\n{"question": "c", "answer": "3"}', encoding="utf-8"
    )
    reader = SplitReader("d", "test", dataset([str(path)], bad_rows="skip"))
    assert [(item.index, item.query) for item in reader.items()] == [(1, "a"), (2, "c")]
    assert "row 2" in describe_problems("d", "test", reader.check().grave)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"splits": {"../up": {"files": ["a.csv"]}}}, "split name"),
        ({"splits": {"test": {"files": ["a.pkl"]}}}, "ends in none of"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_impossible_declarations_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Datasets.model_validate({"datasets": {"d": {**dataset(["a.csv"]).model_dump(), **changes}}})
