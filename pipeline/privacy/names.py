"""Names of persons, places and organisations, with a language model: an optional extra, never implied.

What belongs here: asking Presidio with a spaCy model that the user installs (``pip install '.[names]'`` and, for
example, ``python -m spacy download en_core_web_lg``). What does not: everything with a form, which ``detect`` finds
without a model. A model misses names and invents some; measure it on your own texts before relying on it.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from pipeline.errors import ConfigurationError
from pipeline.privacy.detect import Finding
from pipeline.privacy.records import leaves

TYPES = ("PERSON", "LOCATION", "NRP", "ORGANIZATION")
MODEL = "en_core_web_lg"


class Names:
    """Finds names in records; building it loads the model (seconds, hundreds of megabytes)."""

    def __init__(self, model: str = MODEL) -> None:
        if importlib.util.find_spec("presidio_analyzer") is None:
            raise ConfigurationError(
                "Looking for names: Presidio is not installed; install the extra with pip install '.[names]' and a spaCy model."
            )
        if importlib.util.find_spec(model) is None:
            raise ConfigurationError(
                f"Looking for names: the spaCy model {model} is not installed; install it with python -m spacy download {model}, "
                "or name another in configs/privacy.yaml (detection.names_model)."
            )
        from presidio_analyzer.nlp_engine import NlpEngineProvider
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer

        configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
        self._engine: Any = NlpEngineProvider(nlp_configuration=configuration).create_engine()
        self._recognizer: Any = SpacyRecognizer(supported_entities=list(TYPES))

    def scan_record(self, record: Any) -> list[Finding]:
        """Names in every text of a record, with Presidio's own offsets."""
        findings: list[Finding] = []
        for leaf in leaves(record, lambda key: key):
            artifacts = self._engine.process_text(leaf.text, "en")
            for result in self._recognizer.analyze(leaf.text, list(TYPES), artifacts):
                findings.append(Finding(result.entity_type, leaf.field, result.start, result.end, "spacy"))
        return findings
