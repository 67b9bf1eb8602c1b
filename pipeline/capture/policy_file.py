"""A redactor from a file like ``configs/privacy.yaml``, for the recorder's door.

What belongs here: the one step from the light recorder to the settings, which need pydantic and yaml.
What does not: the file's model (``pipeline.settings.privacy``), its parts (``pipeline.privacy.policies``).

Loaded only when a program names a privacy file; a recorder without one needs neither pydantic nor yaml.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.capture.door import SURFACE
from pipeline.privacy.acting import Redactor
from pipeline.privacy.policies import make_redactor
from pipeline.settings.files import load_settings
from pipeline.settings.privacy import PrivacySettings


def redactor_of(path: Path) -> Redactor:
    """The redactor of the surface ``capture`` with the file's policies, patterns and keys.

    Raises ``ConfigurationError`` for a file that is missing or malformed, naming the place in it.
    """
    return make_redactor(load_settings(path, PrivacySettings), surface=SURFACE)
