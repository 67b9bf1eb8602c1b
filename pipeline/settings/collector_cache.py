"""The ``cache`` section of ``configs/collector.yaml``: where answers are kept, under which key, and which.

What belongs here: every option of document 004 and ``url``, and the address of the database that they make.
What does not: opening it (``pipeline.collector.cache``). A password is the name of an environment variable.
"""

from __future__ import annotations

import os
import re
from typing import Literal
from urllib.parse import quote, urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from pipeline.errors import ConfigurationError
from pipeline.settings.files import Settings
from pipeline.settings.places import data_directory

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,54}\Z", re.ASCII)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,62}\Z", re.ASCII)
_PLACEHOLDER = re.compile(r"\$\{([A-Z][A-Z0-9_]{0,62})\}", re.ASCII)


class CollectorPart(Settings):
    """A part of the file; its errors never show what was written, since that may be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class StoreOptions(CollectorPart):
    """The table, how long rows count, and the pool of connections; for any database."""

    table_name: str = "generator_output_cache"
    ttl_seconds: int | None = Field(None, gt=0, description="an older answer is asked again; null: never")
    use_connection_pool: bool = False
    pool_size: int = Field(4, ge=1, le=64)
    max_overflow: int = Field(2, ge=0, le=64)
    pool_timeout: float = Field(10, gt=0, le=600, description="seconds")
    pool_recycle: int = Field(3600, ge=-1, description="seconds")

    @field_validator("table_name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not _TABLE.match(name):
            raise ValueError("the table name must be 1-55 letters, digits and underscores")
        return name


class MysqlSettings(StoreOptions):
    """A MySQL or MariaDB server. ``user`` and ``password`` that are null come from MYSQL_USER and
    MYSQL_PASSWORD.

    ``password`` otherwise names an environment variable; an empty text means none.
    """

    host: str = "localhost"
    port: int = Field(3306, ge=1, le=65535)
    user: str | None = None
    password: str | None = Field(None, repr=False)
    database: str = Field(min_length=1, max_length=64)
    charset: str = Field("utf8mb4", pattern=r"^[a-z0-9]{1,32}$")
    autocommit: bool = True

    @field_validator("password")
    @classmethod
    def _variable(cls, name: str | None) -> str | None:
        if name and not _VARIABLE.match(name):
            raise ValueError(
                "it names the environment variable that holds the password, in capitals; "
                "never write the password itself here"
            )
        return name

    @property
    def url(self) -> str:
        """The SQLAlchemy URL with the password in it: not for any message."""
        user = os.environ.get("MYSQL_USER", "") if self.user is None else self.user
        variable = "MYSQL_PASSWORD" if self.password is None else self.password
        secret = os.environ.get(variable, "") if variable else ""
        if self.password and variable not in os.environ:
            raise ConfigurationError(
                f"Reading cache.mysql.password: the environment variable {variable} is not set; set it."
            )
        if not user:
            raise ConfigurationError(
                "Reading cache.mysql.user: neither it nor MYSQL_USER is set; set one of them."
            )
        login = quote(user, safe="") + (f":{quote(secret, safe='')}" if secret else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        database = quote(self.database, safe="")
        return f"mysql+pymysql://{login}@{host}:{self.port}/{database}?charset={self.charset}"


class KeyGenerator(CollectorPart):
    """Which differences between requests make answers of their own.

    ``cached_parameters`` null: every sent parameter, the endpoint, messages, images and the repetition. A
    list narrows the key to those fields; ``pipeline collect info`` says what that merges.
    """

    cached_parameters: tuple[str, ...] | None = None
    hash_algorithm: Literal["blake2b", "sha256", "sha1", "md5"] = "blake2b"
    hash_digest_size: int = Field(16, ge=8, le=64, description="bytes, of blake2b only")

    @field_validator("cached_parameters")
    @classmethod
    def _some(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and not {"messages", "prompt", "input"} & set(names):
            raise ValueError(
                "without messages, prompt or input in the list every question would share one answer; add one"
            )
        return names


class Conditions(CollectorPart):
    """Which answers are kept, and with what."""

    cache_successful_only: bool = True
    min_completion_tokens: int = Field(0, ge=0)
    cache_raw_response: bool = False
    refresh_if_missing_raw_response: bool = False


class CacheSettings(CollectorPart):
    """The section ``cache``. Without ``url`` and ``mysql``: a SQLite file in the data folder.

    ``url`` is a SQLAlchemy URL; ``${NAME}`` in it stands for an environment variable.
    """

    enabled: bool = True
    force_override_cache: bool = False
    url: str | None = Field(None, repr=False)
    store: StoreOptions = StoreOptions()
    mysql: MysqlSettings | None = None
    key_generator: KeyGenerator = KeyGenerator()
    conditions: Conditions = Conditions()
    log_level: LogLevel = "INFO"
    enable_stats: bool = True

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            secret = parts.password
        except ValueError:
            raise ValueError("it is no SQLAlchemy URL such as sqlite:///cache.sqlite") from None
        if parts.scheme.split("+")[0] not in ("sqlite", "mysql", "mariadb"):
            raise ValueError("it must begin with sqlite://, mysql:// or mariadb://")
        if secret and not _PLACEHOLDER.fullmatch(secret):
            raise ValueError(
                "it holds a password; write ${NAME} in its place and set that environment variable"
            )
        return url

    @model_validator(mode="after")
    def _one_store(self) -> CacheSettings:
        if self.url and self.mysql:
            raise ValueError("url and mysql name two databases; keep one of them")
        if self.conditions.refresh_if_missing_raw_response and not self.conditions.cache_raw_response:
            raise ValueError(
                "refresh_if_missing_raw_response asks for what cache_raw_response does not keep; "
                "set both or neither"
            )
        return self

    @property
    def options(self) -> StoreOptions:
        """Table, time to live and pool: those of ``mysql`` where it is given, of ``store`` otherwise."""
        return self.mysql or self.store

    @property
    def resolved_url(self) -> str:
        """The SQLAlchemy URL, secrets included: not for any message."""
        if self.mysql:
            return self.mysql.url
        if self.url is None:
            return f"sqlite:///{data_directory() / 'cache' / 'answers.sqlite'}"
        return _PLACEHOLDER.sub(_from_environment, self.url)


def _from_environment(found: re.Match[str]) -> str:
    name = found.group(1)
    if name not in os.environ:
        raise ConfigurationError(f"Reading cache.url: the environment variable {name} is not set; set it.")
    return quote(os.environ[name], safe="")
