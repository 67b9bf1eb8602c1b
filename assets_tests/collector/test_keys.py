"""Keys: what tells requests apart, what does not, and what a narrowed key merges."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collector.exchange import Request
from pipeline.collector.keys import canonical, key_parts, make_hasher, narrowed, what_merges
from pipeline.collector.payloads import payload_of
from pipeline.errors import InputError
from pipeline.settings.collector import CollectorSettings, ModelSettings
from pipeline.settings.collector_cache import KeyGenerator

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def model(**values: Any) -> ModelSettings:
    return ModelSettings(**({"name": "m", "base_url": "http://127.0.0.1:1/v1", "temperature": 0.0} | values))


def key(request: Request, **generator: Any) -> str:
    settings = KeyGenerator(**generator)
    return make_hasher(settings)(narrowed(key_parts(request, payload_of(request)), settings))


BASE = Request(model(), prompt="hello")


@pytest.mark.parametrize(
    "other",
    [
        Request(model(), prompt="hello!"),
        Request(model(), prompt="hello", repetition=1),
        Request(model(temperature=0.5), prompt="hello"),
        Request(model(top_p=0.5), prompt="hello"),
        Request(model(max_tokens=5), prompt="hello"),
        Request(model(seed=1), prompt="hello"),
        Request(model(reasoning_effort="low"), prompt="hello"),
        Request(model(extra_body={"top_k": 3}), prompt="hello"),
        Request(model(base_url="http://127.0.0.1:2/v1"), prompt="hello"),
        Request(model(api_model_name="other"), prompt="hello"),
        Request(model(api="completions"), prompt="hello"),
        Request(model(extra_headers={"x-version": "2"}), prompt="hello"),
        Request(model(), prompt="hello", parameters={"temperature": 1}),
    ],
)
def test_every_difference_that_may_change_the_answer_makes_another_key(other: Request) -> None:
    assert key(other) != key(BASE)


@pytest.mark.parametrize(
    "same",
    [
        Request(model(), messages=({"content": "hello", "role": "user"},)),
        Request(model(name="renamed", api_model_name="m"), prompt="hello"),
        Request(model(stream=True), prompt="hello"),
        Request(model(timeout=3), prompt="hello"),
        Request(model(temperature=0), prompt="hello", parameters={"temperature": -0.0}),
    ],
)
def test_what_cannot_change_the_answer_makes_no_other_key(same: Request) -> None:
    assert key(same) == key(BASE)


def test_an_image_counts_by_its_bytes(tmp_path: Path) -> None:
    seeing = model(generator_type="multimodal")
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    keys = [key(Request(seeing, prompt="?", images=(image,))) for image in (PNG, file, PNG + b"1")]
    assert keys[0] == keys[1] != keys[2]


def test_a_narrowed_key_merges_and_says_so() -> None:
    doc = ("model", "temperature", "top_p", "messages", "reasoning_effort")
    again = Request(model(), prompt="hello", repetition=1)
    assert key(again, cached_parameters=doc) == key(BASE, cached_parameters=doc)
    settings = CollectorSettings.model_validate(
        {
            "models": [
                {"name": "a", "api_model_name": "x", "base_url": "http://127.0.0.1:1", "repetitions": 2},
                {"name": "b", "api_model_name": "x", "base_url": "http://127.0.0.1:2"},
            ],
            "datasets": [{"dataset_id": "d"}],
            "cache": {"key_generator": {"cached_parameters": doc}},
        }
    )
    said = " ".join(what_merges(settings))
    assert "endpoint" in said and "All repetitions" in said and "a, b" in said
    assert (
        what_merges(
            settings.model_copy(
                update={"cache": settings.cache.model_copy(update={"key_generator": KeyGenerator()})}
            )
        )
        == []
    )


@pytest.mark.parametrize(
    ("algorithm", "size", "length"),
    [("blake2b", 16, 32), ("blake2b", 32, 64), ("sha256", 16, 64), ("sha1", 16, 40), ("md5", 16, 32)],
)
def test_the_hash_is_chosen(algorithm: str, size: int, length: int) -> None:
    assert len(key(BASE, hash_algorithm=algorithm, hash_digest_size=size)) == length


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2} and object(), "\ud800"])
def test_what_json_cannot_carry_is_refused(value: Any) -> None:
    with pytest.raises(InputError):
        key(Request(model(), prompt="hello", parameters={"odd": value}))


@given(st.dictionaries(st.text("abcdef", max_size=5), VALUES, max_size=6), st.randoms())
def test_the_order_of_names_makes_no_difference(value: dict[str, Any], chance: random.Random) -> None:
    names = list(value)
    chance.shuffle(names)
    assert canonical({name: value[name] for name in names}) == canonical(value)


@pytest.mark.parametrize(
    "request_",
    [
        Request(model()),
        Request(model(), prompt="a", messages=({"role": "user", "content": "b"},)),
        Request(model(), prompt="a", images=(PNG,)),
        Request(model(generator_type="multimodal"), prompt="a", images=(b"no image",)),
        Request(model(generator_type="multimodal"), prompt="a", images=(Path("missing.png"),)),
    ],
)
def test_a_request_that_cannot_be_sent_is_refused(request_: Request) -> None:
    with pytest.raises(InputError):
        payload_of(request_)
