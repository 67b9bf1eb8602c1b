"""inspect_ai on the benchmark's chats, run by the Python of an environment of its own.

    python peer_inspect.py PORT CHATS CONCURRENCY FOLDER

Prints {"cold": samples a second of a whole evaluation with its log, "warm": the same again, answered by its cache}.
Stands alone: nothing of this project is imported.
"""

import json
import os
import sys
import time


def evaluated(port: int, chats: int, concurrency: int, folder: str, first: int = 1) -> float:
    """Samples a second."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate

    samples = [
        Sample(input=f"What is {number} + 1?", target=str(number + 1))
        for number in range(first, first + chats)
    ]
    model = get_model(
        "openai/adder",
        base_url=f"http://127.0.0.1:{port}/v1",
        api_key="none",
        responses_api=False,
        config=GenerateConfig(max_connections=concurrency, max_tokens=16),
    )
    task = Task(dataset=MemoryDataset(samples), solver=generate(cache=True), scorer=includes())
    began = time.perf_counter()
    (log,) = eval(
        task,
        model=model,
        log_dir=f"{folder}/logs",
        display="none",
        log_level="error",
        max_samples=concurrency,
    )
    seconds = time.perf_counter() - began
    assert log.status == "success" and log.results is not None, log.error
    assert log.results.completed_samples == chats
    return chats / seconds


if __name__ == "__main__":
    port_, chats_, concurrency_ = map(int, sys.argv[1:4])
    os.environ["INSPECT_CACHE_DIR"] = f"{sys.argv[4]}/cache"
    evaluated(port_, 20, concurrency_, sys.argv[4], 10_000_000)  # what is imported once is not measured
    cold = evaluated(port_, chats_, concurrency_, sys.argv[4])
    warm = evaluated(port_, chats_, concurrency_, sys.argv[4])
    print(json.dumps({"cold": cold, "warm": warm}))
