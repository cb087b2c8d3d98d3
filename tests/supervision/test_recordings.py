"""Reading recordings: strictly, and with errors that name the line."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from supervision.recorder import VERSION, message_line
from supervision.recordings import BadRecording, Recording, read_recording
from tests.supervision.recorded import (
    HEADER,
    Hello,
    event,
    file_of,
)

LINE = message_line(event(Hello(1))).decode().rstrip()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"hello\n", "no recording of Troupe's"),
        (b"\x7fELF\x02\x01\x01\0\0", "no recording of Troupe's"),
        (b'{"format": "troupe-crash-dump"}\n', "no recording of Troupe's"),
        (b"[]\n", "no recording of Troupe's"),
        (json.dumps({**HEADER, "version": 2}).encode(), "version 2, this reads 1: .*newer Troupe"),
        (json.dumps({**HEADER, "version": "x"}).encode(), "version 'x'.*no such version"),
        (json.dumps({**HEADER, "node": 3}).encode(), "line 1: 'node' must be a str, not int"),
    ],
)
def test_what_is_no_recording_is_refused(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(BadRecording, match=problem) as caught:
        read_recording(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{broken", "line 2: it is damaged"),
        ("[1]", "line 2: .*an object was expected, not list"),
        ("", "line 2: it is damaged"),
        ("[" * 100_000, "line 2: it is damaged"),
        (LINE.replace('"id":1', '"id":"1"'), "line 2: 'id' must be a int, not str"),
        (LINE.replace('"id":1', '"id":true'), "line 2: 'id' must be a int, not bool"),
        (LINE.replace('"asked":false,', ""), "line 2: 'asked' must be a bool, not nothing"),
        (LINE.replace('"body"', '"boddy"'), "line 2: nothing here is called boddy"),
        ('{"end": "stopped", "at": 1, "messages": 0, "lost": 0}', "line 3: there is more after"),
    ],
)
def test_a_damaged_line_is_named(line: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match=problem):
        read_recording(file_of(tmp_path / "file", HEADER, line, LINE))


def whole(tmp_path: Path) -> tuple[bytes, Recording]:
    lines = [message_line(event(Hello("ä" * n), n)) for n in range(1, 6)]
    path = file_of(tmp_path / "whole", HEADER, *lines)
    return path.read_bytes(), read_recording(path)


def test_a_last_line_that_was_cut_off_is_left_out_and_said(tmp_path: Path) -> None:
    data, recording = whole(tmp_path)
    head = data.index(b"\n")
    for length in range(head + 1, len(data), 5):
        path = tmp_path / "cut"
        path.write_bytes(data[:length])
        cut = read_recording(path)
        complete = data[:length].count(b"\n") - 1
        unfinished = data[:length].rpartition(b"\n")[2]
        if length == len(data) - 1 or data[length : length + 1] == b"\n":
            complete += 1  # only the line end is missing
        elif unfinished:
            assert f"last line of {len(unfinished)} bytes was left out" in cut.truncated
        assert cut.messages == recording.messages[:complete]
        assert not cut.ended
    assert VERSION == 1


def test_an_end_whose_beginning_was_lost_is_passed_over(tmp_path: Path) -> None:
    done = {"done": 7, "at": 2.0, "seconds": 1.0, "outcome": "ok"}
    recording = read_recording(file_of(tmp_path / "file", HEADER, done, {"lost": 3, "at": 2}, LINE))
    assert (len(recording), recording.lost) == (1, 3)


def test_types_of_the_test_itself_are_used(tmp_path: Path) -> None:
    """`UUID` and friends come back as themselves, inside messages as well."""
    values: list[Any] = [UUID(int=1), Decimal("1.10"), datetime.timedelta(microseconds=1)]
    make: Callable[[Any], Any] = Hello
    lines = [message_line(event(make(value), n)) for n, value in enumerate(values, 1)]
    found = read_recording(file_of(tmp_path / "file", HEADER, *lines))
    assert [message.message().to for message in found] == values
    assert os.listdir(tmp_path) == ["file"]
