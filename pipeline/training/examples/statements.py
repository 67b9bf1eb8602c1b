"""The SQL that examples are read with: narrow rows first, texts only of what was chosen.

What belongs here: statements over the tables of schema ``training``. What does not: when they run
(``records``). Table names come from code (``{attempts}`` is a table or an empty stand-in), values are bound
or registered.
"""

from __future__ import annotations

# A record that was recorded twice counts once: its first event wins.
FIRST = "QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY happened_at, event_id) = 1"

ARTIFACTS = f"""
WITH artifact AS (
  SELECT artifact_id, rollout_id, attempt_id, session_id, event_id, happened_at, source, synthetic, content_format
  FROM {{artifacts}} WHERE hour < $until {FIRST.format(key="artifact_id")}
), attempt AS (
  SELECT attempt_id, rollout_id, number, event_id, synthetic, metadata, status,
    md5(prompt) AS seen,
    md5(concat_ws(chr(31), user_need, constraints, test_input, context_documents)) AS asked,
    prompt <> '[]' AS has_prompt,
    user_need <> '' OR test_input <> '' AS has_need
  FROM {{attempts}} WHERE hour < $until {FIRST.format(key="attempt_id")}
), last_attempt AS (
  SELECT rollout_id, arg_max(attempt_id, number) AS attempt_id FROM attempt GROUP BY rollout_id
), rollout AS (
  SELECT rollout_id, lineage_id, agent_id, cycle, event_id
  FROM {{rollouts}} WHERE hour < $until {FIRST.format(key="rollout_id")}
), agent AS (
  SELECT agent_id, coalesce(name, model, agent_id) || ' v' || version AS agent_version, model,
    coalesce(name, model, agent_id) AS agent_name, version, system_prompt_hash, tools_hash, event_id
  FROM {{agent_definitions}} WHERE hour < $until {FIRST.format(key="agent_id")}
), session AS (
  SELECT session_id, context, event_id, synthetic
  FROM {{sessions}} WHERE hour < $until {FIRST.format(key="session_id")}
), evaluation AS (
  SELECT artifact_id, score, event_id, synthetic
  FROM {{evaluations}}
  WHERE hour < $until AND score IS NOT NULL AND list_contains($evaluators, evaluator_kind)
    AND ($synthetic OR NOT synthetic) {FIRST.format(key="evaluation_id")}
), scored AS (
  SELECT artifact_id, avg(score) AS score, list(event_id ORDER BY event_id) AS events
  FROM evaluation GROUP BY artifact_id
)
SELECT a.artifact_id, t.attempt_id, a.session_id, r.lineage_id, r.cycle, a.happened_at AS "at", a.source, a.content_format,
  a.synthetic OR coalesce(t.synthetic, false) OR coalesce(s.synthetic, false) AS synthetic,
  g.agent_version, g.agent_name, g.version AS agent_number, g.model, g.system_prompt_hash, g.tools_hash,
  CASE WHEN t.has_need THEN t.asked ELSE t.seen END AS ask,
  CASE WHEN t.has_prompt THEN t.seen ELSE md5(concat_ws(chr(31), t.asked, g.system_prompt_hash)) END AS prompt_key,
  coalesce(json_extract_string(t.metadata, '$.task_type'), json_extract_string(s.context, '$.task_type')) AS task_type,
  coalesce(json_extract_string(t.metadata, '$.complexity'), json_extract_string(s.context, '$.complexity'))
    AS complexity,
  coalesce(json_extract_string(t.metadata, '$.compliant'), json_extract_string(s.context, '$.compliant')) = 'true'
    AS compliant,
  e.score,
  list_filter(list_concat([a.event_id, t.event_id, r.event_id, g.event_id, s.event_id], coalesce(e.events, [])),
    lambda event: event IS NOT NULL) AS events,
  md5($seed || a.artifact_id) AS draw
FROM artifact a
LEFT JOIN rollout r USING (rollout_id)
LEFT JOIN last_attempt l ON l.rollout_id = a.rollout_id
LEFT JOIN attempt t ON t.attempt_id = coalesce(a.attempt_id, l.attempt_id)
LEFT JOIN agent g ON g.agent_id = r.agent_id
LEFT JOIN session s ON s.session_id = a.session_id
LEFT JOIN scored e ON e.artifact_id = a.artifact_id
"""
"""One row per artifact with its score (mean, 1-10), agent, task, and the events it rests on; no texts."""

COMPARISONS = f"""
SELECT evaluation_id, event_id, ranking, preference
FROM {{evaluations}}
WHERE hour < $until AND ranking <> '[]' AND list_contains($evaluators, evaluator_kind)
  AND ($synthetic OR NOT synthetic) {FIRST.format(key="evaluation_id")}
ORDER BY happened_at, event_id
"""
"""Every comparison, oldest first."""

LOCKS = f"""
SELECT lineage_id, session_id, cycle, locked, happened_at AS "at", event_id
FROM {{lineage_locks}} WHERE hour < $until AND ($synthetic OR NOT synthetic) {FIRST.format(key="event_id")}
ORDER BY happened_at, event_id
"""
"""Every lock and release, oldest first."""

OUTPUTS = f"""
SELECT artifact_id, content, content_format FROM {{artifacts}}
WHERE artifact_id IN (SELECT id FROM wanted) AND hour < $until {FIRST.format(key="artifact_id")}
"""
"""What chosen artifacts say."""

INPUTS = f"""
SELECT attempt_id, user_need, constraints, test_input, context_documents, prompt, metadata, started_at,
  input_tokens, output_tokens, cost_usd, status
FROM {{attempts}}
WHERE attempt_id IN (SELECT id FROM wanted) AND hour < $until {FIRST.format(key="attempt_id")}
"""
"""What chosen attempts were asked."""

CONTENTS = """
SELECT hash, first(text ORDER BY happened_at, event_id) AS text FROM {contents}
WHERE hash IN (SELECT id FROM wanted) AND hour < $until GROUP BY hash
"""
"""Stored contents by hash."""

SPANS = f"""
SELECT attempt_id, span_id, continues_span_id, parent_span_id, kind, name, position, model, input_messages,
  output_messages, tool_call_id, arguments, result, error, status, started_at, input_tokens, output_tokens,
  cost_usd, event_id
FROM {{execution_spans}}
WHERE attempt_id IN (SELECT id FROM wanted) AND hour < $until {FIRST.format(key="span_id")}
ORDER BY attempt_id, position, span_id
"""
"""The steps of chosen attempts, in order."""

STATE = """
SELECT table_name, hour, row_count, content_hash FROM ledger.hours
WHERE starts_with(table_name, 'training.') AND hour < $until ORDER BY ALL
"""
"""What the ledger says of every hour of the domain: the state that an export was made from."""
