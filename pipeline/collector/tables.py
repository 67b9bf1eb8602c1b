"""The tables of schema ``collector``: columns, units, bounds and keys.

What belongs here: one pandera model per table. What does not: how rows come about.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from pipeline.collector.records import STATUSES
from pipeline.warehouse.tables import Table, UtcInstant

RUN_STATES = ["complete", "incomplete"]


class Runs(pa.DataFrameModel):
    """A run (one model, dataset, split and configuration) in an hour in which it collected anything, as it stood when the hour ended."""

    hour: UtcInstant = pa.Field(description="start of the hour, UTC")
    run_id: pl.String = pa.Field(description="run_key and its generation")
    run_key: pl.String = pa.Field(description="hash of everything that decides the run's records")
    generation: pl.Int64 = pa.Field(ge=1, description="1, and one more each time the run was begun anew")
    model: pl.String = pa.Field(description="name in the collector's configuration")
    api_model_name: pl.String = pa.Field(nullable=True, description="name sent to the host")
    configuration: pl.String = pa.Field(
        description="what sets the run apart from the model's default, for example effort=high"
    )
    dataset: pl.String = pa.Field(description="dataset id")
    split: pl.String = pa.Field(description="split of the dataset")
    evaluator: pl.String = pa.Field(description="name@version")
    benchmark: pl.String = pa.Field(
        nullable=True, description="canonical benchmark, where the dataset declares one"
    )
    status: pl.String = pa.Field(
        isin=RUN_STATES, description="complete where every planned record was answered by the hour's end"
    )
    demo: pl.Boolean = pa.Field(description="limited to the first rows")
    synthetic: pl.Boolean = pa.Field(description="answered by a stub or simulator")
    started_at: UtcInstant = pa.Field(description="when the run began")
    planned: pl.Int64 = pa.Field(ge=0, description="records of the whole run")
    scored: pl.Int64 = pa.Field(ge=0, description="answers with a prediction")
    correct: pl.Int64 = pa.Field(ge=0, description="answers that score 1")
    wrong: pl.Int64 = pa.Field(ge=0, description="answers that score less, unparseable ones included")
    unparseable: pl.Int64 = pa.Field(ge=0, description="answers nothing could be read from; they score 0")
    unscored: pl.Int64 = pa.Field(ge=0, description="answers that are kept and not judged")
    failed_infrastructure: pl.Int64 = pa.Field(
        ge=0, description="requests that failed on the way; never scored"
    )
    failed_permanent: pl.Int64 = pa.Field(
        ge=0, description="requests the host refused for good; never scored"
    )
    cache_hits: pl.Int64 = pa.Field(ge=0, description="answers that came from the cache")
    performance: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata={"unit": "0-1"}, description="mean score of judged records"
    )
    prompt_tokens: pl.Int64 = pa.Field(ge=0, metadata={"unit": "tokens"}, description="sum over answers")
    completion_tokens: pl.Int64 = pa.Field(ge=0, metadata={"unit": "tokens"}, description="sum over answers")
    billed: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        metadata={"unit": "USD"},
        description="paid for this run; null where a price is not known",
    )
    replayed: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        metadata={"unit": "USD"},
        description="what answers from the cache had cost when they were bought",
    )
    avoided: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        metadata={"unit": "USD"},
        description="what asking again would have cost at the price of the day",
    )
    mean_latency_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "ms"}, description="mean over sent and answered records"
    )

    class Config:
        strict = True


class Records(pa.DataFrameModel):
    """One prompt and repetition of a run, in the hour it was committed; a record asked again has a row each time."""

    hour: UtcInstant = pa.Field(description="start of the hour, UTC")
    number: pl.Int64 = pa.Field(
        ge=1, description="number in the journal; of several rows of a record the highest counts"
    )
    run_id: pl.String = pa.Field(description="run in collector.runs")
    position: pl.Int64 = pa.Field(ge=1, description="row of the split, from 1")
    repetition: pl.Int64 = pa.Field(ge=0, description="repetition, from 0")
    model: pl.String = pa.Field(description="name in the collector's configuration")
    dataset: pl.String = pa.Field(description="dataset id")
    split: pl.String = pa.Field(description="split of the dataset")
    status: pl.String = pa.Field(isin=list(STATUSES), description="scored, unparseable, unscored or failed")
    completed_at: UtcInstant = pa.Field(description="when the record was complete")
    identifier: pl.String = pa.Field(description="the row's own name, else a hash of its prompt")
    cluster: pl.String = pa.Field(description="hash that rows with the same prompt share")
    ground_truth: pl.String = pa.Field(
        nullable=True, metadata={"long_text": True}, description="expected answer"
    )
    prediction: pl.String = pa.Field(
        nullable=True, metadata={"long_text": True}, description="what was read out of the answer"
    )
    score: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        metadata={"unit": "0-1"},
        description="score; null where nothing was judged",
    )
    prompt_tokens: pl.Int64 = pa.Field(
        nullable=True,
        ge=0,
        metadata={"unit": "tokens"},
        description="tokens of the prompt, cached ones included",
    )
    completion_tokens: pl.Int64 = pa.Field(
        nullable=True,
        ge=0,
        metadata={"unit": "tokens"},
        description="tokens of the answer, reasoning included",
    )
    cached_tokens: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "tokens"}, description="prompt tokens the host had cached"
    )
    reasoning_tokens: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "tokens"}, description="tokens of reasoning"
    )
    billed: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "USD"}, description="paid for this record now"
    )
    replayed: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        metadata={"unit": "USD"},
        description="what the answer had cost when it was bought, where it was reused",
    )
    avoided: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "USD"}, description="what asking again would have cost"
    )
    latency_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "ms"}, description="time of the last attempt"
    )
    attempts: pl.Int64 = pa.Field(ge=0, description="requests sent")
    finish_reason: pl.String = pa.Field(nullable=True, description="why the model stopped, as the host says")
    error_class: pl.String = pa.Field(nullable=True, description="kind of failure")
    error: pl.String = pa.Field(
        nullable=True, metadata={"long_text": True}, description="one sentence about the failure"
    )
    served_model: pl.String = pa.Field(nullable=True, description="model the host says it used")
    cache_hit: pl.Boolean = pa.Field(description="the answer came from the cache")
    evaluator: pl.String = pa.Field(description="name@version")
    synthetic: pl.Boolean = pa.Field(description="answered by a stub or simulator")

    class Config:
        strict = True


class RawOutputs(pa.DataFrameModel):
    """What was asked and what came back, word for word, in the hour it was committed."""

    hour: UtcInstant = pa.Field(description="start of the hour, UTC")
    number: pl.Int64 = pa.Field(ge=1, description="number in the journal, as in collector.records")
    run_id: pl.String = pa.Field(description="run in collector.runs")
    position: pl.Int64 = pa.Field(ge=1, description="row of the split, from 1")
    repetition: pl.Int64 = pa.Field(ge=0, description="repetition, from 0")
    prompt: pl.String = pa.Field(
        metadata={"long_text": True}, description="everything that was sent, as text"
    )
    raw_output: pl.String = pa.Field(metadata={"long_text": True}, description="the answer as it came")
    extra_fields: pl.String = pa.Field(
        nullable=True, metadata={"long_text": True}, description="JSON object of further fields of the reply"
    )
    synthetic: pl.Boolean = pa.Field(description="answered by a stub or simulator")

    class Config:
        strict = True


class RequestAttempts(pa.DataFrameModel):
    """One attempt to have a record answered, in the hour it began."""

    hour: UtcInstant = pa.Field(description="start of the hour, UTC")
    sequence: pl.Int64 = pa.Field(ge=1, description="number of the attempt in the journal")
    run_id: pl.String = pa.Field(description="run in collector.runs")
    position: pl.Int64 = pa.Field(ge=1, description="row of the split, from 1")
    repetition: pl.Int64 = pa.Field(ge=0, description="repetition, from 0")
    number: pl.Int64 = pa.Field(ge=1, description="attempt of its record, from 1")
    model: pl.String = pa.Field(description="name in the collector's configuration")
    started_at: UtcInstant = pa.Field(description="when it was sent")
    status: pl.Int64 = pa.Field(nullable=True, description="status code of the answer; null where none came")
    error_class: pl.String = pa.Field(nullable=True, description="kind of failure; null where it succeeded")
    latency_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "ms"}, description="time from sending to the last byte"
    )
    waited_seconds: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "s"}, description="time waited before it"
    )
    retry_after_seconds: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "s"}, description="what the host asked to wait"
    )
    bytes_received: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "bytes"}, description="size of the body"
    )
    synthetic: pl.Boolean = pa.Field(description="answered by a stub or simulator")

    class Config:
        strict = True


class CollectedScores(pa.DataFrameModel):
    """The newest complete run of a model, configuration, dataset, split and evaluator as at the hour's end, with its errors."""

    hour: UtcInstant = pa.Field(description="start of the hour, UTC")
    run_id: pl.String = pa.Field(description="run in collector.runs")
    model: pl.String = pa.Field(description="name in the collector's configuration")
    api_model_name: pl.String = pa.Field(nullable=True, description="name sent to the host")
    configuration: pl.String = pa.Field(
        description="what sets the run apart from the model's default, for example effort=high"
    )
    dataset: pl.String = pa.Field(description="dataset id")
    split: pl.String = pa.Field(description="split of the dataset")
    evaluator: pl.String = pa.Field(description="name@version; versions are not compared")
    benchmark: pl.String = pa.Field(
        nullable=True, description="canonical benchmark, where the dataset declares one"
    )
    benchmark_version: pl.String = pa.Field(
        nullable=True, description="version of the benchmark the dataset declares"
    )
    data_fingerprint: pl.String = pa.Field(
        description="SHA-256 of the data and of what turns it into prompts"
    )
    score: pl.Float64 = pa.Field(
        ge=0, le=100, metadata={"unit": "points 0-100"}, description="mean score of judged records"
    )
    standard_error: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        metadata={"unit": "points 0-100"},
        description="standard error, records taken as independent",
    )
    clustered_standard_error: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        metadata={"unit": "points 0-100"},
        description="standard error with records of one prompt as a cluster",
    )
    n: pl.Int64 = pa.Field(gt=0, description="judged records")
    prompts: pl.Int64 = pa.Field(gt=0, description="distinct rows")
    clusters: pl.Int64 = pa.Field(gt=0, description="distinct prompts")
    k: pl.Int64 = pa.Field(
        nullable=True, gt=0, description="repetitions every row has; null where scores are shares"
    )
    pass_at_1: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        metadata={"unit": "0-1"},
        description="unbiased probability that one sample is right",
    )
    pass_at_k: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        metadata={"unit": "0-1"},
        description="unbiased probability that one of k samples is right",
    )
    unparseable: pl.Int64 = pa.Field(ge=0, description="answers nothing could be read from")
    cost: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        metadata={"unit": "USD"},
        description="what the answers cost when they were bought",
    )
    mean_latency_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "ms"}, description="mean over answered records"
    )
    evaluated_at: pl.Date = pa.Field(description="day of the last record")
    demo: pl.Boolean = pa.Field(description="limited to the first rows; never enters rankings")
    synthetic: pl.Boolean = pa.Field(description="answered by a stub or simulator; never enters rankings")

    class Config:
        strict = True


RUNS = Table(
    "collector.runs", Runs, ("run_id",), "Runs that collected anything in the hour, as they stood at its end."
)
RECORDS = Table(
    "collector.records",
    Records,
    ("number",),
    "Records committed in the hour: scores, tokens, costs, failures.",
)
RAW_OUTPUTS = Table("collector.raw_outputs", RawOutputs, ("number",), "Prompts and answers word for word.")
REQUEST_ATTEMPTS = Table(
    "collector.request_attempts",
    RequestAttempts,
    ("sequence",),
    "Every attempt: status, waits, sizes, failures.",
)
COLLECTED_SCORES = Table(
    "collector.collected_scores",
    CollectedScores,
    ("run_id",),
    "Our own benchmark scores with their errors, as at the hour's end.",
)

TABLES = (RUNS, RECORDS, RAW_OUTPUTS, REQUEST_ATTEMPTS, COLLECTED_SCORES)
