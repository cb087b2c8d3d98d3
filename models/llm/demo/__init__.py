"""The team that answers out of the box, at the front desk of a small hotel by the sea.

`front_desk.toml` is what they say, `tools.py` what they can do. `demo_script` (models/llm/dialogue)
reads it.
"""

from __future__ import annotations

from importlib.resources import files

FRONT_DESK = "front_desk.toml"


def source() -> str:
    """The text of the demo team's script."""
    return files(__name__).joinpath(FRONT_DESK).read_text(encoding="utf-8")
