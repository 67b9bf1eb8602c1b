"""What a configuration asks for, in words a person reads: ``pipeline collect info``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.collector.keys import what_merges
from pipeline.collector.pricing import prices_of
from pipeline.collector.rows import dataset_folders
from pipeline.collector.setup import look_at_data
from pipeline.settings.collector import CollectorSettings, load_collector
from pipeline.settings.datasets import Datasets, load_datasets


def describe(file: Path | None) -> dict[str, Any]:
    """Models, datasets of the run with the check of every row, all declared datasets, run, cache, merged
    requests.

    No secret is in it: keys are names of environment variables, and addresses hold no credentials.
    """
    settings, declarations = load_collector(file), load_datasets()
    return {
        "models": [_model(model) for model in settings.models],
        "datasets": _looked(settings, declarations),
        "declared": [
            {
                "dataset": name,
                "splits": ", ".join(declaration.splits),
                "evaluator": declaration.evaluator.name,
                "benchmark": declaration.benchmark,
                "licence": declaration.licence,
                "source": declaration.source,
            }
            for name, declaration in declarations.datasets.items()
        ],
        "folders": [str(folder) for folder in dataset_folders()],
        "run": settings.run.model_dump(mode="json"),
        "cache": {
            "enabled": settings.cache.enabled,
            "store": "mysql" if settings.cache.mysql else "url" if settings.cache.url else "sqlite",
            "ttl_seconds": settings.cache.options.ttl_seconds,
            "force_override_cache": settings.cache.force_override_cache,
            **settings.cache.conditions.model_dump(mode="json"),
        },
        "merges": what_merges(settings),
    }


def _model(model: Any) -> dict[str, Any]:
    prices = prices_of(model)
    return {
        "model": model.name,
        "sent as": model.api_model_name,
        "endpoint": model.endpoint,
        "generator": model.generator_type,
        "key from": model.api_key,
        "repetitions": model.repetitions,
        "price": "; ".join(f"{price.input}/{price.output} ({price.source})" for price in prices) or None,
    }


def _looked(settings: CollectorSettings, declarations: Datasets) -> list[dict[str, Any]]:
    rows = []
    for one in look_at_data(settings, declarations):
        notes = [str(problem) for problem in one.checked.problems[:3]] if one.checked else []
        rows.append(
            {
                "dataset": one.dataset,
                "split": one.split,
                "rows": one.checked.items if one.checked else None,
                "evaluator": one.reader.evaluator.full_name if one.reader else None,
                "fingerprint": one.checked.fingerprint[:12] if one.checked else None,
                "problem": one.problem or "; ".join(notes) or None,
            }
        )
    return rows
