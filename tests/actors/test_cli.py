from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from actors.cli import main
from actors.run import ExitCode
from tests.actors.test_run import running

TROUPE = Path(sys.executable).with_name("troupe")


def troupe(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def written(path: Path, source: str) -> Path:
    path.write_text(source)
    return path


# -- check ------------------------------------------------------------------------------------


def test_check_says_ok_of_a_configuration_that_can_be_used(tmp_path: Path) -> None:
    result = troupe("check", "--config", written(tmp_path / "config.toml", "[node]\nname = 'a'"))
    assert (result.exit_code, result.output) == (0, "ok\n")


def test_check_tells_all_faults_with_their_paths_and_suggestions(tmp_path: Path) -> None:
    path = written(
        tmp_path / "config.toml",
        "[node]\nname = 'Big Name'\n[supervision]\nintensety = 3\nshutdown = 'soon'\n",
    )
    result = troupe("check", "--config", path)
    assert result.exit_code == ExitCode.UNUSABLE
    assert result.stdout == ""
    assert sorted(result.stderr.splitlines()) == sorted(
        [
            f"{path}: node.name: must match regex '[a-z0-9][a-z0-9-]{{0,62}}' ('Big Name' doesn't)",
            f"{path}: supervision.intensety: unknown name; did you mean 'intensity'?",
            f"{path}: supervision.shutdown: expected float, got 'soon'",
        ]
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('[models.llm.dialogue]\nscript = "nowhere.toml"', "nowhere.toml: cannot be read"),
        ('[server]\ntls_certificate = "a.pem"\ntls_key = "b.pem"', "tls_certificate (a.pem)"),
        ('[models.stt]\nuse = "deepgram"', "engine 'deepgram' is used, so it needs a section"),
        ("[media]\nping_interval = 20\nsilence_timeout = 5.0", "a quiet one would always be lost"),
        ("[floor.turn]\ncandidate_after = 3.0", "when the turn is over"),
        ('[server]\norigins = ["example.org"]', "server.origins"),
    ],
    ids=["script", "certificate", "engine", "pings", "turn", "origin"],
)
def test_check_tells_what_could_not_work(tmp_path: Path, source: str, said: str) -> None:
    for command in ("check", "run"):
        result = troupe(command, "--config", written(tmp_path / "config.toml", source))
        assert result.exit_code == ExitCode.UNUSABLE
        assert said in result.stderr


def test_check_of_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    result = troupe("check", "--config", tmp_path / "config.toml")
    assert result.exit_code == ExitCode.UNUSABLE
    assert "there is no such file; name another, or create it" in result.stderr


def test_the_environment_can_name_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TROUPE_CONFIG", str(written(tmp_path / "mine.toml", "nonsense = 1")))
    result = troupe("check")
    assert result.exit_code == ExitCode.UNUSABLE
    assert "mine.toml: nonsense: unknown name" in result.stderr


# -- run --------------------------------------------------------------------------------------


def test_the_shipped_configuration_runs_and_stops(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "config.toml"
    with running(TROUPE, "run", "--config", shipped, cwd=tmp_path) as process:
        process.wait_for("node local is running")
        process.send(signal.SIGTERM)
        code, err = process.rest()
        assert code == ExitCode.STOPPED
        assert "node local is stopping: SIGTERM" in err
        assert [left.name for left in tmp_path.iterdir()] == ["troupe.sqlite"]


def test_a_faulty_configuration_is_not_run(tmp_path: Path) -> None:
    path = written(tmp_path / "config.toml", "[supervision]\nmailbox = 0\nslice_ms = 0")
    with running(TROUPE, "run", "--config", path, cwd=tmp_path) as process:
        code, err = process.rest()
        assert code == ExitCode.UNUSABLE
        assert err.splitlines() == [
            f"{path}: supervision.mailbox: must be >= 1: 0",
            f"{path}: supervision.slice_ms: must be > 0: 0.0",
        ]
        assert process.said == []


def test_the_log_level_is_the_configured_one(tmp_path: Path) -> None:
    path = written(tmp_path / "config.toml", "[node]\nlog_level = 'error'")
    with running(TROUPE, "run", "--config", path, cwd=tmp_path) as process:
        process.wait_for("is running")
        process.send(signal.SIGINT)
        assert process.rest() == (ExitCode.STOPPED, "")


def test_every_exit_code_is_in_the_help() -> None:
    text = troupe("run", "--help").output
    codes = {line.split()[0] for line in text.splitlines() if line.startswith("    ")}
    assert {str(int(code)) for code in ExitCode} <= codes
    assert "130, 143 cut off by a second Ctrl-C or SIGTERM" in text


def test_the_version_is_the_distributions() -> None:
    result = subprocess.run([TROUPE, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == "troupe 0.1.0\n"


def test_an_unknown_command_is_refused() -> None:
    assert troupe("rum").exit_code == ExitCode.UNUSABLE


# -- stack ------------------------------------------------------------------------------------


def test_stack_shows_what_a_running_node_does(tmp_path: Path) -> None:
    path = written(tmp_path / "config.toml", "[supervision]\nstack_socket = 'stack'")
    with running(TROUPE, "run", "--config", path, cwd=tmp_path) as process:
        process.wait_for("is running")
        shown = troupe("stack", "--socket", tmp_path / "stack")
        assert shown.exit_code == 0
        first, *stack = shown.output.splitlines()
        assert first.startswith(f"node local (pid {process.process.pid}) is live: ")
        assert any("in run" in line for line in stack)
        answer = json.loads(troupe("stack", "--json", "--socket", tmp_path / "stack").output)
        assert answer["pid"] == process.process.pid
        process.send(signal.SIGTERM)
        assert process.rest()[0] == ExitCode.STOPPED
    assert not (tmp_path / "stack").exists()


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[list[bytes]]:
    """A socket that sends whoever connects what is in the list."""
    answer: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()

        def serve() -> None:
            client, _address = listener.accept()
            with client:
                client.sendall(b"".join(answer))

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield answer
        server.join(5)


HANGING = {
    "node": "local",
    "pid": 17,
    "live": False,
    "path": "/calls/c-7",
    "message_type": "Frame",
    "message_id": 5,
    "since": 4.25,
    "stack": ["  File 'calls.py', line 3, in on_frame", "    while True:"],
}


def test_stack_says_which_handler_holds_the_node(answering: list[bytes], tmp_path: Path) -> None:
    answering.append(json.dumps(HANGING).encode())
    shown = troupe("stack", "--socket", tmp_path / "socket")
    assert shown.output.splitlines() == [
        "node local (pid 17) is NOT LIVE: /calls/c-7 handles Frame, for 4.250 s now",
        "  File 'calls.py', line 3, in on_frame",
        "    while True:",
    ]


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"[]", b"{}", b"\xff"]
)
def test_stack_of_something_else_than_a_watchdog_is_refused(
    answer: bytes, answering: list[bytes], tmp_path: Path
) -> None:
    answering.append(answer)
    shown = troupe("stack", "--socket", tmp_path / "socket")
    assert shown.exit_code == 1
    assert "the answer is not a watchdog's" in shown.stderr


def test_stack_where_nothing_is_says_so(tmp_path: Path) -> None:
    shown = troupe("stack", "--socket", tmp_path / "socket")
    assert shown.exit_code == 1
    assert "socket: there is no such socket; is a node running" in shown.stderr


def test_stack_of_a_node_that_died_says_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "socket"))
    shown = troupe("stack", "--socket", tmp_path / "socket")
    assert shown.exit_code == 1
    assert "nobody answers; the node that made this socket has died" in shown.stderr


def test_stack_without_a_socket_asks_for_one(tmp_path: Path) -> None:
    path = written(tmp_path / "config.toml", "")
    shown = troupe("stack", "--config", path)
    assert shown.exit_code == ExitCode.UNUSABLE
    assert "gives it no `supervision.stack_socket`" in " ".join(shown.stderr.split())
