"""What can be configured about the hooks of rooms."""

from __future__ import annotations

import attrs
from attrs.validators import deep_iterable, ge, gt, instance_of, le

from actors.machines.room.hooking import FAIL_CLOSED, HookTrigger


@attrs.frozen
class HooksConfig:
    """What the hooks of one room may take."""

    waiting: int = attrs.field(default=64, validator=[ge(1), le(10_000)])
    """Payloads that watching hooks have still to begin with; beyond it the oldest is dropped."""

    runs: int = attrs.field(default=256, validator=[ge(1), le(10_000)])
    """Decisions that are being asked for; one more is refused."""

    grace: float = attrs.field(default=1.0, validator=[gt(0), le(60)])
    """Seconds a cancelled hook has to end before a watching one is told nothing more."""

    unended: int = attrs.field(default=8, validator=[ge(1), le(1000)])
    """Calls of one deciding hook that may fail to end; then it is not asked until some have."""

    fail_closed: tuple[HookTrigger, ...] = attrs.field(
        default=tuple(sorted(FAIL_CLOSED)), validator=deep_iterable(instance_of(HookTrigger))
    )
    """Triggers at which a hook that fails blocks."""


NO_CONFIG = HooksConfig()
