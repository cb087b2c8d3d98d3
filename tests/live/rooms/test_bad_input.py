"""What is wrong is told to whoever caused it, and to nobody else; nothing is stored half."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import orjson
import pytest
import trio

from actors.room.config import WebhookSection
from actors.room.plan import RoomsPlan
from models.rooms.content import text_of
from models.rooms.errors import StoreUnavailable
from models.rooms.kinds import EventType
from supervision.secret import Secret
from tests.live.rooms.faults import Kind, faulty_store
from tests.live.rooms.house import SECRET, LiveRooms, Person, live_rooms, until
from tests.live.rooms.world import signed
from tests.transports.stores.postgres_server import (
    find_binaries,
    run_as,
    serving,
    unprivileged_user,
)
from transports.channels.signature import SIGNATURE, TIMESTAMP, sign
from transports.channels.webhook import WebhookConfig, inbound_webhook_channel
from transports.channels.webhook_in import InboundWebhook
from transports.channels.websocket.client import NotDone
from transports.client_link import connect_link
from transports.frame_link import LinkClosed
from transports.sansio_link import SansIoLink
from transports.stores.backend import EventFilter
from transports.stores.config import StoreConfig

ALL = EventFilter(include_blocked=True)


async def said_in(live: LiveRooms, room_id: str = "r") -> list[str]:
    """The messages on record; indices are without gaps."""
    events = await live.rooms.get_timeline(room_id, ALL)
    assert [event.index for event in events] == list(range(len(events)))
    return [text_of(e.content) for e in events if e.type is EventType.MESSAGE]


# -- the room WebSocket ----------------------------------------------------------------------------


class Frames:
    """A client that says whatever it likes."""

    def __init__(self, link: SansIoLink) -> None:
        self._link = link
        self._heard: list[dict[str, Any]] = []

    async def say(self, frame: object) -> None:
        text = frame if isinstance(frame, str) else orjson.dumps(frame).decode()
        await self._link.send([text])

    async def hear(self, *kinds: str) -> dict[str, Any]:
        """The next frame of one of these types."""
        while True:
            while self._heard:
                frame = self._heard.pop(0)
                if frame["type"] in kinds:
                    return frame
            self._heard += [orjson.loads(payload) for payload in await self._link.receive()]


@asynccontextmanager
async def rude_client(live: LiveRooms) -> AsyncIterator[Frames]:
    async with connect_link(live.wire) as link:
        frames = Frames(link)
        await frames.say({"type": "hello", "participant_id": "mallory", "channel": "websocket"})
        await frames.hear("ready")
        await frames.say({"type": "subscribe", "room_id": "r"})
        await frames.hear("subscribed")
        yield frames


BAD_FRAMES: list[tuple[object, str]] = [
    ("{", "bad_json"),
    ("[1, 2]", "bad_json"),
    ("\x00", "bad_json"),
    ({"no": "type"}, "bad_frame"),
    ({"type": "dance"}, "unknown_type"),
    ({"type": "message", "room_id": "r", "id": "1"}, "bad_frame"),
    ({"type": "message", "room_id": "r", "id": "1", "text": 7}, "bad_frame"),
    ({"type": "message", "room_id": 7, "id": "1", "text": "x"}, "bad_frame"),
    ({"type": "message", "room_id": "r", "id": "", "text": "x"}, "bad_frame"),
    ({"type": "message", "room_id": "r", "id": "1", "content": {"type": "lie"}}, "bad_frame"),
    ({"type": "message", "room_id": "r", "id": "1", "content": {"type": "text"}}, "bad_frame"),
    (
        {"type": "message", "room_id": "r", "id": "1", "text": "x", "event_type": "system"},
        "bad_frame",
    ),
    ({"type": "subscribe", "room_id": "nowhere"}, "room_not_found"),
    ({"type": "subscribe", "room_id": "a/b"}, "bad_frame"),
    ({"type": "subscribe", "room_id": "closed/../r"}, "bad_frame"),
    ({"type": "typing", "room_id": "r", "on": "perhaps"}, "bad_frame"),
]


async def test_what_a_client_says_wrong_is_told_to_it_alone(sqlite: StoreConfig) -> None:
    async with live_rooms(sqlite) as live:
        await live.room("r", "websocket")
        async with live.person("ada", "r") as ada, rude_client(live) as mallory:
            for frame, code in BAD_FRAMES:
                await mallory.say(frame)
                told = await mallory.hear("error", "refused")
                assert told["code"] == code, (frame, told)
            await mallory.say({"type": "message", "room_id": "r", "id": "m", "text": "sorry"})
            assert (await mallory.hear("accepted"))["id"] == "m"
            await ada.hears("sorry")
            assert ada.texts == ["sorry"]
        assert await said_in(live) == ["sorry"]


async def test_what_is_too_long_is_refused_and_far_too_long_is_the_end(sqlite: StoreConfig) -> None:
    async with live_rooms(sqlite) as live:
        await live.room("r", "websocket")
        async with live.person("ada", "r") as ada:
            async with rude_client(live) as mallory:
                long = {"type": "message", "room_id": "r", "id": "1", "text": "x" * 70_000}
                await mallory.say(long)
                assert (await mallory.hear("error", "refused"))["code"] == "too_large"
                await mallory.say({**long, "text": "short"})
                await mallory.hear("accepted")
                await mallory.say({**long, "text": "x" * 2_000_000})
                with pytest.raises(LinkClosed) as closed:
                    await mallory.hear("accepted", "error", "refused")
                assert closed.value.code == 1009
            await ada.client.send("r", "still here")
            await ada.hears("still here")
        assert await said_in(live) == ["short", "still here"]


async def test_a_room_that_is_closed_or_not_there_takes_nothing(sqlite: StoreConfig) -> None:
    async with live_rooms(sqlite) as live:
        await live.room("r", "websocket")
        await live.room("done", "websocket")
        async with live.person("ada", "r", "done") as ada:
            await live.rooms.close_room("done")
            for room_id, code in (("done", "room_closed"), ("nowhere", "not_subscribed")):
                with pytest.raises(NotDone) as refused:
                    await ada.client.send(room_id, "hello?")
                assert refused.value.code == code
            await ada.client.send("r", "hello")
            await ada.hears("hello")
        assert await said_in(live, "done") == []
        assert await said_in(live) == ["hello"]


# -- webhooks --------------------------------------------------------------------------------------


@asynccontextmanager
async def hooked(store: StoreConfig) -> AsyncIterator[tuple[LiveRooms, httpx.AsyncClient]]:
    """Rooms that webhooks come to; "r" is open, "done" is closed."""
    hooks = {
        name: WebhookSection(
            WebhookConfig("https://example.org/", SECRET),
            InboundWebhook(
                (SECRET,), room_id=room_id, largest=4096, may_choose_room=room_id is None
            ),
        )
        for name, room_id in (("hook", "r"), ("late", "done"), ("free", None))
    }
    async with live_rooms(store, webhooks=hooks) as live:
        for name in hooks:
            await live.rooms.register_channel(inbound_webhook_channel(name, live.rooms.desk))
        await live.room("r", "websocket", "hook")
        await live.room("done", "late")
        await live.rooms.close_room("done")
        async with httpx.AsyncClient(base_url=live.address) as client:
            yield live, client


def body(**fields: Any) -> bytes:
    return orjson.dumps({"sender_id": "shop", **fields})


def forged(data: bytes) -> dict[str, str]:
    headers = signed(data)
    return {**headers, SIGNATURE: sign(Secret("guessed"), data, headers[TIMESTAMP])}


async def test_webhooks_that_are_wrong_forged_or_late_are_turned_away(sqlite: StoreConfig) -> None:
    good = body(body="hello", external_id="1")
    plain = {"Content-Type": "application/json"}
    wrong = [
        ("hook", b"{", signed(b"{"), 400, "malformed"),
        ("hook", b"[]", signed(b"[]"), 400, "malformed"),
        ("hook", (none := body()), signed(none), 400, "malformed"),
        ("hook", (number := body(body=7)), signed(number), 400, "malformed"),
        ("hook", (room := body(body="x", room_id="r")), signed(room), 400, "malformed"),
        ("hook", (long := body(body="x" * 5000)), signed(long), 413, "too_large"),
        ("hook", good, plain, 401, "unsigned"),
        ("hook", good, forged(good), 401, "forged"),
        ("hook", good, signed(good, time.time() - 3600), 401, "stale"),
        (
            "hook",
            good,
            {**signed(good), "Content-Type": "text/plain"},
            415,
            "unsupported_media_type",
        ),
        ("nobody", good, signed(good), 404, "unknown_channel"),
        ("late", good, signed(good), 409, "room_closed"),
        ("free", (astray := body(body="x", room_id="a/../r")), signed(astray), 400, "malformed"),
    ]
    async with hooked(sqlite) as (live, client), live.person("ada", "r") as ada:
        for channel, data, headers, status, code in wrong:
            answer = await client.post(f"/webhooks/{channel}", content=data, headers=headers)
            told = answer.json().get("error", {}).get("code")
            assert (answer.status_code, told) == (status, code), (channel, data)
        headers = signed(good)
        first = await client.post("/webhooks/hook", content=good, headers=headers)
        assert first.status_code == 200
        replayed = await client.post("/webhooks/hook", content=good, headers=headers)
        assert (replayed.status_code, replayed.json()["error"]["code"]) == (409, "replayed")
        # The same message under a new signature is the same message.
        again = body(body="hello", external_id="1", attempt=2)
        second = await client.post("/webhooks/hook", content=again, headers=signed(again))
        assert second.json()["event_id"] == first.json()["event_id"]
        await ada.hears("hello")
        assert ada.texts == ["hello"]
        assert await said_in(live) == ["hello"]
        assert await said_in(live, "done") == []


# -- stores that fail ------------------------------------------------------------------------------

TROUBLES: list[Kind] = ["read_only", "full", "cut_off", "answer_lost"]
PLAN = RoomsPlan(store_timeout=2.0)
LONG = "words " * 10_000
"""More than the free pages of a file hold."""


@pytest.mark.parametrize("kind", TROUBLES)
async def test_a_store_that_fails_is_told_to_who_wrote_and_then_all_goes_on(
    kind: Kind, store: StoreConfig
) -> None:
    if kind == "full" and store.engine == "postgres":
        pytest.skip("a full disk of a server cannot be had without a disk of its own")
    trouble, kept_as = faulty_store(store)
    async with live_rooms(store, plan=PLAN, kept_as=kept_as) as live:
        live.system.expect_crash("/store*")
        sms = await live.transport("sms")
        await live.room("r", "websocket", "sms")
        await live.room("other", "websocket", "sms")
        async with live.person("ada", "r", "other") as ada, live.person("bob", "r") as bob:
            await ada.client.send("r", "before")
            await until(partial(live.delivered, "r"))

            trouble.kind = kind
            with pytest.raises(NotDone) as refused:
                await ada.client.send("r", LONG, id="m")
            assert refused.value.code == "store_unavailable"
            assert trouble.met
            trouble.kind = ""

            again = await ada.client.send("r", LONG, id="m")
            assert again.event_id is not None
            after = await ada.client.send("r", "after")
            assert (again.index, after.index) == (3, 4)
            await bob.hears("after")
            await ada.client.send("other", "elsewhere")
            await until(partial(live.delivered, "r"))
            await until(partial(live.delivered, "other"))
            assert bob.texts == ["before", LONG, "after"]
        assert await said_in(live) == ["before", LONG, "after"]
        assert await said_in(live, "other") == ["elsewhere"]
        assert [text[:1600] for text in sms.texts][-1] == "elsewhere"
        assert len(sms.delivered) == 4


@pytest.mark.parametrize("kind", ["read_only", "cut_off", "answer_lost"])
async def test_a_verb_of_the_application_that_the_store_fails_raises_so(
    kind: Kind, store: StoreConfig
) -> None:
    trouble, kept_as = faulty_store(store)
    async with live_rooms(store, plan=PLAN, kept_as=kept_as) as live:
        live.system.expect_crash("/store*")
        await live.room("r", "websocket")
        await live.transport("sms")
        trouble.kind = kind
        with pytest.raises(StoreUnavailable):
            await live.rooms.attach_channel("r", "sms")
        trouble.kind = ""
        binding = await live.rooms.attach_channel("r", "sms")
        context = await live.rooms.look("r")
        assert [each.channel_id for each in context.bindings] == ["websocket", "sms"]
        assert binding in context.bindings
        await live.rooms.mute("r", "sms")
        events = await live.rooms.get_timeline("r", ALL)
        assert [event.type.value for event in events] == [
            "channel_attached",
            "channel_attached",
            "channel_muted",
        ]


async def test_a_database_server_that_dies_and_comes_back_costs_nothing_but_time() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("there is no PostgreSQL on this machine")
    user = unprivileged_user()
    with TemporaryDirectory(prefix="troupe-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)
        run_as(user, binaries / "initdb", "-D", folder / "data", "-U", "troupe", "-A", "trust",
               "-E", "UTF8", "--locale=C", "--no-sync")  # fmt: skip
        dsn = Secret(f"host={folder} user=troupe dbname=postgres")
        store = StoreConfig(engine="postgres", dsn=dsn, connections=2)
        with ExitStack() as lives:
            await trio.to_thread.run_sync(lives.enter_context, serving(binaries, folder, user))
            async with live_rooms(store, plan=PLAN) as live:
                live.system.expect_crash("/store*")
                await live.room("r", "websocket")
                async with live.person("ada", "r") as ada, live.person("bob", "r") as bob:
                    await ada.client.send("r", "before")
                    await bob.hears("before")
                    os.kill(
                        int((folder / "data" / "postmaster.pid").read_text().split()[0]),
                        signal.SIGQUIT,
                    )
                    with pytest.raises(NotDone) as refused:
                        await ada.client.send("r", "meanwhile", id="m")
                    assert refused.value.code == "store_unavailable"
                    await trio.to_thread.run_sync(lives.close)
                    await trio.to_thread.run_sync(
                        lives.enter_context, serving(binaries, folder, user)
                    )
                    await again_until_taken(ada, "meanwhile", "m")
                    await ada.client.send("r", "after")
                    await bob.hears("after")
                    await until(partial(live.delivered, "r"))
                    assert bob.texts == ["before", "meanwhile", "after"]
                assert await said_in(live) == ["before", "meanwhile", "after"]


async def again_until_taken(ada: Person, text: str, name: str) -> None:
    """The store comes back in its own time."""
    with trio.fail_after(20):
        while True:
            try:
                await ada.client.send("r", text, id=name)
                return
            except NotDone as refused:
                assert refused.code == "store_unavailable"
