"""Where a model's price comes from: its entry of the configuration, else the catalogue.

What belongs here: looking prices up. What does not: what an answer costs (``costing``).

The catalogue is the published ``models.json``, or the shipped one before anything was published. A model is
found there by one of its names exactly, case aside, with or without the host's prefix; similarity decides
nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.collector.costing import Price
from pipeline.documents import parse_json, read_bytes
from pipeline.settings.collector import ModelSettings
from pipeline.settings.places import data_directory, input_directory

PER_THOUSAND = 1_000
"""From USD per 1,000 tokens to USD per million."""


def prices_of(model: ModelSettings) -> tuple[Price, ...]:
    """The model's dated prices; empty where none is known."""
    if model.pricing:
        return tuple(
            Price(entry.input, entry.output, entry.cached_input, entry.reasoning, since=entry.since)
            for entry in model.pricing
        )
    catalogue = _catalogue()
    for name in (model.api_model_name, model.name):
        found = catalogue.get(name.lower(), catalogue.get(name.lower().rpartition("/")[2]))
        if found is not None:
            return (found,)
    return ()


def _catalogue() -> Mapping[str, Price | None]:
    for path in (data_directory() / "published" / "models.json", input_directory() / "models.json"):
        if path.is_file():
            return _read(path, path.stat().st_mtime_ns)
    return {}


@functools.lru_cache(maxsize=4)
def _read(path: Path, _: int) -> Mapping[str, Price | None]:
    """Names to prices; a name of two models with different prices stands for none."""
    found: dict[str, Price | None] = {}
    document = parse_json(read_bytes(path), path.name)
    models = document.get("models", []) if isinstance(document, dict) else []
    for model in models if isinstance(models, list) else []:
        facts = model.get("static_data") or model
        price = _price(facts)
        if price is None:
            continue
        for name in _names(model, facts):
            if name in found and found[name] != price:
                found[name] = None
            else:
                found[name] = price
    return found


def _price(facts: Mapping[str, Any]) -> Price | None:
    into, out = facts.get("cost_in_per_1k"), facts.get("cost_out_per_1k")
    if not isinstance(into, int | float) or not isinstance(out, int | float):
        return None
    return Price(into * PER_THOUSAND, out * PER_THOUSAND, source="catalogue")


def _names(model: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    names = [model.get("model_id"), model.get("id"), facts.get("api_alias"), *(facts.get("aliases") or [])]
    for name in {str(name).lower() for name in names if name}:
        yield from {name, name.rpartition("/")[2]}
