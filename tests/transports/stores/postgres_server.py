"""A PostgreSQL to test against: the one that is named, or a private one of this machine's binaries.

`TROUPE_TEST_POSTGRES` names a database in which the tests may make schemas, each its own. Without
it a server is started for the session in a directory of its own, on a unix socket that only this
user can reach, with the settings of a production server. Where there is neither, and where psycopg
is not installed, these tests are skipped, and say so.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from supervision.secret import Secret

DSN = "TROUPE_TEST_POSTGRES"
START_WITHIN = 30.0
"""Seconds; a busy machine takes its time to make the first files."""

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "40",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",  # containers often have a tiny /dev/shm
    "log_min_messages": "fatal",
}


@attrs.frozen
class PostgresServer:
    """One that runs."""

    dsn: Secret
    private: bool
    """It is ours alone, to set as we like."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for all tests of the session."""
    pytest.importorskip(
        "psycopg", reason="psycopg is not installed: pip install 'troupe[postgres]'"
    )
    named = os.environ.get(DSN)
    if named:
        yield PostgresServer(Secret(named), private=False)
        return
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(f"there is no PostgreSQL on this machine; name one in {DSN}")
    with private_server(binaries) as server:
        yield server


@pytest.fixture(scope="session")
def kept_schema(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a schema that the tests of the contract share: to make one takes a while."""
    yield from new_schema(postgres_server)


@pytest.fixture
def empty_schema(postgres_server: PostgresServer, kept_schema: str) -> Iterator[str]:
    """The same, with nothing in its tables once the test is over."""
    import psycopg
    from psycopg import sql

    yield kept_schema
    with psycopg.connect(postgres_server.dsn.reveal(), autocommit=True) as connection:
        for table in ("rooms", "identities"):
            empty = sql.SQL("DELETE FROM {}").format(sql.Identifier(kept_schema, table))
            connection.execute(empty)


@pytest.fixture
def schema(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a schema that is not there, and is not there any more after the test."""
    yield from new_schema(postgres_server)


def new_schema(server: PostgresServer) -> Iterator[str]:
    import psycopg
    from psycopg import sql

    name = "test_" + secrets.token_hex(8)
    yield name
    with psycopg.connect(server.dsn.reveal(), autocommit=True) as connection:
        drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name))
        connection.execute("SET client_min_messages = warning")
        connection.execute(drop)


def find_binaries() -> Path | None:
    """The directory with the newest `initdb` and `postgres`."""
    packaged = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: [int(part) for part in folder.parent.name.split(".") if part.isdigit()],
    )
    on_path = shutil.which("postgres")
    candidates = [*packaged[::-1], *([Path(on_path).resolve().parent] if on_path else [])]
    return next(
        (
            folder
            for folder in candidates
            if all((folder / n).exists() for n in ("initdb", "postgres"))
        ),
        None,
    )


@contextmanager
def private_server(binaries: Path) -> Iterator[PostgresServer]:
    """A new server; gone without a trace at the end of the block."""
    user = unprivileged_user()
    # Not pytest's own directory: its name is too long for a socket, and closed to other users.
    with tempfile.TemporaryDirectory(prefix="troupe-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)
        # A C locale of UTF-8 characters is there everywhere.
        run_as(user, binaries / "initdb", "-D", folder / "data", "-U", "troupe", "-A", "trust",
               "-E", "UTF8", "--locale=C", "--no-sync")  # fmt: skip
        with serving(binaries, folder, user):
            dsn = Secret(f"host={folder} user=troupe dbname=postgres")
            yield PostgresServer(dsn, private=True)


@contextmanager
def serving(binaries: Path, folder: Path, user: str | None) -> Iterator[None]:
    log = folder / "log"
    settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
    with log.open("w") as output:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", "-k", folder, *settings],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            user=user,
            extra_groups=[] if user else None,
        )
    try:
        wait_until_it_answers(folder, process, log)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # "fast": it ends its sessions first
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_it_answers(folder: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + START_WITHIN
    while True:
        try:
            psycopg.connect(f"host={folder} user=troupe dbname=postgres").close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL does not start: {error}\n{log.read_text()}")
        time.sleep(0.05)


def unprivileged_user() -> str | None:
    """Whom to run as; None is who we are. PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no user to run it as")


def run_as(user: str | None, *command: str | Path) -> None:
    done = subprocess.run(
        command, user=user, extra_groups=[] if user else None, cwd="/",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.fail(f"{command[0]} failed: {done.stderr}")
