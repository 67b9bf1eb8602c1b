"""``configs/collector.yaml``: which models are asked, on which datasets, how fast, at what price, and the
cache.

What belongs here: the file's models and what makes an entry impossible. What does not: datasets themselves
(``pipeline.settings.datasets``), the cache (``collector_cache``), and values of keys: a setting names the
environment variable that holds one.
"""

from __future__ import annotations

import datetime
import os
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from pipeline.errors import ConfigurationError
from pipeline.settings.addresses import is_secret_name, url_carries_credentials
from pipeline.settings.collector_cache import CacheSettings, CollectorPart, LogLevel
from pipeline.settings.files import load_settings
from pipeline.settings.places import config_directory, data_directory

FILE = "collector.yaml"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+\-]{0,99}\Z", re.ASCII)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,62}\Z", re.ASCII)
_LIKE_A_KEY = re.compile(
    r"\A(?:sk-|sk_|pk_|gsk_|xai-|r8_|hf_|gh[pousr]_|AIza|AKIA|ASIA|Bearer\s|eyJ)|\A(?=[A-Z0-9]*\d)[A-Z0-9]{20,}\Z"
)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~\-]{1,100}\Z", re.ASCII)
_OWN_HEADERS = frozenset(
    {"authorization", "host", "content-length", "content-type", "transfer-encoding", "accept-encoding"}
)
_PATH = re.compile(r"[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]+)*\Z")
_OWN_FIELDS = frozenset({"model", "messages", "prompt", "input", "stream", "stream_options"})


class Pricing(CollectorPart):
    """USD per million tokens from a day on. Without their own, cached tokens cost as input, reasoning as
    output.
    """

    since: datetime.date | None = Field(None, alias="from")
    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(None, ge=0)
    reasoning: float | None = Field(None, ge=0)


class Limits(CollectorPart):
    """What one model's endpoint allows; null: no bound of ours, the server's headers are followed either
    way.
    """

    requests_per_minute: float | None = Field(None, gt=0)
    tokens_per_minute: float | None = Field(None, gt=0)
    concurrency: int | None = Field(None, ge=1, le=10_000)


class ModelSettings(CollectorPart):
    """One model as it is asked.

    ``api_key`` and values of ``extra_headers`` that begin with ``$`` name environment variables.
    ``timeout`` is the deadline of one attempt, in seconds. ``seed`` grows by one with each repetition.
    ``extract_fields`` are dotted paths into the raw response. ``extra_body`` is sent as it stands and is
    part of the cache key.
    """

    name: str
    api_model_name: str = Field("", max_length=300)
    base_url: str
    api_key: str | None = Field(None, repr=False)
    generator_type: Literal["direct", "multimodal", "embedding"] = "direct"
    api: Literal["chat", "completions"] = "chat"
    temperature: float | None = Field(None, ge=0, le=10)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    seed: int | None = None
    reasoning_effort: str | None = Field(None, max_length=40)
    repetitions: int = Field(1, ge=1, le=1000)
    timeout: float = Field(600, gt=0, le=86_400)
    stream: bool = False
    max_response_bytes: int = Field(32 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024)
    pricing: tuple[Pricing, ...] = ()
    limits: Limits = Limits()
    extract_fields: tuple[str, ...] = ()
    extra_body: dict[str, Any] = Field(default_factory=dict)
    extra_headers: dict[str, str] = Field(default_factory=dict, repr=False)
    allow_private_address: bool = False

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not _NAME.match(name):
            raise ValueError(
                "it must be 1-100 letters, digits and . _ : @ + -, since it names a folder of results"
            )
        return name

    @field_validator("base_url")
    @classmethod
    def _address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.query or parts.fragment:
            raise ValueError(
                "it must be an http or https address without query, such as https://api.example.com/v1"
            )
        if url_carries_credentials(url):
            raise ValueError(
                "it holds a user name or password; name the key's environment variable in api_key"
            )
        return url.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _variable_name(cls, name: str | None) -> str | None:
        if name is not None and (not _VARIABLE.match(name) or _LIKE_A_KEY.search(name)):
            raise ValueError("it names an environment variable, in capitals; never write the key itself here")
        return name

    @field_validator("extra_headers")
    @classmethod
    def _no_secret_header(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER.match(name) or name.lower() in _OWN_HEADERS:
                raise ValueError(f"the header {name[:40]!r} cannot be set here")
            named = value.startswith("$") and _VARIABLE.match(value[1:])
            if not named and (is_secret_name(name) or _LIKE_A_KEY.search(value)):
                raise ValueError(f"the header {name} looks secret; write $NAME of an environment variable")
        return headers

    @field_validator("extra_body")
    @classmethod
    def _no_own_field(cls, body: dict[str, Any]) -> dict[str, Any]:
        for name in body:
            if name in _OWN_FIELDS:
                raise ValueError(f"{name} is set by the collector and cannot be given here")
        if _holds_key(body):
            raise ValueError("a value looks like a key; keys travel in headers only")
        return body

    @field_validator("extract_fields")
    @classmethod
    def _paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not _PATH.match(path):
                raise ValueError(f"{path[:60]!r} is no dotted path such as choices.0.logprobs")
        return paths

    @field_validator("pricing", mode="before")
    @classmethod
    def _one_price(cls, value: Any) -> Any:
        return (value,) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _named(self) -> ModelSettings:
        starts = [price.since for price in self.pricing]
        if len(set(starts)) < len(starts):
            raise ValueError("two prices begin on the same day; keep one of them")
        if not self.api_model_name:
            object.__setattr__(self, "api_model_name", self.name)
        return self

    @property
    def endpoint(self) -> str:
        """The address that is posted to."""
        if self.generator_type == "embedding":
            return f"{self.base_url}/embeddings"
        return f"{self.base_url}/{'completions' if self.api == 'completions' else 'chat/completions'}"

    def secret_headers(self) -> dict[str, str]:
        """The headers with their secrets, from the environment; raises ``ConfigurationError`` where one is
        unset.
        """
        headers = {"Authorization": f"Bearer {self._secret('api_key', self.api_key)}"} if self.api_key else {}
        for name, value in self.extra_headers.items():
            headers[name] = (
                self._secret(f"extra_headers.{name}", value[1:]) if value.startswith("$") else value
            )
        return headers

    def missing_variables(self) -> list[str]:
        """Environment variables that this model needs and that are not set."""
        named = [self.api_key] if self.api_key else []
        named += [value[1:] for value in self.extra_headers.values() if value.startswith("$")]
        return [name for name in dict.fromkeys(named) if not os.environ.get(name, "").strip()]

    def _secret(self, field: str, variable: str) -> str:
        value = os.environ.get(variable, "").strip()
        if not value or not value.isascii() or not value.isprintable():
            found = "holds characters that cannot be sent" if value else "is not set"
            raise ConfigurationError(
                f"Reading {field} of model {self.name}: the environment variable {variable} {found}; "
                "set it and run again."
            )
        return value


class DatasetSelection(CollectorPart):
    """A declared dataset and which of its splits; ``limit`` bounds rows a split."""

    dataset_id: str = Field(min_length=1, max_length=100)
    splits: tuple[str, ...] = Field(("test",), min_length=1)
    limit: int | None = Field(None, ge=1)


class RunSettings(CollectorPart):
    """How a run goes. Times in seconds, money in USD.

    ``retries`` counts attempts after the first. A server's Retry-After is clamped to
    ``maximum_wait_seconds``. After ``circuit_failures`` failures of an endpoint in a row nothing is sent to
    it for ``circuit_seconds``.
    """

    output_dir: Path | None = None
    concurrency: int = Field(32, ge=1, le=4096)
    demo_mode: bool = False
    demo_limit: int = Field(10, ge=1)
    overwrite: bool = False
    deadline_seconds: float | None = Field(None, gt=0)
    max_cost: float | None = Field(None, ge=0)
    retries: int = Field(5, ge=0, le=50)
    backoff_seconds: float = Field(0.5, gt=0, le=60)
    maximum_wait_seconds: float = Field(60, gt=0, le=3600)
    circuit_failures: int = Field(20, ge=1, le=10_000)
    circuit_seconds: float = Field(15, gt=0, le=3600)
    commit_interval_ms: float = Field(20, gt=0, le=50)
    log_level: LogLevel = "INFO"

    @property
    def results_directory(self) -> Path:
        """Where results lie: ``output_dir``, or ``results/`` of the data folder."""
        return self.output_dir.expanduser().resolve() if self.output_dir else data_directory() / "results"


class CollectorSettings(CollectorPart):
    """The whole file."""

    models: tuple[ModelSettings, ...] = Field(min_length=1)
    datasets: tuple[DatasetSelection, ...] = Field(min_length=1)
    run: RunSettings = RunSettings()
    cache: CacheSettings = CacheSettings()

    @model_validator(mode="after")
    def _once(self) -> CollectorSettings:
        # Names become folders; two that differ in case only would share one on some systems.
        names = [model.name.lower() for model in self.models]
        splits = [(chosen.dataset_id, split) for chosen in self.datasets for split in chosen.splits]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two models have the name {name!r}; rename one")
        for pair in splits:
            if splits.count(pair) > 1:
                raise ValueError(
                    f"the dataset {pair[0]!r}, split {pair[1]!r} is listed twice; keep one of them"
                )
        return self


def load_collector(path: Path | None = None) -> CollectorSettings:
    """The settings of ``path``, by default ``configs/collector.yaml``; raises ``ConfigurationError``."""
    return load_settings(path or config_directory() / FILE, CollectorSettings)


def _holds_key(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_key(part) for part in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_key(part) for part in value)
    return isinstance(value, str) and _LIKE_A_KEY.search(value) is not None
