"""The PCM wire as a machine: one line is one frame."""

from typing import Any

import attrs
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audio import Encoding, Frame
from models.audio.g711 import decode, encode
from supervision import ActorRef
from supervision.secret import Secret
from transports import leg
from transports.leg import (
    Attached,
    Clear,
    Cleared,
    CloseWire,
    Dtmf,
    HungUp,
    MarkPlayed,
    Played,
    SendMark,
    ShowNotice,
    ShowTool,
)
from transports.pcm.config import PcmConfig
from transports.pcm.machine import Fault, PcmMachine, Phase
from transports.pcm.messages import RATES, Start, written

NOBODY: ActorRef[Any] = ActorRef(None)  # type: ignore[arg-type]  # a machine only passes it on
ATTACHED = Attached("c-1", "a", NOBODY, NOBODY, Secret("back"))


def text(**fields: Any) -> str:
    return orjson.dumps(fields).decode()


def opened(config: PcmConfig | None = None, **start: Any) -> PcmMachine:
    machine = PcmMachine(config or PcmConfig(), at=0.0)
    event = machine.text_came(text(type="start", **start), 0.0)
    assert isinstance(event, Start), event
    machine.attached(ATTACHED, 0.0)
    return machine


def test_a_wire_starts_attaches_opens_and_ends() -> None:
    machine = PcmMachine(PcmConfig(), at=0.0)
    start = machine.text_came('{"type":"start","token":"t","resume":"r","future":1}', 0.1)
    assert isinstance(start, Start)
    assert start.token == Secret("t")
    assert start.resume == Secret("r")
    assert machine.sound_came(b"\1\2", 0.1) is None
    ready = orjson.loads(machine.attached(ATTACHED, 0.2))
    assert ready["resume"] == "back"
    assert machine.text_came('{"type":"stop","reason":"bye"}', 0.3) == HungUp("bye")
    assert machine.phase is Phase.OVER
    assert machine.text_came('{"type":"dtmf","digit":"1"}', 0.3) is None
    assert machine.sound_came(b"\1\2", 0.3) is None


def test_a_peer_that_does_not_start_in_time_is_a_fault_once() -> None:
    machine = PcmMachine(PcmConfig(start_timeout=5.0), at=10.0)
    assert machine.deadline == 15.0
    assert machine.time_passed(14.9) is None
    fault = machine.time_passed(15.0)
    assert isinstance(fault, Fault)
    assert fault.code == "start-timeout"
    assert machine.time_passed(16.0) is None


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("encoding", Encoding)
def test_sound_of_every_format_and_rate_becomes_16_bit_samples(
    rate: int, encoding: Encoding
) -> None:
    machine = opened(format=encoding.value, rate=rate, out_rate=rate)
    pcm = np.arange(-3000, 3000, 7, dtype=np.int16).tobytes()
    wire = encode(pcm, encoding)
    assert machine.sound_came(wire, 0.0) == Frame(decode(wire, encoding), rate)
    assert machine.sound_to_send(Frame(pcm, rate)) == wire


def test_two_channels_are_mixed_without_overflow() -> None:
    machine = opened(channels=2)
    pairs = np.array([[100, 200], [32767, 32767], [-32768, -32768], [-1, 0]], np.int16)
    frame = machine.sound_came(pairs.tobytes(), 0.0)
    assert isinstance(frame, Frame)
    assert np.frombuffer(frame.pcm, np.int16).tolist() == [150, 32767, -32768, -1]


@given(
    st.binary(max_size=2000),
    st.lists(st.integers(0, 500), max_size=20),
    st.sampled_from([(1, "s16le"), (2, "s16le"), (1, "mulaw"), (2, "alaw")]),
)
def test_however_sound_is_cut_the_samples_are_the_same(
    data: bytes, cuts: list[int], how: tuple[int, str]
) -> None:
    channels, encoding = how
    whole, pieces = (opened(channels=channels, format=encoding) for _ in range(2))
    unit = (2 if encoding == "s16le" else 1) * channels
    expected = whole.sound_came(data[: len(data) // unit * unit], 0.0)
    assert isinstance(expected, Frame)
    came = b""
    for size in [*cuts, len(data)]:
        piece, data = data[:size], data[size:]
        frame = pieces.sound_came(piece, 0.0)
        assert isinstance(frame, Frame)
        came += frame.pcm
    assert came == expected.pcm


def test_the_position_is_never_more_than_was_sent_and_never_goes_back() -> None:
    machine = opened()
    machine.sound_to_send(Frame(bytes(2000), 16000))
    for told, believed in ((400, 400), (100, 400), (5000, 1000), (900, 1000)):
        assert machine.text_came(text(type="played", samples=told), 0.0) == Played(believed)


def test_marks_behind_a_clear_are_never_told_as_played() -> None:
    machine = opened()
    machine.text_to_send(SendMark("before"))
    machine.text_to_send(Clear(7))
    machine.text_to_send(SendMark("after"))
    cleared = machine.text_came(text(type="cleared", id=7, played=0, dropped=3), 0.0)
    assert cleared == Cleared(7, 0, 3)
    assert machine.text_came(text(type="mark", name="before"), 0.0) is None
    assert machine.text_came(text(type="mark", name="after"), 0.0) == MarkPlayed("after")
    assert machine.text_came(text(type="mark", name="after"), 0.0) is None
    assert machine.text_came(text(type="cleared", id=7, played=0, dropped=3), 0.0) is None
    assert machine.counters.stray == 3


def test_a_mark_that_was_played_before_the_clear_arrived_counts() -> None:
    machine = opened()
    machine.text_to_send(SendMark("before"))
    machine.text_to_send(Clear(1))
    assert machine.text_came(text(type="mark", name="before"), 0.0) == MarkPlayed("before")


def test_a_peer_that_never_answers_costs_no_memory() -> None:
    machine = opened()
    for number in range(5000):
        machine.text_to_send(Clear(number))
        machine.text_to_send(SendMark(str(number)))
    assert len(machine._clears) == len(machine._marks) == 1000
    assert machine.text_came(text(type="cleared", id=4999, played=0, dropped=0), 0.0) is not None


def test_only_whoever_has_a_screen_is_shown_anything() -> None:
    assert opened().text_to_send(ShowNotice("hello")) is None
    shown = opened(shows=True).text_to_send(ShowNotice("hello"))
    assert orjson.loads(shown or "") == {
        "type": "show",
        "what": "notice",
        "text": "hello",
        "level": "info",
    }


def test_every_show_has_a_name_and_all_its_fields() -> None:
    kinds = [kind for name, kind in vars(leg).items() if name.startswith("Show") and name != "Show"]
    assert len(kinds) == 9
    for kind in kinds:
        values: dict[str, Any] = {
            field.name: {"float": 1.5, "int": 1, "bool": True}.get(str(field.type), "x")
            for field in attrs.fields(kind)
        }
        if "parts_ms" in values:
            values["parts_ms"] = {"stt": 1.0}
        told = orjson.loads(written(kind(**values)))
        assert told == {"type": "show", "what": kind.__name__[4:].lower(), **values}
    tool = orjson.loads(written(ShowTool("t-1", "look up", "done")))
    assert tool["name"] == "look up"


def test_after_goodbye_nothing_comes() -> None:
    machine = opened()
    assert orjson.loads(machine.text_to_send(CloseWire("over")) or "") == {
        "type": "stop",
        "reason": "over",
    }
    assert machine.phase is Phase.OVER
    assert machine.text_came(text(type="dtmf", digit="1"), 0.0) is None


@pytest.mark.parametrize("digit", ["1", "*", "#", "A", "d"])
def test_keys_are_told_in_capitals(digit: str) -> None:
    assert opened().text_came(text(type="dtmf", digit=digit), 0.0) == Dtmf(digit.upper())


def test_a_stall_of_the_network_is_forgiven_and_a_flood_is_not() -> None:
    machine = opened(PcmConfig(audio_factor=3.0, audio_burst=10.0))
    second = bytes(32000)
    came = [machine.sound_came(second, 0.0) for _ in range(20)]
    assert sum(frame is not None for frame in came) == 10
    later = [machine.sound_came(second, 2.0) for _ in range(20)]
    assert sum(frame is not None for frame in later) == 6


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [
        "type",
        "samples",
        "id",
        "played",
        "dropped",
        "name",
        "digit",
        "text",
        "muted",
        "reason",
        "format",
        "rate",
        "channels",
        "out_rate",
        "token",
        "resume",
        "call",
        "agent",
        "clear",
        "marks",
        "shows",
        "params",
        "stream",
    ]
)
TYPES = st.sampled_from(
    ["start", "played", "cleared", "mark", "dtmf", "text", "mute", "stop", "ready", "show", "error"]
)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=50),
            st.text(max_size=50),
            st.tuples(TYPES, st.dictionaries(FIELDS, JSON, max_size=5)),
        ),
        max_size=20,
    ),
    st.booleans(),
)
def test_nothing_a_peer_can_send_raises(frames: list[Any], started: bool) -> None:
    machine = opened() if started else PcmMachine(PcmConfig(), at=0.0)
    for at, frame in enumerate(frames):
        if isinstance(frame, bytes):
            machine.sound_came(frame, float(at))
        elif isinstance(frame, str):
            machine.text_came(frame, float(at))
        else:
            kind, fields = frame
            try:
                payload = orjson.dumps({**fields, "type": kind}).decode()
            except (TypeError, UnicodeEncodeError):
                continue  # numbers beyond 64 bits, half a surrogate: no JSON to begin with
            event = machine.text_came(payload, float(at))
            if isinstance(event, Start):
                machine.attached(ATTACHED, float(at))
