"""The team that answers out of the box: `front_desk.toml`, a small hotel by the sea."""

from __future__ import annotations

from importlib.resources import files

from models.llm.dialogue.reading import read_script
from models.llm.dialogue.script import Script

FILE = "front_desk.toml"


def script() -> Script:
    """The demo team's script."""
    return read_script(files(__name__).joinpath(FILE).read_text(encoding="utf-8"), FILE)
