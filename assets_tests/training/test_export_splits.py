"""Splits keep together what belongs together; near-duplicates; token budgets: properties and tables."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings.exports import Shares
from pipeline.training.budget import estimate, tokens_of
from pipeline.training.near_duplicates import NearDuplicates, runs_of, similarity_of
from pipeline.training.splitting import deal, together

KEYS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["prompt", "session", "lineage"]), st.integers(0, 12)),
        min_size=1,
        max_size=3,
    ),
    max_size=40,
)


@given(KEYS, st.integers(0, 5))
def test_no_key_stands_in_two_splits(keys: list[list[tuple[str, int]]], seed: int) -> None:
    splits = deal(keys, Shares(train=0.6, validation=0.2, test=0.2), seed)
    sides: dict[tuple[str, int], set[str]] = {}
    for row, split in zip(keys, splits, strict=True):
        for key in row:
            sides.setdefault(key, set()).add(split)
    assert all(len(found) == 1 for found in sides.values())


@given(KEYS, st.randoms(use_true_random=False))
def test_the_split_of_a_component_does_not_depend_on_the_order_of_rows(
    keys: list[list[tuple[str, int]]], random: object
) -> None:
    order = list(range(len(keys)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shares = Shares(train=0.6, validation=0.2, test=0.2)
    straight = deal(keys, shares, 1)
    shuffled = deal([keys[place] for place in order], shares, 1)
    assert [straight[place] for place in order] == shuffled


@given(KEYS)
def test_components_are_numbered_by_their_first_row(keys: list[list[tuple[str, int]]]) -> None:
    components = together(keys)
    assert all(component <= place for place, component in enumerate(components))
    assert all(components[component] == component for component in components)


def test_shares_are_met_where_components_are_small() -> None:
    splits = deal([[("prompt", number)] for number in range(1000)], Shares(), 3)
    assert {split: splits.count(split) for split in set(splits)} == {
        "train": 900,
        "validation": 50,
        "test": 50,
    }


def test_one_component_of_everything_stays_in_train() -> None:
    assert set(deal([[("session", 1)]] * 50, Shares(), 3)) == {"train"}


BASE = (
    "the quick brown fox jumps over the lazy dog while the slow green turtle walks under the old "
    "stone bridge "
    "at dawn"
)


@pytest.mark.parametrize(
    ("other", "known"),
    [
        (BASE, True),
        (BASE.upper(), True),
        (BASE + " and", True),
        (BASE.replace("fox", "cat").replace("bridge", "wall"), False),
        ("something else entirely that shares no run of five words with the first text at all", False),
        ("short", False),
    ],
)
def test_near_duplicates_are_known_by_their_runs_of_words(other: str, known: bool) -> None:
    near = NearDuplicates(0.9)
    (first,) = near.signatures([BASE])
    near.add(BASE, first)
    (second,) = near.signatures([other])
    assert near.known(other, second) is known
    assert (similarity_of(runs_of(BASE), runs_of(other)) >= 0.9) is known


WORDS = st.lists(
    st.sampled_from(["the", "a", "fox", "dog", "runs", "jumps", "over", "under", "bridge", "wall"]),
    max_size=30,
)


@given(WORDS, WORDS)
def test_similarity_is_that_of_the_sets_of_runs_of_five_words(one: list[str], other: list[str]) -> None:
    def runs(words: list[str]) -> set[tuple[str, ...]]:
        return {tuple(words[place : place + 5]) for place in range(max(1, len(words) - 4))}

    jaccard = len(runs(one) & runs(other)) / len(runs(one) | runs(other))
    assert similarity_of(runs_of(" ".join(one)), runs_of(" ".join(other))) == pytest.approx(jaccard)


def test_a_long_text_with_few_words_changed_is_found_again() -> None:
    drawn = random.Random(3)
    words = [f"w{drawn.randrange(10**6)}" for _ in range(2_000)]
    near = NearDuplicates(0.9)
    (first,) = near.signatures([" ".join(words)])
    near.add(" ".join(words), first)
    found = 0
    for number in range(50):
        changed = list(words)
        for place in drawn.sample(range(2_000), 10):
            changed[place] = f"other{number}"
        (signature,) = near.signatures([" ".join(changed)])
        found += near.known(" ".join(changed), signature)
    assert found >= 49, "of texts of similarity .95 more than 99.9 % are found"


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a" * 25, 10), ("word " * 100, 200), ("ß" * 10, 20), ("語" * 10, 36)]
)
def test_the_estimate(text: str, tokens: int) -> None:
    assert estimate(text) == tokens


@given(st.text(st.characters(min_codepoint=0x80, exclude_categories=["Cs"]), max_size=200))
def test_outside_ascii_the_estimate_is_never_below_the_bytes(text: str) -> None:
    assert estimate(text) >= len(text.encode())


def test_a_pair_is_as_long_as_its_longer_side_and_tools_count() -> None:
    row = {"prompt": "a" * 25, "chosen": "b" * 50, "rejected": "c" * 250}
    assert tokens_of(row, estimate) == 8 + 10 + 8 + 100
    assert tokens_of({**row, "tools": "d" * 25}, estimate) == 8 + 10 + 8 + 100 + 10
