"""What can be configured about the end of turns: `[models.turn]`."""

from __future__ import annotations

import attrs
from attrs.validators import ge, le


@attrs.frozen
class TurnConfig:
    """The optional model that listens for the end of a turn."""

    model: str = ""
    """Path of a smart-turn ONNX file, version 3. "": no model, and none is loaded."""

    threshold: float = attrs.field(default=0.5, validator=[ge(0), le(1)])
    """From which probability on a turn counts as complete."""

    backlog: int = attrs.field(default=32, validator=[ge(1), le(1000)])
    """Turns that wait for the model at most, 50 ms each; a request beyond them is refused."""
