"""The dataset card: YAML that ``datasets`` reads, and text for people.

What belongs here: the card. What does not: counting; every figure comes from the manifest.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml

from pipeline.settings.exports import Criteria
from pipeline.training.writing.formats import FORMATS

_TASKS = {
    "sft": "text-generation",
    "reasoning": "text-generation",
    "openai-sft": "text-generation",
    "grpo": "text-generation",
    "verl": "text-generation",
    "atif": "text-generation",
    "preferences": "text-generation",
    "openai-dpo": "text-generation",
    "kto": "text-generation",
    "rewards": "text-classification",
}

_HOW = {
    "sft": "Load with `datasets.load_dataset(DIR)` and give it to TRL's `SFTTrainer`. With `prompt` and `completion` the "
    "loss covers the completion only; with `messages`, set `assistant_only_loss=True`.",
    "reasoning": "Give it to TRL's `SFTTrainer` with a chat template that renders `reasoning_content`.",
    "preferences": "Give it to TRL's `DPOTrainer`. `margin` (0-1) is not used by it and may be dropped.",
    "rewards": "The default configuration is pairs with margins for TRL's `RewardTrainer`; the configuration `scores` holds "
    "`(prompt, completion, score)`, which no TRL trainer takes.",
    "kto": "Give it to TRL's `KTOTrainer`.",
    "grpo": "Give it to TRL's `GRPOTrainer`; its reward functions get every other column by name.",
    "verl": "Name the Parquet files as `data.train_files` and `data.val_files`; the reward function gets `data_source`, "
    "`reward_model.ground_truth` and `extra_info`.",
    "openai-sft": "Upload `jsonl/train.jsonl` (and `jsonl/validation.jsonl`).",
    "openai-dpo": "Upload `jsonl/train.jsonl` (and `jsonl/validation.jsonl`).",
    "atif": "Each line of `jsonl/*.jsonl` is one ATIF document; the Parquet files hold it as text in `trajectory`.",
}


def card(criteria: Criteria, manifest: dict[str, Any]) -> str:
    """README.md: front matter and text."""
    front = yaml.safe_dump(_front(criteria, manifest), sort_keys=False, allow_unicode=True, width=110)
    return f"---\n{front}---\n\n{_text(criteria, manifest)}"


def _front(criteria: Criteria, manifest: dict[str, Any]) -> dict[str, Any]:
    configurations, information = [], []
    for place, part in enumerate(FORMATS[criteria.kind]):
        found = manifest["parts"][part.name]
        if not found["splits"]:
            continue
        configurations.append(
            {
                "config_name": part.name,
                **({"default": True} if place == 0 else {}),
                "data_files": [
                    {"split": split, "path": f"{part.folder}/{split}-*.parquet"} for split in found["splits"]
                ],
            }
        )
        information.append(
            {
                "config_name": part.name,
                "features": found["features"],
                "splits": [
                    {"name": split, "num_bytes": facts["bytes"], "num_examples": facts["rows"]}
                    for split, facts in found["splits"].items()
                ],
            }
        )
    return {
        "license": criteria.licence,
        "task_categories": [_TASKS[criteria.kind]],
        "tags": [criteria.kind, "model-pipeline"],
        "size_categories": [_size(manifest["counts"]["rows"])],
        "configs": configurations,
        "dataset_info": information,
    }


def _size(rows: int) -> str:
    for bound, name in (
        (1_000, "n<1K"),
        (10_000, "1K<n<10K"),
        (100_000, "10K<n<100K"),
        (1_000_000, "100K<n<1M"),
    ):
        if rows < bound:
            return name
    return "1M<n<10M"


def _text(criteria: Criteria, manifest: dict[str, Any]) -> str:
    counts, data = manifest["counts"], manifest["data"]
    rules = Counter(row["rule"] for row in manifest["rows"])
    sources = Counter(row["source"] for row in manifest["rows"])
    acted = manifest["privacy"]["acted_on"]
    return f"""# {criteria.kind}: {counts["rows"]:,} rows

{criteria.description}

{_HOW[criteria.kind]} The longest row is estimated at {max(row["tokens"] for row in manifest["rows"]):,} tokens; give the
trainer a maximum length that holds it, since trainers cut or drop longer rows silently.

## Where the rows are from

Records of agent runs from {data["oldest"]} to {data["newest"]}, by application: {_listed(sources)}.
Why a row is here: {_listed(rules)}. `manifest.json` names the events behind every row.

{_splits(manifest)}

Rows that share a prompt, a session or a lineage are in one split.

## What was left out

Of {counts["artifacts"]:,} artifacts {counts["candidates"]:,} candidates were made, of these {counts["examples"]:,} examples, of
these {counts["rows"]:,} rows.

{_reasons("artifacts, pairs and candidates", counts["refused"])}

{_reasons("examples", counts["dropped"])}

## What to know before training

- Scores are what evaluators gave, on 1-10; they were not checked for agreement. A high score is no proof of truth.
- Private data and secrets were looked for in every row by pattern ({len(manifest["detectors"])} rules) and replaced by typed
  placeholders: {_listed(Counter(acted)) if acted else "nothing was found here"}. What was replaced when the runs were recorded
  is in the rows as placeholders and not counted here. Names of persons and street addresses are not found.
- Nothing was cut. Rows over {criteria.token_budget:,} tokens were {"split by turns or " if criteria.over_budget == "split" else ""}left out and are counted above.
- {"Rows of simulators are among these." if criteria.include_synthetic else "Rows of simulators and stubs are left out."}
- The licence above is the exporter's word; texts written by a model may be bound by its maker's terms.
"""


def _splits(manifest: dict[str, Any]) -> str:
    lines = ["| configuration | split | rows |", "|---|---|---|"]
    for name, part in manifest["parts"].items():
        lines += [f"| {name} | {split} | {facts['rows']:,} |" for split, facts in part["splits"].items()]
    return "\n".join(lines)


def _reasons(what: str, counts: dict[str, int]) -> str:
    if not counts:
        return f"No {what} were left out."
    lines = [f"| {what} left out | count |", "|---|---|"]
    lines += [f"| {reason.replace('|', '/')} | {count:,} |" for reason, count in counts.items()]
    return "\n".join(lines)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common(12))
