"""The most a run may cost: what was billed, what is under way, and whether one more request fits."""

from __future__ import annotations

import asyncio

ASSUMED_COMPLETION_TOKENS = 4_096
"""Completion tokens reserved for a request that sets no max_tokens, unless longer ones were seen."""


class Budget:
    """Reserves the most each request may cost before it is sent, so that ``limit`` (USD) is not passed."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.spent = 0.0
        self.reserved = 0.0
        self.longest_completion = ASSUMED_COMPLETION_TOKENS
        self._changed = asyncio.Event()

    async def reserve(self, amount: float) -> bool:
        """Wait until ``amount`` fits; False where it will not fit however what is under way ends."""
        if self.limit is None:
            return True
        while self.spent + self.reserved + amount > self.limit:
            if self.reserved <= 1e-12:
                return False
            self._changed.clear()
            await self._changed.wait()
        self.reserved += amount
        return True

    def settle(self, reserved: float, billed: float, completion_tokens: int | None) -> None:
        """A request ended: give back what was reserved and count what was, or may have been, billed."""
        if self.limit is None:
            return
        self.reserved = max(0.0, self.reserved - reserved)
        self.spent += billed
        self.longest_completion = max(self.longest_completion, completion_tokens or 0)
        self._changed.set()
