"""The tables of docs/channels.md say what the code says."""

from __future__ import annotations

import json
import re

import attrs

from tests.docs.markdown import ROOT, table
from transports.channels.config import ChannelConfig

CHANNELS = ROOT / "docs" / "channels.md"


def _code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    rows = table(CHANNELS, "Settings of every channel")
    told = [(_code(row[0])[0], _code(row[1])[0]) for row in rows]
    fields = attrs.fields(ChannelConfig)
    assert told == [(field.name, json.dumps(field.default)) for field in fields]
