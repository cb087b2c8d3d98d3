"""The JSON of the PCM wire: reading a peer's, writing ours. Pure; docs/wire.md is the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import orjson
from cattrs.preconf.orjson import make_converter

from models.audio import AudioFormat, Encoding
from supervision.secret import Secret
from transports.leg import (
    Attached,
    Clear,
    CloseWire,
    SendMark,
    Show,
    ShowAgent,
    ShowFloors,
    ShowNotice,
    ShowSaid,
    ShowSpeech,
    ShowSpoken,
    ShowTool,
    ShowTranscript,
    ShowTurn,
)

RATES = (8000, 16000, 22050, 24000, 44100, 48000)
"""Hz that a wire may carry, either way."""
MOST_PARAMS = 32
LONGEST_PARAM = 256
LONGEST_NAME = 200
"""Characters of a stream's, a call's, an agent's, a mark's name, and of a token."""


@attrs.define(eq=False)
class BadMessage(ValueError):
    """What a peer sent cannot be used; the text may be told to it."""

    problem: str

    def __str__(self) -> str:
        return self.problem


@attrs.frozen
class Start:
    """A peer says who it is and what it can do: the first frame of every wire."""

    stream: str
    format: AudioFormat
    """Of what it sends; what it is sent is mono, in the same encoding."""
    rate_out: int
    """Hz of what it wants to be sent."""
    token: Secret | None = None
    resume: Secret | None = None
    call: str = ""
    agent: str = ""
    played: bool = False
    """It reports what was played."""
    clear: bool = False
    """It answers a clear with exact counts."""
    marks: bool = True
    """It returns marks."""
    shows: bool = False
    """It has a screen."""
    params: Mapping[str, str] = attrs.field(factory=dict)


def parse(text: str | bytes) -> dict[str, Any]:
    """A text frame as an object with a `type`.

    Raises:
        BadMessage: it is something else.
    """
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadMessage("a text frame holds one JSON object") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise BadMessage('a text frame holds one JSON object with a "type"')
    return fields


def parse_start(fields: Mapping[str, Any]) -> Start:
    """The first frame of a wire.

    Raises:
        BadMessage: a field is missing, of the wrong type, or has a value we cannot serve.
    """
    if fields["type"] != "start":
        raise BadMessage(f'the first frame is "start", not {fields["type"][:LONGEST_NAME]!r}')
    rate = _rate(fields, "rate", 16000)
    return Start(
        stream=text_of(fields, "stream"),
        format=AudioFormat(rate, _channels(fields), _encoding(fields)),
        rate_out=_rate(fields, "out_rate", rate),
        token=_secret(fields, "token"),
        resume=_secret(fields, "resume"),
        call=text_of(fields, "call"),
        agent=text_of(fields, "agent"),
        played=flag_of(fields, "played"),
        clear=flag_of(fields, "clear"),
        marks=flag_of(fields, "marks", default=True),
        shows=flag_of(fields, "shows"),
        params=_params(fields.get("params") or {}),
    )


def text_of(fields: Mapping[str, Any], name: str, longest: int = LONGEST_NAME) -> str:
    """A text, "" if it is left out or null."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise BadMessage(f'"{name}" is a text of at most {longest} characters')
    return value


def flag_of(fields: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """True or false."""
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise BadMessage(f'"{name}" is true or false')
    return value


def count_of(fields: Mapping[str, Any], name: str) -> int:
    """A whole number from 0 up."""
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise BadMessage(f'"{name}" is a whole number from 0 up')
    return value


def _rate(fields: Mapping[str, Any], name: str, default: int) -> int:
    value = fields.get(name, default)
    if value not in RATES or isinstance(value, bool):
        raise BadMessage(f'"{name}" is one of {", ".join(map(str, RATES))}')
    return int(value)


def _channels(fields: Mapping[str, Any]) -> int:
    value = fields.get("channels", 1)
    if value not in (1, 2) or isinstance(value, bool):
        raise BadMessage('"channels" is 1 or 2')
    return int(value)


def _encoding(fields: Mapping[str, Any]) -> Encoding:
    value = fields.get("format", Encoding.S16LE.value)
    for encoding in Encoding:
        if encoding.value == value:
            return encoding
    raise BadMessage(f'"format" is one of {", ".join(encoding.value for encoding in Encoding)}')


def _secret(fields: Mapping[str, Any], name: str) -> Secret | None:
    text = text_of(fields, name)
    return Secret(text) if text else None


def _params(value: object) -> Mapping[str, str]:
    if (
        not isinstance(value, dict)
        or len(value) > MOST_PARAMS
        or not all(isinstance(text, str) and len(text) <= LONGEST_PARAM for text in value.values())
        or not all(len(name) <= LONGEST_PARAM for name in value)
    ):
        raise BadMessage(
            f'"params" holds at most {MOST_PARAMS} texts of at most {LONGEST_PARAM} characters'
        )
    return value


# -- ours -------------------------------------------------------------------------------------


def ready(start: Start, attached: Attached) -> str:
    """The answer to `start`: come in."""
    return _dump(
        type="ready",
        stream=start.stream,
        call=attached.call,
        leg=attached.leg,
        resume=attached.resume.reveal(),
        resumed=attached.resumed,
        format=start.format.encoding.value,
        rate=start.rate_out,
    )


def error(code: str, message: str) -> str:
    """What is said before a socket is closed on a peer's fault."""
    return _dump(type="error", code=code, message=message)


def stop(reason: str) -> str:
    """We hang up."""
    return _dump(type="stop", reason=reason)


def written(message: Clear | SendMark | CloseWire | Show) -> str:
    """What the call tells a wire, but for sound, as a text frame."""
    match message:
        case Clear(number):
            return _dump(type="clear", id=number)
        case SendMark(name):
            return _dump(type="mark", name=name)
        case CloseWire(reason):
            return stop(reason)
        case _:
            fields = _converter.unstructure(message)
            return _dump(type="show", what=_NAMES[type(message)], **fields)


def _dump(**fields: Any) -> str:
    return orjson.dumps(fields).decode()


_converter = make_converter()

_NAMES: Mapping[type, str] = {
    ShowTranscript: "transcript",
    ShowSpeech: "speech",
    ShowSpoken: "spoken",
    ShowSaid: "said",
    ShowFloors: "floors",
    ShowTurn: "turn",
    ShowAgent: "agent",
    ShowTool: "tool",
    ShowNotice: "notice",
}
