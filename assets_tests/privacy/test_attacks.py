"""Files and places that somebody broke, by accident or on purpose: a right result or one sentence, never a traceback.

The commands run through ``main`` in this process; where a descriptor itself is at fault, in one of their own.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from pipeline.cli import main
from pipeline.privacy.acting import Redactor
from pipeline.privacy.detect import Detector, ScanError
from pipeline.privacy.engine import build
from pipeline.privacy.tables import FINDINGS
from pipeline.settings.places import PROJECT
from pipeline.warehouse.store import Warehouse

MAIL = b"jane@example.com"


class Done(NamedTuple):
    code: int
    out: bytes
    err: str


Call = Callable[..., Done]


@pytest.fixture
def call(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Call:
    def run(*arguments: str, standard_input: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["pipeline", "privacy", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(standard_input)))
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsysbinary.readouterr()
        assert MAIL not in out + err, "a value was printed"
        return Done(code, out, err.decode())

    return run


def parquet() -> bytes:
    held = io.BytesIO()
    pl.DataFrame({"a": [f"x {MAIL.decode()}"] * 500}).write_parquet(held)
    return held.getvalue()


DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
SHALLOW = b'{"a":' + b"[" * 600 + b'"' + MAIL + b'"' + b"]" * 600 + b"}\n"
FINE = b'{"t":"' + MAIL + b'"}\n'

# Name, bytes, exit code of scan and what it says, exit code of redact and what is in its output.
BROKEN: list[tuple[str, bytes, int, str, int, bytes]] = [
    ("long.txt", b"word " * 2_000_000 + MAIL, 1, "at most 8,000,000 are scanned; keep it apart", 0, b""),
    ("long.jsonl", b'{"t":"' + b"word " * 200_000 + MAIL + b'"}', 0, "", 0, b"word [EMAIL_ADDRESS~"),
    ("bytes.txt", b"\xff \xfe " + MAIL, 0, "", 0, b"\xff \xfe [EMAIL_ADDRESS~"),
    ("bytes.jsonl", b'{"t":"\xff ' + MAIL + b'"}', 0, "", 0, rb'{"t": "\udcff [EMAIL_ADDRESS~'),
    ("bytes.json", b'[{"t":"\xff ' + MAIL + b'"}]', 0, "", 0, rb'[{"t": "\udcff [EMAIL_ADDRESS~'),
    ("bytes.csv", b"a,b\n\xff " + MAIL + b",2\n", 0, "", 0, b"a,b\n\xff [EMAIL_ADDRESS~"),
    ("nul.txt", b"\0 " + MAIL + b"\0", 0, "", 0, b"\0 [EMAIL_ADDRESS~"),
    ("nul.csv", b"a\n\0 " + MAIL + b"\n", 0, "", 0, b"a\n\0 [EMAIL_ADDRESS~"),
    ("nul.jsonl", b'{"t":"\0"}', 1, "line 1 is no JSON (at its character 7)", 1, b""),
    ("between.txt", b"\0".join(bytes([byte]) for byte in MAIL), 0, "", 0, b"[EMAIL_ADDRESS~"),
    ("half.jsonl", b'{"t":"\\ud800 ' + MAIL + b'"}', 0, "", 0, rb'{"t": "\ud800 [EMAIL_ADDRESS~'),
    ("halves.json", b'[{"\\udfff":"' + MAIL + b'"}]', 0, "", 0, rb'[{"\udfff": "[EMAIL_ADDRESS~'),
    ("deep.jsonl", DEEP + FINE, 1, "record 0: Scanning a record: line 1 is nested too deep", 0, b'{"t": "[EMAIL'),
    ("deep.json", DEEP, 1, "it is nested too deep to be read; mend it", 1, b""),
    ("shallow.jsonl", SHALLOW + FINE, 0, "", 0, b'{"t": "[EMAIL_ADDRESS~'),
    ("huge.jsonl", b'{"n":' + b"9" * 5000 + b"}\n" + FINE, 1, "integer of more digits", 0, b'{"t": "[EMAIL'),
    ("large.jsonl", b'{"n":' + b"9" * 400 + b',"t":"' + MAIL + b'"}', 0, "", 0, b'9, "t": "[EMAIL_ADDRESS~'),
    ("half.parquet", parquet()[:400], 1, "from record 0 on it is no Parquet file", 1, b""),
    ("empty.parquet", b"", 1, "it is no Parquet file", 1, b""),
    ("parquet.txt", parquet(), 1, "it is a Parquet file; pass --format parquet", 1, b""),
    ("gzip.json", gzip.compress(b"{}", mtime=0), 1, "it is compressed with gzip; unpack it first", 1, b""),
    ("gzip.jsonl", gzip.compress(MAIL, mtime=0), 1, "it is compressed with gzip", 1, b""),
    ("gzip.csv", gzip.compress(MAIL, mtime=0), 1, "it is compressed with gzip", 1, b""),
    ("gzip.txt", gzip.compress(MAIL, mtime=0), 1, "it is compressed with gzip", 1, b""),
    ("wide.txt", MAIL.decode().encode("utf-16"), 1, "it is UTF-16; save it as UTF-8", 1, b""),
    ("empty.txt", b"", 0, "", 0, b""),
    ("empty.jsonl", b"", 0, "", 0, b""),
    ("empty.csv", b"", 0, "", 0, b""),
    ("empty.json", b"", 1, "it is no JSON (at its character 1)", 1, b""),
    ("ragged.csv", b"a,b\n1,2," + MAIL + b"\n3\n", 0, "", 0, b"a,b\n1,2,[EMAIL_ADDRESS~"),
    ("twice.csv", b"a,a\n1,2\n", 1, "two of its columns have the same name", 1, b""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "held", "code", "said", "redacted", "written"),
    BROKEN,
    ids=lambda v: v if isinstance(v, str) and "." in v else "",
)
def test_a_broken_file_gives_a_right_result_or_a_sentence(
    call: Call, tmp_path: Path, name: str, held: bytes, code: int, said: str, redacted: int, written: bytes
) -> None:
    path, target = tmp_path / name, tmp_path / f"clean.{name}"
    path.write_bytes(held)
    for command in ("scan", "report"):
        done = call(command, str(path))
        assert (done.code, said in done.err) == (code, True), done
        assert (done.err == "") == (code == 0)
    done = call("redact", str(path), "--output", str(target))
    assert done.code == redacted, done
    assert target.exists() == (redacted == 0), "a file that is not whole was left"
    assert written in (target.read_bytes() if target.exists() else b"")
    assert not list(tmp_path.glob(".*.part"))
    if name.endswith((".json", ".jsonl")):
        for line in target.read_bytes().splitlines() if target.exists() else []:
            json.loads(line)


@pytest.mark.parametrize(
    ("held", "code", "said"),
    [
        (b"\xff " + MAIL, 0, "1 record(s) written, 1 find(s)"),
        (b"\xef\xbb\xbf" + FINE, 0, "1 record(s) written, 1 find(s)"),
        (gzip.compress(MAIL, mtime=0), 1, "it is compressed with gzip"),
        (b"", 0, "0 record(s) written"),
    ],
)
def test_standard_input_is_read_as_a_file_is(call: Call, held: bytes, code: int, said: str) -> None:
    done = call("redact", "-", standard_input=held)
    assert done.code == code and said in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("scan", "{folder}"), 1, "it is a folder; name a file in it"),
        (("scan", "{folder}/none.txt"), 1, "there is no such file"),
        (("scan", "/dev/null"), 1, "it is no regular file; pass it on standard input"),
        (("redact", "{file}", "--output", "{file}"), 2, "--output is the input itself"),
        (("redact", "{file}", "--output", "{link}"), 2, "--output is the input itself"),
        (("redact", "{file}", "--quarantine", "{link}"), 2, "--quarantine is the input itself"),
        (("redact", "{file}", "--output", "{folder}/o", "--quarantine", "{folder}/o"), 2, "file of --output"),
        (("redact", "{file}", "--output", "{folder}"), 1, "Writing "),
        (("redact", "{file}", "--output", "{folder}/none/x.txt"), 1, "Writing x.txt: No such file or directory"),
        (("redact", "{file}", "--output", "/dev/full"), 1, "No space left on device; nothing whole was written; make room"),
        (("redact", "{table}", "--output", "/dev/full"), 1, "No space left on device; nothing whole was written"),
        (("redact", "{long}", "--quarantine", "/dev/full"), 1, "No space left on device"),
        (("evaluate", "{labels}", "--plot", "/dev/full"), 1, "No space left on device"),
        (("evaluate", "{long}"), 1, "line 1 is no JSON"),
    ],
)  # fmt: skip
def test_a_wrong_place_is_one_sentence_and_the_input_stays(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    names = {name: str(tmp_path / f"{name}.txt") for name in ("file", "link", "long")}
    names |= {
        "folder": str(tmp_path),
        "labels": str(tmp_path / "l.jsonl"),
        "table": str(tmp_path / "t.parquet"),
    }
    Path(names["file"]).write_bytes(MAIL)
    os.link(names["file"], names["link"])
    Path(names["long"]).write_bytes(b"x" * 8_000_001)
    Path(names["labels"]).write_bytes(b'{"text": "abc", "spans": []}\n')
    Path(names["table"]).write_bytes(parquet())
    done = call(*(argument.format(**names) for argument in arguments))
    assert done.code == code and said in done.err, done
    assert Path(names["file"]).read_bytes() == MAIL


@pytest.mark.parametrize("arguments", [("scan",), ("scan", "--json"), ("redact",), ("report",)])
def test_a_full_disk_behind_standard_output_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / "mail.txt"
    path.write_bytes(MAIL)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "privacy", *arguments, str(path)],
            env={**os.environ, "PIPELINE_DATA_DIR": str(tmp_path / "data")},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=PROJECT,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_failing_run_leaves_what_stood_under_the_name(call: Call, tmp_path: Path) -> None:
    path, target = tmp_path / "rows.jsonl", tmp_path / "clean.jsonl"
    target.write_bytes(b"of yesterday")
    path.write_bytes(FINE + b"{ no JSON\n")
    assert call("redact", str(path), "--output", str(target)).code == 1
    assert target.read_bytes() == b"of yesterday" and sorted(tmp_path.glob("*.part")) == []


def test_two_scans_at_once_both_keep_their_finds(tmp_path: Path) -> None:
    running = []
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_bytes(MAIL)
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "pipeline", "privacy", "scan", str(tmp_path / name), "--store"],
                env={**os.environ, "PIPELINE_DATA_DIR": str(tmp_path / "data")},
                stdout=subprocess.DEVNULL,
                cwd=PROJECT,
            )
        )
    assert [process.wait() for process in running] == [0, 0]
    kept = Warehouse(tmp_path / "data" / "warehouse.duckdb").read_all(FINDINGS)
    assert sorted(kept["source"].to_list()) == ["one.txt", "two.txt"]


@pytest.mark.parametrize(
    "caches", [{"XDG_CACHE_HOME": "{file}"}, {"XDG_CACHE_HOME": "/proc"}, {"XDG_CACHE_HOME": "", "HOME": "{file}"}]
)  # fmt: skip
def test_where_the_cache_cannot_be_written_the_engine_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caches: dict[str, str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name, value in caches.items():
        monkeypatch.setenv(name, value.format(file=tmp_path / "file"))
    assert build([("abc[0-9]", 7)]).families(b"abc1") == {7}


def test_a_user_without_a_home_gets_an_engine_and_no_folder_named_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert build([("abd[0-9]", 3)]).families(b"abd1") == {3}
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_runs_out_of_time_is_kept_apart_by_every_command(
    call: Call, own_inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = own_inputs[0] / "privacy.yaml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("deadline_seconds: 1.0", "deadline_seconds: 0.000001"), encoding="utf-8")
    path, target, apart = tmp_path / "rows.jsonl", tmp_path / "clean.jsonl", tmp_path / "apart.jsonl"
    path.write_bytes(FINE + b'{"t":"nothing here"}\n')
    for command in ("scan", "report"):
        done = call(command, str(path))
        assert done.code == 1 and "record 0: Scanning a record: its time ran out; keep it apart" in done.err
    done = call("redact", str(path), "--output", str(target), "--quarantine", str(apart))
    assert done.code == 0 and "1 record(s) written, 0 find(s) acted on, 1 record(s) quarantined" in done.err
    assert target.read_bytes() == b'{"t": "nothing here"}\n'
    assert [json.loads(line)["record"] for line in apart.read_text(encoding="utf-8").splitlines()] == [0]
    labels = tmp_path / "labels.jsonl"
    labels.write_bytes(b'{"text":"' + MAIL + b'","spans":[]}')
    assert "Evaluating record 0: Scanning a record: its time ran out" in call("evaluate", str(labels)).err


@pytest.mark.parametrize("line", [DEEP, b'{"n":' + b"9" * 5000 + b',"t":"' + MAIL + b'"}'])
def test_in_other_processes_too_what_cannot_be_read_is_kept_apart(detector: Detector, line: bytes) -> None:
    if MAIL in line:
        with pytest.raises(ScanError, match="more digits than Python reads"):
            detector.scan_json(line)
    passed, outcome = Redactor(detector).apply_json(line)
    assert MAIL not in passed
    assert outcome.status in ("quarantined", "clean") and (
        outcome.status == "quarantined" or MAIL not in line
    )
