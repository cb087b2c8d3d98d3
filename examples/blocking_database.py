"""A driver that blocks, on a thread of its own: an answer means that the note is on disk."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import attrs
import trio

from supervision import BlockingActor, Request, handles, open_system


@attrs.frozen
class Save(Request[int]):
    """Keep a note. Answered with its number once it is on disk."""

    text: str


class Count(Request[int]):
    """How many notes are there?"""


class Notes(BlockingActor[Save | Count]):
    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def on_start(self) -> None:  # on the thread, unlike __init__: a connection belongs to one
        self._database = sqlite3.connect(self._file)
        self._database.execute("create table if not exists notes (text)")

    @handles
    def on_save(self, message: Save) -> int | None:
        return self._database.execute("insert into notes values (?)", [message.text]).lastrowid

    @handles
    def on_count(self, _message: Count) -> int:
        return int(self._database.execute("select count(*) from notes").fetchone()[0])

    def on_batch_end(self) -> None:
        self._database.commit()  # one for all messages of the batch, before they are answered

    def on_stop(self) -> None:
        self._database.close()


async def main(file: Path) -> None:
    async with open_system() as system:
        notes = await system.spawn(Notes, file, path="/notes")
        replies = [notes.ask(Save(f"note {number}")) for number in range(8)]
        saved = [await reply for reply in replies]
        print(f"{await notes.ask(Count())} of {len(saved)} notes are on disk")


with tempfile.TemporaryDirectory() as folder:
    trio.run(main, Path(folder) / "notes.db")
