"""English texts for simulated tasks.

What belongs here: vocabulary and templates. What does not: how agents behave (``arbiter``).
"""

from __future__ import annotations

import random

TASK_TYPES = {
    "bug_fix": "Users report that {thing} {trouble}. Find the cause, fix it with as small a change as you can, and add a test.",
    "feature": "Extend {thing} so that it {wish}. Keep the public interface as it is and describe the change.",
    "refactoring": "Split {thing} into smaller parts. Nothing that can be seen from outside may change.",
    "research": "Compare two ways to make sure that {thing} {wish}, and recommend one with reasons.",
    "documentation": "Write a page for newcomers that explains how {thing} {wish}.",
    "data_analysis": "Look at last month's figures of {thing} and explain why it {trouble}.",
}
THINGS = ("the export of reports", "the search page", "the nightly import", "the parser of the configuration",
          "the scheduler", "the cache of prices", "the sign-in form", "the queue of messages")  # fmt: skip
TROUBLES = ("stops half way through a long list", "shows the same row twice", "forgets what was chosen before",
            "takes a minute instead of a second", "fails when a name holds an accent")  # fmt: skip
WISHES = ("answers within a second", "keeps working while a disk is full", "tells people what went wrong",
          "reads files of several gigabytes", "can be undone")  # fmt: skip
SENTENCES = (
    "The change is small and stays within the module that owns the behaviour.",
    "The test fails before the change and passes after it, which is what was asked for.",
    "An error message names the file but not what the reader should do about it.",
    "Two helper functions could have been one, yet the names make their purpose clear.",
    "The agent read the surrounding code before it wrote anything.",
    "No other caller is touched, and the documentation says the same as the code.",
    "One edge case, the empty list, is handled but not tested.",
)
CODE = 'def {name}(rows):\n    """Rows in order."""\n    kept = []\n    for row in rows:\n        if row:\n            kept.append(row)\n    return kept\n'


def description(draw: random.Random, task_type: str) -> str:
    """What a task of this type asks for."""
    return TASK_TYPES[task_type].format(
        thing=draw.choice(THINGS), trouble=draw.choice(TROUBLES), wish=draw.choice(WISHES)
    )


def prose(draw: random.Random, length: int) -> str:
    """English sentences, ``length`` characters at least."""
    parts: list[str] = []
    while sum(map(len, parts)) < length:
        parts.append(draw.choice(SENTENCES) + " ")
    return "".join(parts).strip()
