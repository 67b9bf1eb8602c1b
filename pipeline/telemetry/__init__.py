"""What agents did, as tables: events loaded hour by hour, each once in effect, and joined per task.

What belongs here: archiving closed segments, reading them back, projecting events into tables, the
conservation law, data points. What does not: writing events (``pipeline.capture``), training records
(``pipeline.training``, which reads the same archive through ``archive.read_events``).
"""

from __future__ import annotations
