"""Bodies and lines: what is written is what its type accepts, and it reads back the same."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import msgspec.inspect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.capture.bodies import Refused, prepare, without_texts
from pipeline.capture.events import TASK_KINDS, Candidate, RoutingDecided, TaskReceived
from pipeline.capture.kinds import Body
from pipeline.capture.recorder import Recorder
from pipeline.capture.reports import RECORDER_KINDS
from pipeline.capture.spool import Broken, checked, parse_line, read_segment, segment_name, segments
from pipeline.capture.ulids import UlidMaker

KINDS = {**TASK_KINDS, **RECORDER_KINDS}

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def values(info: Any) -> st.SearchStrategy[Any]:
    """Values that a field of this type accepts, as JSON has them."""
    inspect = msgspec.inspect
    match info:
        case inspect.StrType():
            return st.text(
                st.characters(codec="utf-8"),
                min_size=info.min_length or 0,
                max_size=min(30, info.max_length or 30),
            )
        case inspect.IntType():
            return st.integers(max(info.ge or 0, -(2**53)) if info.ge is not None else -1000, 10**12)
        case inspect.FloatType():
            return st.floats(info.ge if info.ge is not None else -1e6, info.le or 1e6, allow_nan=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.LiteralType():
            return st.sampled_from(info.values)
        case inspect.ListType():
            return st.lists(values(info.item_type), max_size=3)
        case inspect.DictType():
            return st.dictionaries(TEXTS, values(info.value_type), max_size=3)
        case inspect.UnionType():
            return st.one_of([values(part) for part in info.types])
        case inspect.StructType():
            return fields(info)
    return PLAIN


def fields(info: msgspec.inspect.StructType) -> st.SearchStrategy[dict[str, Any]]:
    """Fields of a struct; those that have a default may be missing."""
    required = {field.name: values(field.type) for field in info.fields if field.required}
    optional = {field.name: values(field.type) for field in info.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional)


BODIES = {
    kind: fields(info)
    for kind, body in KINDS.items()
    if isinstance(info := msgspec.inspect.type_info(body), msgspec.inspect.StructType)
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_every_body_reads_back_as_it_was_given(kind: str, data: st.DataObject) -> None:
    given_fields = data.draw(BODIES[kind])
    written, faults = prepare(KINDS[kind], given_fields)
    assert json.loads(written) == given_fields and faults == ()
    read = msgspec.json.decode(written, type=KINDS[kind])
    assert msgspec.json.decode(prepare(KINDS[kind], read)[0], type=KINDS[kind]) == read


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_body_without_its_texts_is_still_one_of_its_kind(kind: str, data: st.DataObject) -> None:
    written, _ = prepare(KINDS[kind], data.draw(BODIES[kind]))
    read = msgspec.json.decode(without_texts(KINDS[kind], written), type=KINDS[kind])
    kept = msgspec.to_builtins(read)
    assert not [name for name in KINDS[kind].text_fields if kept.get(name)]


@given(anything=st.dictionaries(TEXTS, PLAIN | st.binary(max_size=5) | st.floats(), max_size=4))
def test_whatever_is_given_is_refused_or_read_back(anything: dict[str, Any]) -> None:
    body = {"task_type": "x", **anything}
    try:
        written, _ = prepare(TaskReceived, body)
    except Refused:
        return
    assert isinstance(msgspec.json.decode(written, type=TaskReceived), TaskReceived)


class Shown:
    def __str__(self) -> str:
        return "shown"


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Shown(), "shown"),
        (Unshowable(), "<Unshowable>"),
        ({1, 2}, [1, 2]),
        (10**30, 10**30),
        (math.nan, None),
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00Z"),
        (b"\x00\xff", "AP8="),
        ("\ud800", "?"),
        ({("a", 1): 2}, {"['a', 1]": 2}),
    ],
)
def test_what_json_does_not_know_becomes_text(value: Any, kept: Any) -> None:
    written, _ = prepare(TaskReceived, {"task_type": "x", "context": {"value": value}})
    assert json.loads(written)["context"] == {"value": kept}


@pytest.mark.parametrize(
    ("body_type", "body"),
    [
        (RoutingDecided, TaskReceived(task_type="x")),
        (RoutingDecided, RoutingDecided(selected_agent="")),
        (RoutingDecided, RoutingDecided(selected_agent="a", propensity=2)),
        (RoutingDecided, {"selected_agent": "a", "candidates": [Candidate(agent="")]}),
        (RoutingDecided, {"selected_agent": "a", "propensity": "high"}),
        (TaskReceived, {"task_type": "x" * 201}),
        (TaskReceived, []),
        (TaskReceived, msgspec.Raw(b"{}")),
        (TaskReceived, msgspec.Raw(b'{"task_type": "x"}')),
    ],
)
def test_what_its_type_does_not_accept_is_refused(body_type: type[Body], body: Any) -> None:
    with pytest.raises(Refused):
        prepare(body_type, body)


def test_a_circle_is_refused_or_cut() -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    written, faults = prepare(TaskReceived, {"task_type": "x", "context": circle})
    assert faults == ("nested too deep",)
    assert isinstance(msgspec.json.decode(written, type=TaskReceived), TaskReceived)


def test_long_texts_are_shortened_and_unknown_fields_left_out_and_said() -> None:
    written, faults = prepare(TaskReceived, {"task_type": "x", "description": "y" * 1_000_001, "colour": 1})
    assert len(json.loads(written)["description"]) == 1_000_000 and "colour" not in json.loads(written)
    assert faults == ("text shortened",)
    assert prepare(TaskReceived, {"task_type": "x", "colour": 1})[1] == ("unknown fields left out",)


LINES = [checked(b'{"n":%d}' % number) for number in range(3)]


@given(junk=st.binary(max_size=300), where=st.integers(0, 3))
def test_bytes_in_the_middle_break_no_other_line(junk: bytes, where: int) -> None:
    spliced = b"".join([*LINES[:where], junk, b"\n", *LINES[where:]])
    assert all(line[:-1] in spliced.split(b"\n") for line in LINES)
    assert isinstance(parse_line(junk + b"\n"), Broken)


def recorded_lines(directory: Path) -> list[bytes]:
    """Six lines as a recorder writes them."""
    with Recorder(directory / "s", second=[], door=False) as made:
        for number in range(4):
            made.task_received(f"t{number}", task_type="x", description="word " * 10)
    (part,) = segments([directory / "s"])
    return part.path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_file_gives_every_undamaged_line(tmp_path: Path, data_directory: Path, seed: int) -> None:
    draw = random.Random(seed)
    lines = recorded_lines(tmp_path)
    damaged = draw.randrange(6)
    place = draw.randrange(len(lines[damaged]) - 1)
    parts = list(lines)
    parts[damaged] = {
        "changed": parts[damaged][:place] + b"\x00" + parts[damaged][place + 1 :],
        "cut": parts[damaged][:place] + b"\n",
        "inserted": parts[damaged][:place] + draw.randbytes(50).replace(b"\n", b"x") + parts[damaged][place:],
    }[draw.choice(["changed", "cut", "inserted"])]
    file = tmp_path / segment_name(UlidMaker().next(0).decode(), 1)
    file.write_bytes(b"".join(parts))
    read = list(read_segment(file))
    assert [line.offset for line in read] == [sum(map(len, parts[:n])) for n in range(6)]
    assert [line.raw for line in read if not isinstance(line.event, Broken)] == [
        line for number, line in enumerate(lines) if number != damaged
    ]
    assert [line.number for line in read if isinstance(line.event, Broken)] == [damaged + 1]


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_the_end_of_an_open_segment_is_left_for_the_next_reading(
    tmp_path: Path, data_directory: Path, cut: int
) -> None:
    first, second, *_ = recorded_lines(tmp_path)
    file = tmp_path / segment_name(UlidMaker().next(0).decode(), 1)
    file.write_bytes(first + second[:-cut])
    (line,) = read_segment(file, closed=False)
    file.write_bytes(first + second)
    (rest,) = read_segment(file, line.offset + len(line.raw), first_line=line.number + 1)
    assert (rest.raw, rest.number) == (second, 2)


def test_ulids_sort_in_the_order_they_were_made_and_never_repeat() -> None:
    maker = UlidMaker()
    made = [maker.next(millisecond) for millisecond in range(300) for _ in range(50)]
    assert made == sorted(made) and len(set(made)) == len(made)
    assert all(len(ulid) == 26 for ulid in made)
    maker._low = 0xF_FFFF  # the counter within a millisecond runs over
    before, after = made[-1], maker.next(299)
    assert before < after and maker.next(299) > after
