"""The end-of-turn model as a child of the tree, if there is one."""

from __future__ import annotations

import logging
from functools import partial

from models.turn.config import TurnConfig
from models.turn.protocol import TurnMessage
from supervision import ChildSpec, Mailbox
from supervision.resilience import Backoff

log = logging.getLogger("troupe.models.turn")


def turn_spec(config: TurnConfig, *, id: str = "turn") -> ChildSpec[TurnMessage] | None:
    """The actor that answers `JudgeTurn`; None if no model is configured, or none can be run."""
    if not config.model:
        return None
    try:
        # Here and not above: without a model nothing of it is loaded.
        from models.turn.smart_turn import TurnJudge
    except ImportError as error:
        log.warning("no end of turn is judged: that needs the package onnxruntime: %s", error)
        return None
    judge = partial(TurnJudge, config)
    return ChildSpec(id, judge, backoff=Backoff(), mailbox=Mailbox(config.backlog))
