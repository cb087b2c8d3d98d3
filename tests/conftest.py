"""What all tests share: how hard Hypothesis looks, and which tests are long.

The fixtures for actors (`system` and its kin) come from `supervision.testing`, which pytest loads
by itself because Troupe is installed: a user's tests get the very same.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# A shell that starts a run in the background has it ignore Ctrl-C, and Python then installs no
# handler; the tests that interrupt themselves need the one that is there in the foreground.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SOAK = os.environ.get("TROUPE_SOAK") == "1"

# No deadlines: a busy machine is not a fault. By default the same examples every time, so that a
# red run is about the change at hand; a soak looks further, and prints how to repeat what it finds.
settings.register_profile("default", derandomize=True, deadline=None, max_examples=50)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=5000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("soak" if SOAK else "default")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long runs unless they were asked for."""
    if SOAK:
        return
    soaks = [item for item in items if item.get_closest_marker("soak")]
    if soaks:
        config.hook.pytest_deselected(items=soaks)
        items[:] = [item for item in items if item not in soaks]
