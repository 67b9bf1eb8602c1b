"""tau-bench result files: a list of {task_id, trial, reward, info, traj}.

A task is a session, a trial a rollout of its one lineage. ``traj`` are chat messages; the prompt is the
policy and the user's first message, the artifact everything after. ``reward`` (0 to 1) becomes a score
of 1 + 9 x reward. The file names no model: the agent is called after the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.capture.signals import AttemptFinished, EvaluationGiven
from pipeline.errors import InputError
from pipeline.training.importing.conversations import as_message, conversation_spans, split_prompt
from pipeline.training.importing.signalling import (
    Item,
    Malformed,
    Product,
    Read,
    Tree,
    add_run,
    conversation_text,
    expect,
    identifier,
    read_json,
)


def read(path: Path) -> Read:
    """An item per trial."""
    try:
        results = expect(read_json(path), list, f"{path.name}: the document")
    except InputError as error:
        yield Malformed(path.name, str(error))
        return
    for position, result in enumerate(results):
        where = f"{path.name}[{position}]"
        try:
            yield Item(where, _signals(result, path.stem))
        except InputError as error:
            yield Malformed(where, str(error))


def _signals(result: Any, agent_name: str) -> list[Any]:
    result = expect(result, dict, "The entry")
    raw = expect(result.get("traj"), list, "traj")
    messages = [as_message(message, f"traj[{i}]") for i, message in enumerate(raw)]
    prompt, answer = split_prompt(messages)
    reward = _reward(result)
    info = expect(result.get("info") or {}, dict, "info")
    task = expect(info.get("task") or {}, dict, "info.task")
    need = expect(task.get("instruction") or prompt[-1].content, str, "info.task.instruction")
    policy = "\n".join(message.content for message in prompt if message.role == "system")
    task_id = expect(result.get("task_id"), (int, str), "task_id")
    trial = expect(result.get("trial", 0), (int, str), "trial")

    tree = Tree(identifier("tau-bench", policy, task_id, need))
    tree.begin(need, context={"task_id": task_id})
    lineage_id, agent_id = tree.agent(agent_name, system_prompt=policy)
    rollout_id = tree.rollout(lineage_id, agent_id, run=trial)
    attempt = AttemptFinished(
        attempt_id=identifier("attempt", rollout_id, 1),
        rollout_id=rollout_id,
        user_need=need,
        prompt=prompt,
        status="success" if reward == 1 else "failure",
        metadata={
            "task": task,
            "reward_info": info.get("reward_info"),
            "user_cost_usd": info.get("user_cost"),
        },
    )
    spans = conversation_spans(attempt.attempt_id, messages)
    (artifact_id,) = add_run(
        tree, attempt, spans, [Product(conversation_text(answer), "messages", "conversation")]
    )
    tree.add(_verdict(artifact_id, reward))
    return tree.signals


def _reward(result: dict[str, Any]) -> float:
    reward = float(expect(result.get("reward"), (int, float), "reward"))
    if not 0 <= reward <= 1:
        raise InputError(f"reward is {reward} and 0 to 1 is allowed; mend or remove the entry.")
    return reward


def _verdict(artifact_id: str, reward: float) -> EvaluationGiven:
    return EvaluationGiven(
        evaluation_id=identifier("evaluation", artifact_id, "tau-bench"),
        artifact_id=artifact_id,
        cycle=1,
        score=1 + 9 * reward,
        raw_score=reward,
        raw_scale="0-1",
        evaluator="tau-bench",
        evaluator_kind="program",
    )
