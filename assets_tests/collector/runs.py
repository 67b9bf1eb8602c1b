"""What the runner's tests share: a small dataset, a model without a host, an asker that answers from a
table."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.collector.answers import Answer, Attempted
from pipeline.collector.costing import Price
from pipeline.collector.datasets import Item, SplitReader
from pipeline.collector.journal import Journal
from pipeline.collector.planning import ModelPlan, Plan, make_plan
from pipeline.collector.running import Job
from pipeline.settings.datasets import Dataset

BOUGHT = datetime(2026, 3, 1, tzinfo=UTC)


def sums(place: Path, rows: int, **changes: Any) -> SplitReader:
    """A dataset of ``rows`` sums, "1 + 1" and so on; ``changes`` replace parts of its declaration."""
    file = place / "sums.jsonl"
    place.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"a": number, "answer": number + 1}) for number in range(1, rows + 1))
    file.write_text("\n".join(lines), encoding="utf-8")
    declaration: dict[str, Any] = {
        "licence": "Apache-2.0",
        "source": "made by a test",
        "splits": {"test": {"files": [str(file)]}},
        "prompt": "{{ a }} + 1",
        "target": "{{ answer }}",
        "evaluator": {"name": "number"},
        **changes,
    }
    return SplitReader("sums", "test", Dataset.model_validate(declaration))


def model(name: str = "adder", **changes: Any) -> ModelPlan:
    parts: dict[str, Any] = {
        "name": name,
        "api_model_name": f"maker/{name}",
        "settings": None,
        "identity": {"model": name},
        "prices": (Price(input=1.0, output=2.0),),
        "maximum_tokens": 10,
        **changes,
    }
    return ModelPlan(**parts)


def plan(
    reader: SplitReader,
    journal: Journal,
    *,
    of: ModelPlan | None = None,
    repetitions: int = 1,
    limit: int | None = None,
    overwrite: bool = False,
) -> Plan:
    return make_plan(
        of or model(),
        reader,
        reader.check(limit),
        journal,
        repetitions=repetitions,
        limit=limit,
        overwrite=overwrite,
        synthetic=False,
    )


def right(item: Item) -> Answer:
    """The correct sum, bought now for 10 and 5 tokens."""
    attempt = Attempted(1_000_000, 200, None, 20.0, 0.0, None, 300)
    return Answer(
        text=f"#### {item.index + 1}",
        prompt_tokens=10,
        completion_tokens=5,
        cached_tokens=0,
        reasoning_tokens=0,
        latency_ms=20.0,
        finish_reason="stop",
        served_model="adder-1",
        attempts=(attempt,),
    )


@dataclass
class TableAsker:
    """Answers with ``answer`` after ``seconds``; remembers what was asked and how many at once."""

    answer: Callable[[Item], Answer] = right
    seconds: float = 0.0
    cached: frozenset[int] = frozenset()
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    after: Callable[[int], None] = lambda _: None

    async def ask(self, model: ModelPlan, item: Item, repetition: int) -> Answer:
        self.asked.append((model.name, item.index, repetition))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.seconds)
        self.under_way -= 1
        self.after(len(self.asked))
        return self.answer(item)

    async def look_up(self, model: ModelPlan, jobs: Sequence[Job]) -> list[Answer | None]:
        await asyncio.sleep(self.seconds)
        return [self.answer(item) if item.index in self.cached else None for item, _ in jobs]
