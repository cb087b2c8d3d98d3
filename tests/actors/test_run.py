"""Real processes and real signals: how a node ends, and with which exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from actors.run import ExitCode

NODES = Path(__file__).with_name("nodes_under_test.py")
LONG = 20.0
"""Seconds after which a test's process is killed: far more than any of them needs."""

both_signals = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name
)


class Running:
    """A process and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []

    def wait_for(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if text in line:
                return
        raise AssertionError(f"it ended without having said {text!r}: {self.rest()}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def rest(self) -> tuple[int, str]:
        """The exit code and stderr, once it has ended."""
        out, err = self.process.communicate()
        self.said += out.splitlines()
        return self.process.returncode, err


@contextmanager
def running(
    *command: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=env,
    ) as process:
        killer = threading.Timer(LONG, process.kill)
        killer.start()
        try:
            yield Running(process)
        finally:
            killer.cancel()
            process.kill()


@contextmanager
def node(
    kind: str, folder: Path, *, shutdown: float = 10.0, child_shutdown: float = 5.0
) -> Iterator[Running]:
    with running(NODES, kind, str(shutdown), str(child_shutdown), cwd=folder) as process:
        yield process


def dumps(folder: Path) -> list[Path]:
    return sorted(folder.glob("*crash-*.json"))


# -- in order -------------------------------------------------------------------------------


@both_signals
def test_a_signal_stops_the_tree_in_reverse_start_order(
    number: signal.Signals, tmp_path: Path
) -> None:
    with node("plain", tmp_path) as process:
        process.wait_for("node plain is running")
        process.send(number)
        assert process.rest()[0] == ExitCode.STOPPED
        assert process.said == [
            "first starts",
            "second starts",
            "third starts",
            f"node plain is running (pid {process.process.pid}); Ctrl-C or SIGTERM stops it",
            "third stops",
            "second begins to stop",
            "second stops",
            "first stops",
        ]
        assert dumps(tmp_path) == []


def test_a_signal_while_the_node_starts_stops_what_has_started(tmp_path: Path) -> None:
    with node("unready", tmp_path, child_shutdown=0.2) as process:
        process.wait_for("second begins to start")
        process.send(signal.SIGTERM)
        assert process.rest()[0] == ExitCode.STOPPED
        assert process.said[-1] == "first stops"


def test_what_takes_longer_than_its_shutdown_time_is_cut_off_and_the_rest_stops_in_order(
    tmp_path: Path,
) -> None:
    with node("endless", tmp_path, child_shutdown=0.2) as process:
        process.wait_for("is running")
        process.send(signal.SIGTERM)
        assert process.rest()[0] == ExitCode.STOPPED
        assert process.said[-3:] == ["second begins to stop", "second is cut off", "first stops"]


def test_what_is_left_when_the_shutdown_time_of_the_tree_is_over_is_cut_off(tmp_path: Path) -> None:
    with node("endless", tmp_path, shutdown=0.2) as process:
        process.wait_for("is running")
        process.send(signal.SIGTERM)
        assert process.rest()[0] == ExitCode.STOPPED
        assert process.said[-2:] == ["second begins to stop", "second is cut off"]


# -- a second signal --------------------------------------------------------------------------


@both_signals
def test_a_second_signal_cuts_off_at_once(number: signal.Signals, tmp_path: Path) -> None:
    with node("endless", tmp_path, shutdown=60, child_shutdown=60) as process:
        process.wait_for("is running")
        process.send(signal.SIGTERM)
        process.wait_for("second begins to stop")
        started = monotonic()
        process.send(number)
        assert process.rest()[0] == 128 + number
        assert monotonic() - started < 10
        assert process.said[-1] == "second is cut off"
        assert dumps(tmp_path) == []


# -- by force ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "begins", "named"),
    [
        ("spinning", "second spins", "/second in a handler that does not return"),
        ("shielding", "second holds out", "/second task 'holding out'"),
        ("with-thread", "is running", "thread 'forgotten'"),
    ],
)
def test_what_hangs_is_named_and_the_process_ends_all_the_same(
    name: str, begins: str, named: str, tmp_path: Path
) -> None:
    with node(name, tmp_path, shutdown=0.2) as process:
        process.wait_for(begins)
        process.send(signal.SIGTERM)
        code, err = process.rest()
        assert code == ExitCode.FORCED
        assert f"node {name} did not stop in time and is ended by force" in err
        assert named in err
        assert len(dumps(tmp_path)) == 1


def test_the_stack_of_a_handler_that_never_returns_is_told(tmp_path: Path) -> None:
    with node("spinning", tmp_path, shutdown=60) as process:
        process.wait_for("second spins")
        process.send(signal.SIGINT)
        process.send(signal.SIGTERM)  # at once: no time for the orderly stop is waited for
        code, err = process.rest()
        assert code == ExitCode.FORCED
        assert "in on_receive\n    while True:" in err


def test_a_thread_that_never_comes_back_is_left_behind_by_name(tmp_path: Path) -> None:
    with node("blocked", tmp_path, child_shutdown=0.2) as process:
        process.wait_for("second blocks")
        process.send(signal.SIGTERM)
        code, err = process.rest()
        assert code == ExitCode.LEFT_BEHIND
        assert "/second" in err
        assert process.said[-1] == "first stops"
        assert len(dumps(tmp_path)) == 1


# -- the interpreter --------------------------------------------------------------------------


def test_the_interpreter_is_tuned_once_the_node_has_started(tmp_path: Path) -> None:
    with node("interpreter", tmp_path) as process:
        process.wait_for("switching after 0.0005 s, full collection after 2147483647")
        process.send(signal.SIGTERM)
        assert process.rest()[0] == ExitCode.STOPPED


# -- failing ----------------------------------------------------------------------------------


def test_a_node_whose_root_gives_up_leaves_a_crash_dump(tmp_path: Path) -> None:
    with node("crashing", tmp_path) as process:
        code, err = process.rest()
        assert code == ExitCode.FAILED
        assert "troupe: node crashing failed: the root supervisor gave up" in err
        (dump,) = dumps(tmp_path)
        assert str(dump.name) in err
        assert "a fault of the test's" in dump.read_text()
        json.loads(dump.read_text())


def test_a_node_that_cannot_start_says_why(tmp_path: Path) -> None:
    with node("unstartable", tmp_path) as process:
        code, err = process.rest()
        assert code == ExitCode.FAILED
        assert "troupe: node unstartable failed: /second could not be started" in err
        assert "no such device" in err
        assert len(dumps(tmp_path)) == 1
        assert "is running" not in "".join(process.said)


def test_a_composition_that_fails_is_told_with_its_traceback(tmp_path: Path) -> None:
    with node("unknown-kind", tmp_path) as process:
        code, err = process.rest()
        assert code == ExitCode.FAILED
        assert "Traceback" in err
        assert "troupe: node unknown-kind failed: KeyError: 'unknown-kind'" in err
