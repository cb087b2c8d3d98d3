from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
from hypothesis import settings

from models.rooms.errors import AlreadyThere, StoreUnavailable
from tests.transports.stores.contract import Make, StoreContract
from tests.transports.stores.model import StoreModel
from tests.transports.stores.sql_rules import SqlRules
from tests.transports.stores.values import a_change, a_room, add, an_event, ids
from transports.stores.backend import EVERYTHING, Page, StoreBackend
from transports.stores.config import StoreConfig, make_backend
from transports.stores.sql import SqlBackend
from transports.stores.sqlite import SqliteDatabase

LONG = "word " * 2000


class TestSqlite(StoreContract, SqlRules):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        return make_backend(StoreConfig(path=str(tmp_path / "rooms.sqlite")))


class SqliteModel(StoreModel):
    folder = ""

    def make(self) -> StoreBackend:
        self.folder = self.folder or tempfile.mkdtemp()
        return make_backend(StoreConfig(path=f"{self.folder}/rooms.sqlite"))()

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


TestSqliteModel = SqliteModel.TestCase
TestSqliteModel.settings = settings(max_examples=10, stateful_step_count=20)


class Store:
    """A backend, and a look behind it."""

    def __init__(self, path: Path, lock_timeout: float = 5.0) -> None:
        self.path = path
        self.database = SqliteDatabase(str(path), lock_timeout=lock_timeout)
        self.backend = SqlBackend(self.database)

    def setting(self, name: str) -> object:
        return self.database.read(f"PRAGMA {name}")[0][0]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "rooms.sqlite", lock_timeout=0.05)
    store.backend.open()
    yield store
    store.backend.abandon()
    store.backend.close()


def kept_ids(backend: StoreBackend) -> list[str]:
    return ids(backend.get_timeline("r", EVERYTHING, Page()))


# -- acknowledged means on disk ----------------------------------------------------------------


def test_a_commit_is_on_disk_when_it_returns(store: Store) -> None:
    assert store.setting("synchronous") == 2  # FULL
    assert store.setting("journal_mode") == "wal"
    assert store.setting("fullfsync") == 1
    assert store.setting("foreign_keys") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_who_is_killed_leaves_what_was_flushed_and_nothing_of_the_rest(tmp_path: Path) -> None:
    program = f"""
import sys
from tests.transports.stores.test_sqlite import *
backend = Store(Path({str(tmp_path / "rooms.sqlite")!r})).backend
backend.open()
backend.create_room(a_room())
add(backend, an_event(0))
backend.flush()
add(backend, an_event(1))
print("written", flush=True)
sys.stdin.read()
"""
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    again = Store(tmp_path / "rooms.sqlite").backend
    again.open()
    assert kept_ids(again) == ["e0"]
    again.close()


# -- the disk is full --------------------------------------------------------------------------


def fill(backend: StoreBackend) -> int:
    """Add events until there is no room for another one; its index."""
    for index in range(1, 50):
        try:
            add(backend, an_event(index, LONG))
        except StoreUnavailable as error:
            assert "make room on the disk" in str(error)
            return index
    raise AssertionError("the disk never was full")


def test_a_full_disk_refuses_all_that_was_not_flushed(store: Store) -> None:
    backend = store.backend
    backend.create_room(a_room())
    add(backend, an_event(0))
    backend.flush()
    pages = store.setting("page_count")
    store.setting(f"max_page_count = {pages}")
    index = fill(backend)
    # Whether the disk took the whole batch along or only the last write: nobody is told otherwise.
    try:
        backend.flush()
        kept = [f"e{number}" for number in range(index)]
    except StoreUnavailable:
        kept = ["e0"]
    assert kept_ids(backend) == kept
    store.setting("max_page_count = 100000")
    room = backend.get_room("r")
    assert room is not None
    add(backend, an_event(room.event_count, "room again"))
    backend.flush()
    backend.close()
    backend.open()
    assert kept_ids(backend) == [*kept, f"e{room.event_count}"]


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The disk takes no byte more than `size` of any one file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_at_the_commit_keeps_nothing_of_the_batch(store: Store) -> None:
    backend = store.backend
    backend.create_room(a_room())
    backend.flush()
    log = store.path.with_name(store.path.name + "-wal")
    add(backend, an_event(0, LONG))
    backend.create_room(a_room("other"))
    with (
        no_file_beyond(log.stat().st_size + 4096),
        pytest.raises(StoreUnavailable, match=r"rooms\.sqlite"),
    ):
        backend.flush()
    assert backend.get_room("other") is None
    assert kept_ids(backend) == []
    add(backend, an_event(0, "and again"))
    backend.flush()
    backend.close()
    backend.open()
    assert kept_ids(backend) == ["e0"]


def test_a_disk_that_fails_in_the_middle_of_a_batch_loses_all_of_it_and_says_so(
    store: Store,
) -> None:
    backend = store.backend
    backend.create_room(a_room())
    add(backend, an_event(0))
    backend.flush()
    backend.create_room(a_room("other"))
    log = store.path.with_name(store.path.name + "-wal")
    # What does not fit into the cache is written before the commit.
    store.database.read("PRAGMA cache_size = 2")
    with no_file_beyond(log.stat().st_size + 8192):
        with pytest.raises(StoreUnavailable, match="look after the disk"):
            add(backend, an_event(1, LONG * 10))
        with pytest.raises(StoreUnavailable, match="undid those before it"):
            backend.create_room(a_room("third"))
        with pytest.raises(StoreUnavailable, match="undid those before it"):
            backend.flush()
    assert backend.get_room("other") is None
    assert kept_ids(backend) == ["e0"]
    add(backend, an_event(1))
    backend.flush()
    assert kept_ids(backend) == ["e0", "e1"]


# -- somebody else has it ----------------------------------------------------------------------

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.stdin.close()


def test_a_file_that_another_program_holds_is_not_waited_for_for_ever(store: Store) -> None:
    backend = store.backend
    backend.create_room(a_room())
    backend.flush()
    with held_by_another_process(store.path):
        assert backend.get_room("r") == a_room()
        with pytest.raises(StoreUnavailable, match="another program holds it"):
            add(backend, an_event(0))
        late = Store(store.path, lock_timeout=0.05).backend
        with pytest.raises(StoreUnavailable, match="another program holds it"):
            late.open()
    add(backend, an_event(0))
    backend.flush()
    assert kept_ids(backend) == ["e0"]


def test_nodes_that_start_at_the_same_time_make_one_schema(tmp_path: Path) -> None:
    stores = [Store(tmp_path / "rooms.sqlite") for _ in range(6)]
    with ThreadPoolExecutor(len(stores)) as threads:
        list(threads.map(lambda store: store.backend.open(), stores))
    stores[0].backend.create_room(a_room())
    stores[0].backend.flush()
    for store in stores:
        assert store.backend.get_room("r") == a_room()
        store.backend.close()


# -- what cannot be opened ---------------------------------------------------------------------


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path / "nowhere" / "rooms.sqlite")
    with pytest.raises(StoreUnavailable, match=r"nowhere' does not exist; make it"):
        store.backend.open()
    store.path.parent.mkdir()
    store.backend.open()
    store.backend.close()


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="this user may write there"):
        Store(tmp_path).backend.open()


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A directory that other users may look into, which pytest's are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root writes to whatever it likes; be somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_cannot_be_written_is_refused_and_left_alone(public_folder: Path) -> None:
    store = Store(public_folder / "rooms.sqlite")
    store.backend.open()
    store.backend.create_room(a_room())
    store.backend.close()
    store.path.chmod(0o444)
    public_folder.chmod(0o555)
    before = store.path.read_bytes()
    with without_privileges(), pytest.raises(StoreUnavailable, match="this user may write"):
        store.backend.open()
    assert store.path.read_bytes() == before
    public_folder.chmod(0o755)
    store.path.chmod(0o644)
    store.backend.open()
    assert store.backend.get_room("r") == a_room()
    store.backend.close()


def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rooms.sqlite"
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(StoreUnavailable, match="name another file"):
        Store(path).backend.open()
    assert path.read_text().startswith("Dear diary")


def test_a_file_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rooms.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE rooms (number INTEGER)")
    other.close()
    with pytest.raises(StoreUnavailable, match="already exists"):
        Store(path).backend.open()
    with sqlite3.connect(path) as other:
        tables = other.execute("SELECT name FROM sqlite_master").fetchall()
    other.close()
    assert tables == [("rooms",)]


def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    backend = Store(tmp_path / "rooms.sqlite").backend
    with pytest.raises(StoreUnavailable, match="not open"):
        backend.get_room("r")
    with pytest.raises(StoreUnavailable, match="not open"):
        backend.create_room(a_room())
    backend.abandon()
    backend.close()


# -- the index of words ------------------------------------------------------------------------


def test_the_index_of_words_never_differs_from_the_events(store: Store) -> None:
    backend = store.backend
    for name in ("r", "s"):
        backend.create_room(a_room(name))
    add(backend, *(an_event(number, f"word{number} all") for number in range(5)))
    add(backend, an_event(0, "all", room_id="s"), room_id="s")
    changes = (
        an_event(0, "other"),
        an_event(1, "gone", metadata={"deleted": True}),
        an_event(2, ""),
        an_event(3, "word3 all", metadata={"read": True}),
    )
    for changed in changes:
        add(backend, changed=[changed])
    room = backend.get_room("r")
    assert room is not None
    twice = attrs.evolve(an_event(5, "twice"), id="e4")
    with pytest.raises(AlreadyThere):
        backend.change(a_change(room, twice))
    backend.delete_event("r", "e4", True)
    backend.delete_room("s")
    backend.flush()
    assert store.setting("integrity_check") == "ok"
    # Raises if the index and the column differ.
    check = "INSERT INTO events_words (events_words, rank) VALUES ('integrity-check', 1)"
    store.database.execute(check)
    assert ids(backend.search("all", None, None, 10)) == ["e3"]
