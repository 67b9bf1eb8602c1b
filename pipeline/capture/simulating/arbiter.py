"""The simulated arbiter: an epsilon-greedy router, agents with tools, an evaluator.

What belongs here: how tasks run. What does not: their texts (``words``). Everything follows from the seed,
durations too, which a simulated stopwatch gives: the events' own ids and instants aside, two runs of a seed
record the same.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from pipeline.capture.interceptors import wrap_evaluator, wrap_executor, wrap_router
from pipeline.capture.recorder import Recorder
from pipeline.capture.simulating.words import CODE, TASK_TYPES, description, prose

AGENTS = {"careful-1": 0.86, "careful-2": 0.9, "quick-1": 0.68, "quick-2": 0.74, "novice-1": 0.5}
"""Skill of each agent: the share of standard tasks that it does well at the first attempt."""

EXPLORATION = 0.2
_HARDER = {"trivial": 0.1, "standard": 0.0, "complex": -0.25}
_ATTEMPTS = 3


class ToolFailed(Exception):
    """A simulated tool did not work."""


class Arbiter:
    """Runs simulated tasks through the recorder's interceptors."""

    def __init__(self, recorder: Recorder, seed: int) -> None:
        self._recorder, self._draw, self._seed = recorder, random.Random(seed), seed
        self._rewards: dict[tuple[str, str], list[float]] = {}
        self._elapsed = 0.0
        recorder.stopwatch = lambda: self._elapsed
        self._route = wrap_router(recorder, self.route)
        self._execute = wrap_executor(recorder, self.execute)
        self._evaluate = wrap_evaluator(recorder, self.evaluate)
        self._tools = {tool.__name__: recorder.tool(tool) for tool in (self.read_file, self.run_tests)}

    def run(self, number: int) -> None:
        """One task from its arrival to its evaluation, with up to three attempts."""
        draw = self._draw
        task_type = draw.choice(sorted(TASK_TYPES))
        complexity = draw.choices(("trivial", "standard", "complex"), (3, 5, 2))[0]
        task = {
            "task_id": f"task-{self._seed}-{number}",
            "task_type": task_type,
            "complexity": complexity,
            "description": description(draw, task_type),
            "requirements": draw.sample(["python", "sql", "testing", "writing"], 2),
        }
        self._recorder.expect_tasks()
        agent = self._route(task)["selected_agent"]
        for attempt in range(1, _ATTEMPTS + 1):
            execution_id = f"{task['task_id']}-{attempt}"
            try:
                self._execute(task, agent=agent, attempt=attempt, execution_id=execution_id)
                break
            except (ToolFailed, TimeoutError):
                if attempt == _ATTEMPTS:
                    return
        verdict = self._evaluate(task, agent=agent, execution_id=execution_id)
        self._rewards.setdefault((agent, task_type), []).append(verdict["overall_score"])
        if self._recorder.sampled(str(task["task_id"]), "deep_analysis"):
            self._analyse(task, agent, execution_id)

    def route(self, task: dict[str, Any]) -> dict[str, Any]:
        """Epsilon-greedy over the mean reward so far, with the propensity of what was chosen."""
        self._take(0.02)
        means = {name: self._mean(name, task["task_type"]) for name in AGENTS}
        best = max(means, key=lambda name: means[name])
        explored = self._draw.random() < EXPLORATION
        chosen = self._draw.choice(sorted(AGENTS)) if explored else best
        share = EXPLORATION / len(AGENTS)
        return {
            "selected_agent": chosen,
            "candidates": [
                {"agent": name, "score": score, "reason": f"mean reward so far on {task['task_type']}"}
                for name, score in means.items()
            ],
            "strategy": "epsilon_greedy",
            "confidence": means[best],
            "propensity": share + (1 - EXPLORATION) * (chosen == best),
            "explored": explored,
            "rationale": f"{best} leads on {task['task_type']}; one task in five is given to chance.",
        }

    def _take(self, seconds: float) -> None:
        """Let simulated time pass: log-normal around ``seconds``."""
        self._elapsed += seconds * self._draw.lognormvariate(0, 0.5)

    def _mean(self, agent: str, task_type: str) -> float:
        rewards = self._rewards.get((agent, task_type), [])
        return (0.5 + sum(rewards)) / (1 + len(rewards))

    def execute(self, task: dict[str, Any], agent: str, attempt: int, execution_id: str) -> dict[str, Any]:
        """The agent's work: some tool calls and an output; fails as often as its skill lets it."""
        self._take(1.0)
        for _ in range(self._draw.randint(1, 4)):
            self._tools["read_file"](f"source/{self._draw.choice(('parser', 'cache', 'report'))}.py")
        if self._draw.random() > AGENTS[agent] + _HARDER[task["complexity"]] + 0.1 * attempt:
            raise self._draw.choice(
                [TimeoutError("the model did not answer in time"), ToolFailed("the tests do not run")]
            )
        self._tools["run_tests"]("all")
        self._take(2.0)
        size = self._draw.randint(200, 1500)
        return {
            "success": True,
            "output": prose(self._draw, size),
            "tokens": {"input": size * 4, "output": size // 4, "tool": size // 2, "reasoning": size // 8},
            "cost_usd": round(size * 0.000012, 6),
        }

    def read_file(self, path: str) -> str:
        """A simulated tool."""
        self._take(0.05)
        return CODE.format(name=path.rsplit("/", 1)[-1][:-3])

    def run_tests(self, selection: str) -> dict[str, int]:
        """A simulated tool."""
        self._take(0.8)
        return {"passed": self._draw.randint(10, 90), "failed": 0 if selection == "all" else 1}

    def evaluate(self, task: dict[str, Any], agent: str, execution_id: str) -> dict[str, Any]:
        """Gates, rubric and reasoning; one in ten is as long as the largest real ones (10 to 20 KB)."""
        draw = self._draw
        self._take(0.5)
        score = min(1.0, max(0.0, draw.gauss(AGENTS[agent] + _HARDER[task["complexity"]] / 2, 0.12)))
        long = draw.random() < 0.1
        return {
            "overall_score": score,
            "evaluator": "simulated-judge",
            "compliant": score >= 0.5,
            "quality_gates": [
                {"name": name, "passed": draw.random() < score + 0.2, "score": score, "threshold": 0.5}
                for name in ("tests", "lint", "types", "budget")
            ],
            "rubric": {
                name: min(1.0, max(0.0, draw.gauss(score, 0.05)))
                for name in ("format", "tool", "task", "minimal", "cost", "safety")
            },
            "minimal_diff": {
                "files_changed": draw.randint(1, 4),
                "lines_added": draw.randint(1, 80),
                "similarity": draw.random(),
            },
            "turn_rewards": [
                {"turn": turn, "reward": draw.random()} for turn in range(1, draw.randint(2, 5))
            ],
            "budget": {
                "lines_limit": 100,
                "lines_used": draw.randint(5, 110),
                "tokens_limit": 20_000,
                "tokens_used": 9000,
            },
            "feedback": prose(draw, draw.randint(10_000, 18_000) if long else 300),
            "judge_reasoning": prose(draw, 600),
        }

    def _analyse(self, task: dict[str, Any], agent: str, execution_id: str) -> None:
        draw = self._draw
        self._recorder.deep_analysis(
            str(task["task_id"]),
            execution_id=execution_id,
            agent=agent,
            conversation=[
                {"role": "user", "content": task["description"]},
                {"role": "assistant", "content": prose(draw, 2000), "reasoning_content": prose(draw, 500)},
            ],
            language="python",
            code_before=CODE.format(name="rows"),
            code_after='def rows(rows):\n    """Rows in order."""\n    return [row for row in rows if row]\n',
            judge_reasoning=prose(draw, 500),
            self_reflection=prose(draw, 300),
        )


def simulate(
    recorder: Recorder,
    tasks: int,
    seed: int,
    *,
    rate: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Run so many tasks; ``rate`` limits tasks per second, ``progress`` is told each finished number."""
    arbiter = Arbiter(recorder, seed)
    begun = time.monotonic()
    for number in range(1, tasks + 1):
        arbiter.run(number)
        if progress is not None:
            progress(number)
        if rate:
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
