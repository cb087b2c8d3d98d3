"""systemd's side of the protocol, played by a datagram socket."""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from actors.run import ExitCode
from actors.service_manager import ServiceManager
from tests.actors.test_run import NODES, running


class Manager:
    """Receives what it is told."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(10)

    def told(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")

    def forget(self) -> None:
        """Whatever was told so far."""
        self.socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.told()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.socket.close()


def test_without_a_manager_nobody_is_told() -> None:
    nobody = ServiceManager.of({})
    assert nobody == ServiceManager()
    assert nobody.beat == math.inf
    nobody.ready("running")
    nobody.alive()
    nobody.stopping(1)


def test_it_is_told_in_systemds_words(manager: Manager) -> None:
    address = manager.socket.getsockname()
    service = ServiceManager.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"})
    assert service.beat == 1.5
    service.ready("node local is running")
    assert manager.told() == ["READY=1", "STATUS=node local is running"]
    service.alive()
    assert manager.told() == ["WATCHDOG=1"]
    service.stopping(12.5)
    assert manager.told() == ["STOPPING=1", "STATUS=stopping", "EXTEND_TIMEOUT_USEC=12500000"]


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_an_abstract_address_begins_with_an_at_sign() -> None:
    name = f"troupe-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    try:
        ServiceManager.of({"NOTIFY_SOCKET": f"@{name}"}).ready("here")
        assert manager.told() == ["READY=1", "STATUS=here"]
    finally:
        manager.socket.close()


def test_it_is_taken_out_of_the_environment_so_that_children_do_not_speak_for_us() -> None:
    environment = {
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "1",
        "WATCHDOG_PID": "1",
        "PATH": "/bin",
    }
    ServiceManager.of(environment)
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},  # another process is meant
    ],
)
def test_no_sign_of_life_is_sent_to_a_manager_that_waits_for_none(
    watchdog: dict[str, str], manager: Manager
) -> None:
    address = manager.socket.getsockname()
    service = ServiceManager.of({"NOTIFY_SOCKET": address, **watchdog})
    assert service.beat == math.inf
    service.alive()
    service.ready("the next word")
    assert manager.told()[0] == "READY=1"


@pytest.mark.parametrize("address", ["relative", "vsock:2:1234"])
def test_an_address_of_another_kind_is_reported_and_left_alone(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert ServiceManager.of({"NOTIFY_SOCKET": address}) == ServiceManager()
    assert "NOTIFY_SOCKET is no unix socket" in caplog.text


def test_a_manager_that_is_gone_is_no_reason_to_fail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("running")
    assert "the service manager was not told READY=1" in caplog.text


def test_a_node_tells_when_it_is_ready_that_it_lives_and_when_it_stops(
    manager: Manager, tmp_path: Path
) -> None:
    env = {
        **os.environ,
        "NOTIFY_SOCKET": manager.socket.getsockname(),
        "WATCHDOG_USEC": "200000",
    }
    with running(NODES, "plain", "10", "5", cwd=tmp_path, env=env) as process:
        while (words := manager.told()) == ["WATCHDOG=1"]:
            pass
        assert words[0] == "READY=1"
        assert words[1].startswith("STATUS=node plain is running")
        assert [manager.told() for _ in range(3)] == [["WATCHDOG=1"]] * 3
        process.send(signal.SIGTERM)
        while (words := manager.told()) == ["WATCHDOG=1"]:
            pass
        # shutdown 10 + kill_grace 0.2 + margin 5
        assert words == ["STOPPING=1", "STATUS=stopping", "EXTEND_TIMEOUT_USEC=15200000"]
        assert process.rest()[0] == ExitCode.STOPPED


def test_a_node_whose_loop_hangs_gives_no_sign_of_life(manager: Manager, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "NOTIFY_SOCKET": manager.socket.getsockname(),
        "WATCHDOG_USEC": "100000",
    }
    with running(NODES, "spinning", "0", "0", cwd=tmp_path, env=env) as process:
        process.wait_for("second spins")
        manager.forget()
        manager.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            manager.told()
