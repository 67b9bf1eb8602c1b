"""Every export is loaded by `datasets`, prepared by its trainer on all rows, and trained for one step.

A trainer drops and cuts over-long rows silently, so what it prepared is counted: fewer rows than were
exported fails.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import datasets
import jsonschema
import pytest
from atif import Trajectory
from trl import (
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
)

from assets_tests.trainers import tiny
from assets_tests.training.export_states import criteria, mixed_state
from pipeline.settings.exports import KINDS, Kind
from pipeline.training.exporting import export
from pipeline.training.repository import Written

LONGEST = 4096

SCHEMAS = json.loads((Path(__file__).with_name("openai_schemas.json")).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def exports(state_directory: Path) -> dict[str, Written]:
    """Every kind, exported from one generated state; some in a second form."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PIPELINE_DATA_DIR", str(state_directory))
    records = mixed_state().into(state_directory)
    forms: dict[str, tuple[Kind, dict[str, Any]]] = {kind: (kind, {}) for kind in KINDS}
    forms["sft-messages"] = ("sft", {"layout": "messages", "turns": "whole"})
    for kind in ("sft", "preferences", "rewards", "kto", "grpo"):
        changes = {"prompts": "text", "system_prompt": "leave_out", "turns": "whole"}
        forms[f"{kind}-text"] = (kind, changes)
    written = {
        name: export(records, criteria(kind, **changes), state_directory / "out" / name)
        for name, (kind, changes) in forms.items()
    }
    patch.undo()
    return written


@pytest.fixture(scope="session")
def fast(state_directory: Path, exports: dict[str, Written]) -> Any:
    """A tokenizer trained on the exported texts."""
    lines = (exports["sft"].directory / "jsonl" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return tiny.tokenizer(lines, state_directory)


def load(written: Written, cache: Path, part: str = "default") -> dict[str, Any]:
    """All splits, as many rows as the manifest says."""
    loaded = datasets.load_dataset(str(written.directory), part, cache_dir=str(cache))
    splits = written.manifest["parts"][part]["splits"]
    assert {name: split.num_rows for name, split in loaded.items()} == {
        name: facts["rows"] for name, facts in splits.items()
    }
    return dict(loaded)


def options(tmp_path: Path) -> dict[str, Any]:
    """What every trainer's configuration shares: one step on the CPU, nothing sent or saved."""
    return {
        "output_dir": str(tmp_path / "out"),
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "report_to": "none",
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "logging_steps": 1,
    }


def assert_all_prepared(trainer: Any, splits: dict[str, Any], column: str) -> None:
    """As many prepared rows as exported ones, none longer than the bound, and one step with a finite loss."""
    prepared = {"train": trainer.train_dataset, **trainer.eval_dataset}
    assert {name: len(split) for name, split in prepared.items()} == {
        name: len(split) for name, split in splits.items()
    }
    for split in prepared.values():
        assert max(len(ids) for ids in split[column]) <= LONGEST
    result = trainer.train()
    assert result.global_step == 1
    assert result.training_loss == result.training_loss  # a number


@pytest.mark.parametrize("name", ["sft", "sft-messages", "sft-text", "reasoning"])
def test_supervised(name: str, exports: dict[str, Written], fast: Any, tmp_path: Path) -> None:
    splits = load(exports[name], tmp_path)
    trainer = SFTTrainer(
        model=tiny.language_model(fast, tmp_path / "model"),
        args=SFTConfig(
            **options(tmp_path),
            max_length=LONGEST,
            assistant_only_loss=name == "sft-messages",
        ),
        train_dataset=splits["train"],
        eval_dataset={key: split for key, split in splits.items() if key != "train"},
        processing_class=fast,
    )
    assert_all_prepared(trainer, splits, "input_ids")
    if name == "reasoning":
        shown = [fast.decode(ids) for ids in trainer.train_dataset["input_ids"]]
        assert all("<think>" in text for text in shown)
    if name in ("sft", "sft-messages"):
        shown = [fast.decode(ids) for ids in trainer.train_dataset["input_ids"]]
        assert any('"arguments": {"order"' in text for text in shown), (
            "arguments reach the template as an object"
        )
        assert any("Tools: " in text for text in shown)


@pytest.mark.parametrize("name", ["preferences", "preferences-text"])
def test_preferences(name: str, exports: dict[str, Written], fast: Any, tmp_path: Path) -> None:
    splits = load(exports[name], tmp_path)
    trainer = DPOTrainer(
        model=tiny.language_model(fast, tmp_path / "model"),
        args=DPOConfig(**options(tmp_path), max_length=LONGEST),
        train_dataset=splits["train"],
        eval_dataset={key: split for key, split in splits.items() if key != "train"},
        processing_class=fast,
    )
    assert_all_prepared(trainer, splits, "chosen_ids")


@pytest.mark.parametrize("name", ["rewards", "rewards-text"])
def test_rewards(name: str, exports: dict[str, Written], fast: Any, tmp_path: Path) -> None:
    splits = load(exports[name], tmp_path)
    assert all(0 < margin <= 1 for margin in splits["train"]["margin"])
    scores = load(exports[name], tmp_path, "scores")
    assert all(1 <= score <= 10 for score in scores["train"]["score"])
    trainer = RewardTrainer(
        model=tiny.reward_model(fast),
        args=RewardConfig(**options(tmp_path), max_length=LONGEST),
        train_dataset=splits["train"],
        eval_dataset={key: split for key, split in splits.items() if key != "train"},
        processing_class=fast,
    )
    assert_all_prepared(trainer, splits, "chosen_ids")


@pytest.mark.parametrize("name", ["kto", "kto-text"])
def test_kto(name: str, exports: dict[str, Written], fast: Any, tmp_path: Path) -> None:
    splits = load(exports[name], tmp_path)
    assert set(splits["train"]["label"]) == {True, False}
    trainer = KTOTrainer(
        model=tiny.language_model(fast, tmp_path / "model"),
        args=KTOConfig(**options(tmp_path), max_length=LONGEST),
        train_dataset=splits["train"],
        eval_dataset={key: split for key, split in splits.items() if key != "train"},
        processing_class=fast,
    )
    assert_all_prepared(trainer, splits, "completion_ids")


@pytest.mark.parametrize("name", ["grpo", "grpo-text"])
def test_grpo(name: str, exports: dict[str, Written], fast: Any, tmp_path: Path) -> None:
    splits = load(exports[name], tmp_path)
    seen: list[str] = []

    def reward(completions: list[Any], ground_truth: list[str], **others: Any) -> list[float]:
        seen.extend(ground_truth)
        assert {"ability", "reference", "attempts"} <= set(others)
        return [float(place) for place, _ in enumerate(completions)]

    trainer = GRPOTrainer(
        model=tiny.language_model(fast, tmp_path / "model"),
        reward_funcs=reward,
        args=GRPOConfig(
            **options(tmp_path), num_generations=2, max_completion_length=4, max_prompt_length=None
        )
        if "max_prompt_length" in GRPOConfig.__dataclass_fields__
        else GRPOConfig(**options(tmp_path), num_generations=2, max_completion_length=4),
        train_dataset=splits["train"],
        processing_class=fast,
    )
    assert len(trainer.train_dataset) == splits["train"].num_rows
    for row in splits["train"]:  # the trainer renders prompts as it draws them: here all of them
        prompt = row["prompt"]
        if isinstance(prompt, list):
            prompt = fast.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
        assert 0 < len(fast(prompt)["input_ids"]) <= LONGEST
    assert trainer.train().global_step == 1
    assert all(truth.startswith("step ") for truth in seen)


def test_verl(exports: dict[str, Written], fast: Any, tmp_path: Path) -> None:
    """What verl's dataset does with each row: render the prompt, take the ground truth and the extras."""
    for name, split in load(exports["verl"], tmp_path).items():
        for index, row in enumerate(split):
            assert set(row) == {"data_source", "prompt", "ability", "reward_model", "extra_info"}
            assert fast.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
            assert row["reward_model"]["style"] in ("rule", "model")
            assert isinstance(row["reward_model"]["ground_truth"], str)
            assert row["reward_model"]["ground_truth"]
            assert (row["extra_info"]["split"], row["extra_info"]["index"]) == (name, index)


@pytest.mark.parametrize("name", ["openai-sft", "openai-dpo"])
def test_openai(name: str, exports: dict[str, Written], tmp_path: Path) -> None:
    splits = load(exports[name], tmp_path)
    validator = jsonschema.Draft202012Validator(SCHEMAS[name])
    for split, facts in exports[name].manifest["parts"]["default"]["splits"].items():
        lines = (exports[name].directory / facts["jsonl"]).read_text(encoding="utf-8").splitlines()
        assert len(lines) == splits[split].num_rows
        for line in lines:
            validator.validate(json.loads(line))


def test_atif(exports: dict[str, Written], tmp_path: Path) -> None:
    for split in load(exports["atif"], tmp_path).values():
        for row in split:
            document = Trajectory.model_validate_json(row["trajectory"])
            assert len(document.steps) == row["steps"]


def test_a_row_that_the_trainer_would_drop_is_noticed(
    exports: dict[str, Written], fast: Any, tmp_path: Path
) -> None:
    splits = load(exports["rewards"], tmp_path)
    longest = max(
        len(fast.apply_chat_template(row["prompt"] + row["chosen"], tokenize=True, return_dict=False))
        for row in splits["train"]
    )
    trainer = RewardTrainer(
        model=tiny.reward_model(fast),
        args=RewardConfig(**options(tmp_path), max_length=longest // 2),
        train_dataset=splits["train"],
        eval_dataset={key: split for key, split in splits.items() if key != "train"},
        processing_class=fast,
    )
    with pytest.raises(AssertionError):
        assert_all_prepared(trainer, splits, "chosen_ids")


def test_tokens_by_the_tokenizer_are_those_the_trainer_counts(
    state_directory: Path,
    exports: dict[str, Written],
    fast: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PIPELINE_DATA_DIR", str(state_directory))
    from pipeline.training.examples.records import Records
    from pipeline.warehouse.store import Warehouse

    records = Records(Warehouse(state_directory / "warehouse.duckdb"))
    counted = criteria("kto", tokenizer=str(state_directory / "bpe.json"), token_budget=LONGEST)
    written = export(records, counted, tmp_path / "counted")
    rows = load(written, tmp_path)["train"]
    entries = [entry for entry in written.manifest["rows"] if entry["split"] == "train"]
    for entry, row in zip(entries, rows, strict=True):
        tools = json.loads(row["tools"]) if row.get("tools") else None
        ids = fast.apply_chat_template(
            row["prompt"] + row["completion"], tools=tools, tokenize=True, return_dict=False
        )
        assert len(ids) <= entry["tokens"] + 64, "a template adds a few marks a message, and no more"
