"""``configs/privacy.yaml``: policies, recipients' keys, custom patterns and the bounds of a scan.

What belongs here: the file's model and turning it into what ``pipeline.privacy`` works with is done there.
What does not: detecting and acting. Keys are named by environment variable and never stand in the file.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline.settings.files import Settings, load_settings
from pipeline.settings.places import config_directory

Action = Literal["quarantine", "drop", "redact", "pseudonymise", "keep"]

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,62}\Z", re.ASCII)
_KEY_ID = re.compile(r"[A-Za-z0-9\-]{1,32}\Z", re.ASCII)


class Detection(Settings):
    """How records are scanned; ``deadline_seconds`` bounds one record.

    ``names_model`` is the spaCy model that ``--names`` loads.
    """

    engine: Literal["hyperscan", "re2", "none"] | None = None
    deadline_seconds: float = Field(1.0, gt=0, le=60)
    names_model: str = "en_core_web_lg"


class Recipient(Settings):
    """Who gets pseudonyms: the environment variable of the key, and the id pseudonyms show.

    Give a new key a new id: pseudonyms of different keys cannot be told to be the same person.
    """

    variable: str
    key_id: str

    @field_validator("variable")
    @classmethod
    def _is_variable(cls, value: str) -> str:
        if not _VARIABLE.match(value):
            raise ValueError(f"{value!r} is no name of an environment variable (capitals, digits, _)")
        return value

    @field_validator("key_id")
    @classmethod
    def _is_key_id(cls, value: str) -> str:
        if not _KEY_ID.match(value):
            raise ValueError("a key id has 1 to 32 letters, digits or hyphens")
        return value


class Policy(Settings):
    """One line of policy; ``*`` and ``?`` match anything and any character."""

    action: Action
    surface: str = "*"
    field: str = "*"
    type: str = "*"
    recipient: str | None = None


class Pattern(Settings):
    """A custom pattern and its tests."""

    name: str
    type: str
    pattern: str
    finds: tuple[str, ...]
    ignores: tuple[str, ...]


class PrivacySettings(Settings):
    """The whole file."""

    detection: Detection = Detection()
    placeholder_key_variable: str = "PIPELINE_PRIVACY_PLACEHOLDER_KEY"
    recipients: dict[str, Recipient] = Field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    patterns: tuple[Pattern, ...] = ()

    @model_validator(mode="after")
    def _recipients_known(self) -> PrivacySettings:
        for policy in self.policies:
            if policy.recipient is not None and policy.recipient not in self.recipients:
                raise ValueError(
                    f"a policy names the recipient {policy.recipient!r}, which is not under recipients"
                )
        variables = [recipient.variable for recipient in self.recipients.values()]
        if len(set(variables)) < len(variables):
            raise ValueError("two recipients share an environment variable; each needs a key of its own")
        names = [pattern.name for pattern in self.patterns]
        if len(set(names)) < len(names):
            raise ValueError("two patterns have the same name")
        return self


def load_privacy() -> PrivacySettings:
    """The settings in force; raises ``ConfigurationError``."""
    return load_settings(config_directory() / "privacy.yaml", PrivacySettings)
