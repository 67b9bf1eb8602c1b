"""What happens inside an agent system, recorded without slowing or endangering it.

What belongs here: event types, the recorder, its spool of segments, interceptors. What does not: loading
segments into tables (``pipeline.telemetry``). This package lives in other people's processes: it imports
neither dagster, duckdb, polars, pandera nor pydantic.
"""

from __future__ import annotations
