"""What a write is in statements: decided here, carried out by the driver, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.rooms.identity import Identity
from models.rooms.room import Participant, Room
from transports.stores import sql_rows as rows
from transports.stores import sql_texts as texts
from transports.stores.backend import Change
from transports.stores.sql_driver import Row, Statement


def new_room(room: Room) -> Sequence[Statement]:
    return [Statement(texts.INSERT_ROOM, [(*rows.room_row(room), room.delivered_index)])]


def changed_room(change: Change) -> Sequence[Statement]:
    """The room first: if it is not as expected, nothing else is looked at."""
    room_id, *columns = rows.room_row(change.room)
    statements = [Statement(texts.UPDATE_ROOM, [(*columns, room_id, change.expected)], must=1)]

    def add(text: str, all_rows: Sequence[Row]) -> None:
        if all_rows:
            statements.append(Statement(text, all_rows))

    add(texts.INSERT_EVENT, [rows.event_row(event) for event in change.events])
    add(texts.UPDATE_EVENT, [_changed_event(rows.event_row(event)) for event in change.changed])
    add(texts.BIND, [rows.binding_row(binding) for binding in change.bound])
    add(texts.UNBIND, [(room_id, channel_id) for channel_id in change.unbound])
    if change.participants:
        statements += _participants(change.participants)
    add(texts.PUT_TASK, [rows.task_row(task) for task in change.tasks])
    add(texts.PUT_OBSERVATION, [rows.observation_row(seen) for seen in change.observations])
    add(texts.SET_CURSOR, rows.cursor_rows(room_id, change.cursors))
    return statements


def _changed_event(row: Row) -> Row:
    room_id, _, event_id, *columns = row
    return (*columns, room_id, event_id)


def _participants(participants: Sequence[Participant]) -> Sequence[Statement]:
    return [
        Statement(texts.PUT_PARTICIPANT, [rows.participant_row(one) for one in participants]),
        Statement(texts.FORGET_PRESENCE, [(one.room_id, one.id) for one in participants]),
        # One record each, should somebody be named twice.
        Statement(
            texts.PUT_PRESENCE,
            [
                row
                for one in {one.id: one for one in participants}.values()
                for row in rows.presence_rows(one)
            ],
        ),
    ]


def delivered(room_id: str, cursors: Mapping[str, int], index: int) -> Sequence[Statement]:
    """The cursors move on, or stay."""
    statements = [Statement(texts.DELIVERED, [(index, room_id, index)])]
    moved = rows.cursor_rows(room_id, cursors)
    if moved:
        statements.append(Statement(texts.SET_CURSOR, moved))
    return statements


def put_identity(identity: Identity) -> Sequence[Statement]:
    """The identity, and its addresses and no others."""
    organization = identity.organization_id or ""
    addresses = [
        (organization, channel_type, address, identity.id)
        for channel_type, some in identity.channel_addresses.items()
        for address in some
    ]
    statements = [
        Statement(texts.PUT_IDENTITY, [rows.identity_row(identity)]),
        Statement(texts.FORGET_ADDRESSES, [(identity.id,)]),
    ]
    if addresses:
        statements.append(Statement(texts.PUT_ADDRESS, addresses))
    return statements
