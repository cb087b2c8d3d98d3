"""The contract of a store over a database that speaks SQL. What the engines differ in is theirs:
see `sql_driver.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from models.rooms.errors import AlreadyThere, Conflict, IdentityNotFound, RoomNotFound
from models.rooms.event import RoomEvent
from models.rooms.identity import Identity
from models.rooms.kinds import ChannelType, RoomStatus, TaskStatus
from models.rooms.room import ChannelBinding, Participant, Room, RoomContext
from models.rooms.scope import may_remember
from models.rooms.traffic import Observation, Task, ThreadSummary
from models.rooms.wire import restored
from transports.stores import sql_changes as changes
from transports.stores import sql_reads as reads
from transports.stores import sql_rows as rows
from transports.stores import sql_texts as texts
from transports.stores.backend import Change, DuplicateKey, EventFilter, Page, RoomRecord
from transports.stores.migrations import migrate
from transports.stores.sql_driver import Orphan, Row, SqlDatabase, Statement, Taken, Unmet
from transports.stores.sql_words import searched_words

T = TypeVar("T")


class SqlBackend:
    """A `StoreBackend` on one connection. Each write is a savepoint in the open transaction;
    `flush` commits all of them together.
    """

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def __repr__(self) -> str:
        return f"<SqlBackend {self._database!r}>"

    # -- the connection -------------------------------------------------------------------

    def open(self) -> None:
        database = self._database
        database.connect()
        try:
            database.begin_migration()
            migrate(database, database.engine)
            database.commit()
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        try:
            if self._database.pending:
                self.flush()
        finally:
            self._database.close()

    def flush(self) -> None:
        self._database.commit()

    def abandon(self) -> None:
        self._database.rollback()

    # -- rooms ----------------------------------------------------------------------------

    def create_room(self, room: Room) -> None:
        try:
            self._database.write(changes.new_room(room))
        except Taken:
            raise AlreadyThere("room", room.id) from None

    def get_room(self, room_id: str) -> Room | None:
        found = self._rooms((reads.ROOM, (room_id,)))
        return found[0] if found else None

    def load_room(self, room_id: str, window: int) -> RoomRecord | None:
        parts: dict[int, list[Row]] = {kind: [] for kind in range(5)}
        found = self._database.read(reads.RECORD, (*[room_id] * 5, max(0, window)))
        for kind, *rest in sorted(found, key=lambda row: row[:2]):
            parts[kind].append(tuple(rest))
        if not parts[reads.RECORD_ROOM]:
            return None
        (_, doc, delivered_index) = parts[reads.RECORD_ROOM][0]

        def values(kind: int, of: type[T]) -> Sequence[T]:
            return tuple(restored(doc, of) for _, doc, _ in parts[kind])

        return RoomRecord(
            RoomContext(
                rows.room_of(doc, delivered_index),
                values(reads.RECORD_BINDING, ChannelBinding),
                values(reads.RECORD_PARTICIPANT, Participant),
                values(reads.RECORD_EVENT, RoomEvent),
            ),
            {channel_id: index for _, channel_id, index in parts[reads.RECORD_CURSOR]},
        )

    def delete_room(self, room_id: str) -> bool:
        return self._database.write([Statement(texts.DELETE_ROOM, [(room_id,)])]) == [1]

    def find_rooms(
        self,
        organization_id: str | None,
        status: RoomStatus | None,
        metadata: Mapping[str, Any],
        limit: int,
        offset: int,
    ) -> Sequence[Room]:
        holds = self._database.metadata_holds
        return self._rooms(reads.rooms(organization_id, status, metadata, limit, offset, holds))

    def find_latest_room(
        self, participant_id: str, channel_type: ChannelType | None, statuses: Sequence[RoomStatus]
    ) -> Room | None:
        found = self._rooms(reads.latest_room(participant_id, channel_type, statuses))
        return found[0] if found else None

    def find_rooms_of_channel(
        self, channel_id: str, statuses: Sequence[RoomStatus], limit: int
    ) -> Sequence[Room]:
        return self._rooms(reads.rooms_of_channel(channel_id, statuses, limit))

    def unfinished_rooms(self, after: str, limit: int) -> Sequence[str]:
        found = self._database.read(reads.UNFINISHED, (after, max(0, limit)))
        return tuple(row[0] for row in found)

    # -- the one write of a room ------------------------------------------------------------

    def change(self, change: Change) -> None:
        if change.changed:
            change = attrs.evolve(change, changed=self._with_results(change.changed))
        try:
            self._database.write(changes.changed_room(change))
        except (Unmet, Taken, Orphan) as fault:
            # Where statements go out together, a later one may complain first.
            raise self._not_as_expected(change) or self._twice(change, fault) from None

    def _with_results(self, changed: Sequence[RoomEvent]) -> Sequence[RoomEvent]:
        """An event keeps its place, its key, and what became of its deliveries."""
        pairs = [(event, self._held_event(event)) for event in changed]
        return [
            attrs.evolve(
                event,
                index=stored.index,
                idempotency_key=stored.idempotency_key,
                delivery_results=stored.delivery_results,
            )
            for event, stored in pairs
            if stored is not None
        ]

    def _not_as_expected(self, change: Change) -> RoomNotFound | Conflict | None:
        found = self._database.read(reads.EVENT_COUNT, (change.room.id,))
        if not found:
            return RoomNotFound("room", change.room.id)
        count = found[0][0]
        return (
            None if count == change.expected else Conflict(change.room.id, change.expected, count)
        )

    def _twice(self, change: Change, fault: Exception) -> Exception:
        """Which of the things that exist once would exist twice; the fault itself, if none."""
        room_id = change.room.id
        by_key: dict[str, RoomEvent] = {}
        for event in change.events:
            key = event.idempotency_key
            if key is None:
                continue
            original = by_key.get(key) or self.get_event_by_key(room_id, key)
            if original is not None:
                return DuplicateKey(original)
            by_key[key] = event
        for event in change.events:
            if self.get_event(room_id, event.id) is not None:
                return AlreadyThere("event", event.id)
        return fault  # ours: indices that are not the next ones, or values of another room

    # -- the delivery cursor ----------------------------------------------------------------

    def advance(self, room_id: str, cursors: Mapping[str, int], delivered_index: int) -> None:
        self._database.write(changes.delivered(room_id, cursors, delivered_index))

    def record_results(self, event: RoomEvent) -> None:
        # Only the results: the event may have been changed since it was delivered.
        stored = self._held_event(event)
        if stored is not None:
            doc = rows.document(attrs.evolve(stored, delivery_results=event.delivery_results))
            row = (doc, event.room_id, event.id)
            self._database.write([Statement(texts.UPDATE_EVENT_DOCUMENT, [row])])

    def _held_event(self, event: RoomEvent) -> RoomEvent | None:
        """The one that is stored, until it is written anew."""
        found = self._database.hold(reads.EVENT, (event.room_id, event.id))
        return restored(found[0][0], RoomEvent) if found else None

    # -- events -----------------------------------------------------------------------------

    def get_event(self, room_id: str, event_id: str) -> RoomEvent | None:
        return self._first((reads.EVENT, (room_id, event_id)), RoomEvent)

    def get_event_by_key(self, room_id: str, key: str) -> RoomEvent | None:
        return self._first((reads.EVENT_BY_KEY, (room_id, key)), RoomEvent)

    def get_timeline(self, room_id: str, wanted: EventFilter, page: Page) -> Sequence[RoomEvent]:
        found = self._all(reads.timeline(room_id, wanted, page), RoomEvent)
        return found[::-1] if page.newest_first else found

    def delete_event(self, room_id: str, event_id: str, cascade_replies: bool) -> Sequence[str]:
        if not self._database.read(reads.EVENT, (room_id, event_id)):
            return ()
        ids = [event_id]
        if cascade_replies:
            replies = self._database.read(reads.THREAD, (room_id, event_id, event_id))
            ids += [row[0] for row in replies]
        self._database.write([Statement(texts.DELETE_EVENT, [(room_id, one) for one in ids])])
        return tuple(ids)

    def get_thread_summaries(self, room_id: str) -> Sequence[ThreadSummary]:
        return tuple(
            ThreadSummary(root, replies, rows.at_instant(last))
            for root, replies, last in self._database.read(reads.THREADS, (room_id,))
        )

    def search(
        self, text: str, room_id: str | None, organization_id: str | None, limit: int
    ) -> Sequence[RoomEvent]:
        words = searched_words(text)
        if not words:
            return ()
        database = self._database
        query = database.query(words)
        question = reads.search(database.text_search, query, room_id, organization_id, limit)
        return self._all(question, RoomEvent)

    # -- identities -------------------------------------------------------------------------

    def put_identity(self, identity: Identity) -> None:
        self._database.write(changes.put_identity(identity))

    def get_identity(self, identity_id: str, organization_id: str | None) -> Identity | None:
        found = self._first((reads.IDENTITY, (identity_id,)), Identity)
        return found if found is not None and found.organization_id == organization_id else None

    def resolve_identity(
        self, channel_type: ChannelType, address: str, organization_id: str | None
    ) -> Identity | None:
        row = (organization_id or "", channel_type.value, address)
        return self._first((reads.IDENTITY_BY_ADDRESS, row), Identity)

    def link_address(self, identity_id: str, channel_type: ChannelType, address: str) -> None:
        found = self._database.hold(reads.IDENTITY, (identity_id,))
        if not found:
            raise IdentityNotFound("identity", identity_id)
        identity = restored(found[0][0], Identity)
        known = identity.channel_addresses.get(channel_type.value, ())
        if address not in known:
            addresses = {**identity.channel_addresses, channel_type.value: (*known, address)}
            identity = attrs.evolve(identity, channel_addresses=addresses)
        self.put_identity(identity)

    # -- work -------------------------------------------------------------------------------

    def list_tasks(self, room_id: str, status: TaskStatus | None) -> Sequence[Task]:
        if status is None:
            return self._all((reads.TASKS, (room_id,)), Task)
        return self._all((reads.TASKS_OF_STATUS, (room_id, status.value)), Task)

    def get_task(self, task_id: str) -> Task | None:
        return self._first((reads.TASK, (task_id,)), Task)

    def update_task(self, task: Task) -> None:
        task_id, _, *columns = rows.task_row(task)
        self._database.write([Statement(texts.UPDATE_TASK, [(*columns, task_id)])])

    def list_observations(self, room_id: str) -> Sequence[Observation]:
        return self._all((reads.OBSERVATIONS, (room_id,)), Observation)

    # -- reading ----------------------------------------------------------------------------

    def mark_read(self, room_id: str, channel_id: str, index: int) -> int:
        try:
            self._database.write([Statement(texts.MARK_READ, [(room_id, channel_id, index)])])
        except Orphan:
            raise RoomNotFound("room", room_id) from None
        marker: int = self._database.read(reads.READ_MARKER, (room_id, channel_id))[0][0]
        return marker

    def get_unread_count(self, room_id: str, channel_id: str) -> int:
        row = (room_id, room_id, channel_id, room_id, channel_id, room_id)
        bindings: dict[str, ChannelBinding] = {}
        unread: list[tuple[RoomEvent, int]] = []
        for kind, doc, count in self._database.read(reads.UNREAD, row):
            if kind == reads.UNREAD_BINDING:
                binding = restored(doc, ChannelBinding)
                bindings[binding.channel_id] = binding
            else:
                unread.append((restored(doc, RoomEvent), count))
        own = bindings.get(channel_id)
        return sum(
            count
            for event, count in unread
            if may_remember(event, own, channel_id, bindings.get(event.source.channel_id))
        )

    def list_read_markers(self, room_id: str) -> Mapping[str, int]:
        return dict(self._database.read(reads.READ_MARKERS, (room_id,)))

    # -- rows to values -----------------------------------------------------------------------

    def _rooms(self, question: reads.Question) -> Sequence[Room]:
        return tuple(rows.room_of(doc, index) for doc, index in self._database.read(*question))

    def _all(self, question: reads.Question, kind: type[T]) -> tuple[T, ...]:
        return tuple(restored(row[0], kind) for row in self._database.read(*question))

    def _first(self, question: reads.Question, kind: type[T]) -> T | None:
        found = self._database.read(*question)
        return restored(found[0][0], kind) if found else None
