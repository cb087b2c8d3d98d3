"""`troupe run` itself, killed while people talk: the rooms of its configuration go on after it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from models.rooms.content import text_of
from tests.live.rooms.house import SECRET, until
from tests.live.rooms.test_kills import EACH, Story, messages
from tests.live.rooms.world import Receiver, disk, receiver, road
from transports.stores.config import StoreConfig

RUN = (sys.executable, "-c", "from actors.cli import main; main()", "run", "--config")
UP_WITHIN = 60.0

CONFIG = """
[server]
port = 0

[models.vad]
engine = "energy"

[models.llm.dialogue]
first_token = 0.02
tokens_per_second = 0.0

[store]
path = "{store}"

[rooms]
newcomers = ["websocket", "assistant"]

[rooms.webhooks.hook.send]
url = "{receiver}"
secret = {{ env = "TROUPE_TEST_SECRET" }}
allow_private = true

[rooms.webhooks.hook.receive]
secrets = [{{ env = "TROUPE_TEST_SECRET" }}]
room_id = "r"
"""


@asynccontextmanager
async def product(config: Path) -> AsyncIterator[tuple[trio.Process, int]]:
    """A node of its own, and its port; killed at the end of the block if it still runs."""
    with (config.parent / "log").open("ab") as log:
        process = await trio.lowlevel.open_process(
            [*RUN, str(config)],
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "TROUPE_TEST_SECRET": SECRET.reveal()},
        )
    try:
        assert process.stdout is not None
        said = b""
        with trio.fail_after(UP_WITHIN):
            while not (address := re.search(rb"talk to it at \S+:(\d+)\s", said)):
                more = await process.stdout.receive_some()
                assert more, (config.parent / "log").read_text()
                said += more
        yield process, int(address[1])
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def test_the_product_is_killed_and_nothing_is_lost_or_said_twice(tmp_path: Path) -> None:
    store = StoreConfig(path=str(tmp_path / "rooms.sqlite"))
    with receiver() as outside, trio.fail_after(60):
        config = tmp_path / "config.toml"
        config.write_text(CONFIG.format(store=store.path, receiver=outside.url))
        story = Story()
        async with road() as way, trio.open_nursery() as nursery:
            async with product(config) as (process, way.target):
                nursery.start_soon(story.shop_writes, way)
                await until(lambda: story.shop, 20)  # which has made the room
                await nursery.start(story.bob_watches, way)
                nursery.start_soon(story.ada_writes, way)
                await until(lambda: len(story.ada) + len(story.shop) >= EACH)
                process.kill()
                assert await process.wait() == -signal.SIGKILL
            async with product(config) as (process, way.target):
                with disk(store) as kept:
                    await until(lambda: story.over, 20)
                    await until(lambda: kept.look().delivered, 20)
                    found = kept.look()
                    said = messages(found.events)
                    await until(lambda: len(messages(story.seen)) == len(said))
                nursery.cancel_scope.cancel()
                process.terminate()
                assert await process.wait() == 0
    assert [event.index for event in found.events] == list(range(len(found.events)))
    own = [f"{who} {n}" for who in ("ada", "shop") for n in range(EACH)]
    by_people = [text_of(e.content) for e in said if e.source.channel_id != "assistant"]
    assert Counter(by_people) == Counter(own)
    answers = [event for event in said if event.source.channel_id == "assistant"]
    assert len(answers) == len(own)
    owed = [event.id for event in said if event.source.channel_id != "hook"]
    assert brought(outside) == owed
    assert [event.id for event in messages(story.seen)] == [event.id for event in said]


def brought(outside: Receiver) -> list[str]:
    return [post.event_id for post in outside.taken]
