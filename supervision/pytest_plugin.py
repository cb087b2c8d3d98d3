"""The test kit as a pytest plugin: the `system` fixture.

pytest loads it by itself once Troupe is installed. It needs pytest-trio (`pip install
troupe[testing]`); without that the fixture says so, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.abc import Clock, Instrument
from trio.testing import MockClock

from supervision.tasks import single

if TYPE_CHECKING:
    from supervision.testing import SystemUnderTest


def run_on_virtual_time(
    main: Callable[[], Awaitable[Any]],
    *,
    clock: Clock | None = None,
    instruments: Sequence[Instrument] = (),
) -> Any:
    """`trio.run` on a clock that jumps over waiting, unless the test brings a clock of its own."""
    clock = clock or MockClock(autojump_threshold=0)
    try:
        return trio.run(main, clock=clock, instruments=instruments)
    except BaseExceptionGroup as group:
        alone = single(group)
        if alone is group:
            raise
    # One failure is shown as itself, not as a group of one from pytest-trio's nurseries.
    raise alone


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests that use `system` on virtual time: pytest-trio takes the runner from the mark."""
    for item in items:
        if "system" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.trio(run=run_on_virtual_time))


try:
    from pytest_trio import trio_fixture
except ImportError:

    @pytest.fixture
    def system() -> None:
        """Says what is missing."""
        pytest.fail("the `system` fixture needs pytest-trio: pip install 'troupe[testing]'")

else:

    @trio_fixture  # type: ignore[untyped-decorator]
    async def system() -> AsyncIterator[SystemUnderTest]:
        """A running actor system on virtual time.

        At its end the test fails on any crash report, dead letter or leak that it did not expect
        (`system.expect_crash(...)`, `expect_dead_letters(...)`, `expect_leak(...)`).
        """
        from supervision.testing import system_under_test

        async with system_under_test() as system:
            yield system
