"""A node as a process: from its start to its exit code.

The first SIGTERM or Ctrl-C stops the tree in order, the second cuts off at once what still runs.
Whatever happens then, the process ends: a thread of its own keeps the last deadline
(last_deadline.py).
"""

from __future__ import annotations

import enum
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import Any

import click
import trio

from actors.app import SERVER
from actors.app import compose as compose_node
from actors.config import TroupeConfig
from actors.interpreter import Collector, share_among_threads
from actors.last_deadline import LastDeadline
from actors.service_manager import ServiceManager
from supervision import (
    ChildSpec,
    NodeFailed,
    StuckTask,
    SupervisionError,
    Supervisor,
    System,
    open_system,
)
from supervision.crashes import write_crash_dump
from transports.server import Where

logger = logging.getLogger("troupe.node")

Compose = Callable[[TroupeConfig], Sequence[ChildSpec[Any]]]

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

MARGIN = 2.0
"""Seconds the process may need beyond what the tree may, before it is ended by force."""

HOUSEKEEPING = 5.0
"""Seconds between two looks at the process itself."""


class ExitCode(enum.IntEnum):
    """How it ended, for whoever started it. Cut off by a second signal: 128 plus its number."""

    STOPPED = 0
    """In order, after SIGTERM or Ctrl-C."""
    FAILED = 1
    """The root supervisor gave up, or the node could not start. There is a crash dump."""
    UNUSABLE = 2
    """The command line or the configuration cannot be used."""
    LEFT_BEHIND = 3
    """The tree stopped, but a thread or task of it would not end. There is a crash dump."""
    FORCED = 4
    """It had not stopped by the last deadline. There is a crash dump, if one could be written."""


def run(config: TroupeConfig, compose: Compose = compose_node) -> int:
    """Run a node until a signal stops it or it fails; returns the exit code.

    For the main thread of a process that ends with it: it takes over signals, logging and the
    interpreter's tuning, and if the process is not gone by the last deadline, ends it.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=config.node.log_level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    # They tell every URL they ask for at level info, and webhooks may have tokens in theirs.
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    share_among_threads(config.node.switch_interval_ms)
    return NodeProcess(config, compose).run()


async def address_of(system: System) -> str:
    """Where the node's server listens; "" if it has none."""
    listener = system.find(f"{SERVER}/listener")
    return await listener.ask(Where()) if listener is not None else ""


class NodeProcess:
    """What the process has beside the node: signals, deadlines, a service manager."""

    def __init__(self, config: TroupeConfig, compose: Compose) -> None:
        self._config = config
        self._compose = compose
        self._manager = ServiceManager.of(os.environ)
        self._last_deadline = LastDeadline(ExitCode.FORCED, self._say_what_hangs)
        self._signals: list[int] = []
        """Those that came so far."""
        self._token: trio.lowlevel.TrioToken | None = None
        self._up = trio.CancelScope()
        """Everything until the stop begins."""
        self._system: System | None = None
        self._collector: Collector | None = None

    def run(self) -> int:
        """Run the node; returns the exit code."""
        for stop_signal in STOP_SIGNALS:
            signal.signal(stop_signal, self._on_signal)
        try:
            trio.run(self._main)
        except StuckTask as stuck:
            self._report(f"node {self._config.node.name} stopped, but {stuck}")
            return ExitCode.LEFT_BEHIND
        except NodeFailed as failed:
            self._report(f"node {self._config.node.name} failed: {failed.reason}")
            return ExitCode.FAILED
        except (SupervisionError, OSError) as error:
            self._report(f"node {self._config.node.name} failed: {error}")
            return ExitCode.FAILED
        except Exception as error:
            # No actor's fault, for then there would be a crash report: ours, or the composition's.
            logger.exception("node %s failed", self._config.node.name)
            self._report(f"node {self._config.node.name} failed: {type(error).__name__}: {error}")
            return ExitCode.FAILED
        if len(self._signals) > 1:
            return 128 + self._signals[-1]
        logger.info("node %s has stopped", self._config.node.name)
        return ExitCode.STOPPED

    # -- the node -------------------------------------------------------------------------

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._heed_signals()  # one may have come before there was a token
        trio.lowlevel.spawn_system_task(self._keep_house)
        node = self._config.node
        root = partial(Supervisor, ())
        async with open_system(self._config.supervision, name=node.name, root=root) as system:
            self._system = system
            try:
                with self._up:
                    # Not as the root's own children: a stop may come while one of them starts.
                    for child in self._compose(self._config):
                        await system.start_child(child)
                    self._has_started(await address_of(system))
                    await trio.sleep_forever()
            finally:
                self._stops()

    def _has_started(self, address: str) -> None:
        self._collector = Collector()
        status = f"node {self._config.node.name} is running (pid {os.getpid()})"
        click.echo(f"{status}; Ctrl-C or SIGTERM stops it")
        if address:
            click.echo(f"talk to it at {address}")
        self._manager.ready(status)

    def _stops(self) -> None:
        """The orderly stop begins, or the node has failed: from here on there are deadlines."""
        within = self._stop_within()
        self._last_deadline.within(within)
        self._manager.stopping(within)
        why = signal.Signals(self._signals[0]).name if self._signals else "it has failed"
        logger.info("node %s is stopping: %s", self._config.node.name, why)

    def _stop_within(self) -> float:
        supervision = self._config.supervision
        orderly = supervision.shutdown if len(self._signals) < 2 else 0.0
        return orderly + supervision.kill_grace + MARGIN

    async def _keep_house(self) -> None:
        while True:
            self._manager.alive()
            if self._collector is not None:
                self._collector.look()
            await trio.sleep(min(HOUSEKEEPING, self._manager.beat))

    # -- signals --------------------------------------------------------------------------

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Runs between any two steps of the main thread, so it only passes the word on."""
        self._signals.append(number)
        # Not left to the loop: it may be the loop that hangs.
        self._last_deadline.within(self._stop_within())
        if self._token is not None:
            try:
                self._token.run_sync_soon(self._heed_signals)
            except trio.RunFinishedError:
                pass

    def _heed_signals(self) -> None:
        if self._signals:
            self._up.cancel()
        if len(self._signals) > 1 and self._system is not None:
            self._system.cut_off()

    # -- last words -----------------------------------------------------------------------

    def _report(self, reason: str, details: str = "") -> None:
        """Say why the node ends other than it should, and write down what is known."""
        # Not through logging or sys.stderr: whoever hangs may hold their locks.
        os.write(2, f"troupe: {reason}\n{details}".encode(errors="backslashreplace"))
        if self._system is not None:
            directory = self._config.supervision.crash_dir
            # Without what messages said: people's words are not for the disk.
            text = f"{reason}\n{details}".rstrip()
            write_crash_dump(directory, self._system, text, bodies=False)

    def _say_what_hangs(self) -> None:
        """For the last deadline's thread; the loop may be running, hanging or gone."""
        hanging = list(self._system.unfinished()) if self._system is not None else []
        main = threading.main_thread()
        hanging += [
            f"thread {thread.name!r}"
            for thread in threading.enumerate()
            if thread is not main and not thread.daemon
        ]
        frame = sys._current_frames().get(main.ident or 0)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        self._report(
            f"node {self._config.node.name} did not stop in time and is ended by force;"
            f" still there: {', '.join(hanging) or 'only its main thread'}",
            f"the main thread is here:\n{stack}",
        )
