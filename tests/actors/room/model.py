"""What may happen in a room, and a small model of who sees what.

Written from the rules of permission and visibility (§6.1), of who is asked to act (§6.2) and of
edits (§10.4); it knows nothing of the room but those.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from hypothesis import strategies as st

from models.rooms.kinds import Access, AgentResponsePolicy, EventType

TRANSPORTS = ("web", "sms", "live")
"""`live` shows answers while they are made."""
AGENTS = ("ai", "poet")
"""`poet` streams what it answers."""
WINDOW = 50
TALK = (EventType.MESSAGE, EventType.EDIT, EventType.DELETE)
READS = (Access.READ_WRITE, Access.READ_ONLY)
WRITES = (Access.READ_WRITE, Access.WRITE_ONLY)

# -- what may happen -------------------------------------------------------------------------------


@attrs.frozen
class Say:
    channel: str
    sender: str
    visibility: str
    addressed: Sequence[str] | None
    scope: str | None
    by_application: bool


@attrs.frozen
class Change:
    """An edit or a delete of something said earlier."""

    channel: str
    sender: str
    target: int
    delete: bool


@attrs.frozen
class Again:
    """Something that was sent is sent once more, with the same key."""

    number: int


@attrs.frozen
class Attach:
    channel: str
    access: Access
    visibility: str
    muted: bool


@attrs.frozen
class Detach:
    channel: str


@attrs.frozen
class SetMuted:
    channel: str
    muted: bool


@attrs.frozen
class SetAccess:
    channel: str
    access: Access


@attrs.frozen
class SetVisibility:
    channel: str
    visibility: str


@attrs.frozen
class SetPolicy:
    policy: AgentResponsePolicy


CHANNELS = st.sampled_from(TRANSPORTS + AGENTS)
SPEAKERS = st.sampled_from(TRANSPORTS)
PEOPLE = st.sampled_from(["ann", "bo"])
ACCESS = st.sampled_from([Access.READ_WRITE] * 3 + list(Access))
LISTED = ["none", "internal", "transport", "intelligence", "live", "web, poet", "ai,sms"]
VISIBILITY = st.sampled_from(["all"] * 5 + LISTED)
SCOPES = st.sampled_from([None, None, None, "all", *LISTED[2:], "none"])
ADDRESSED = st.sampled_from([None, None, None, (), ("ai",), ("poet",), ("ai", "poet")])
SAID = st.builds(Say, SPEAKERS, PEOPLE, VISIBILITY, ADDRESSED, SCOPES, st.booleans())
CHANGED = st.builds(Change, SPEAKERS, PEOPLE, st.integers(0, 30), st.booleans())
OPERATIONS = st.one_of(
    SAID,
    SAID,
    SAID,
    CHANGED,
    st.builds(Again, st.integers(0, 30)),
    st.builds(Attach, CHANNELS, ACCESS, VISIBILITY, st.booleans()),
    st.builds(Detach, CHANNELS),
    st.builds(SetMuted, CHANNELS, st.booleans()),
    st.builds(SetAccess, CHANNELS, ACCESS),
    st.builds(SetVisibility, CHANNELS, VISIBILITY),
    st.builds(SetPolicy, st.sampled_from(list(AgentResponsePolicy))),
)

# -- the model -------------------------------------------------------------------------------------


@attrs.define
class Rights:
    access: Access = Access.READ_WRITE
    visibility: str = "all"
    muted: bool = False

    @property
    def forbids(self) -> str | None:
        """Why nothing that comes from there is passed on."""
        if self.muted:
            return "source_muted"
        return None if self.access in WRITES else "source_read_only"


@attrs.define(eq=False)
class Entry:
    """Something in the timeline."""

    kind: EventType
    source: str
    author: str
    text: str
    visibility: str = "all"
    scope: str | None = None
    addressed: Sequence[str] | None = None
    answer: bool = False
    blocked: str | None = None
    deleted: bool = False
    id: str = ""

    @property
    def outline(self) -> tuple[object, ...]:
        """What the room must have written."""
        words = self.text if self.kind is EventType.MESSAGE else ""
        return (self.kind.value, self.source, words, self.visibility, self.blocked or "")


@attrs.define
class Model:
    """The rules, and what came of them so far."""

    bound: dict[str, Rights] = attrs.field(factory=dict)
    revoked: set[str] = attrs.field(factory=set)
    policy: AgentResponsePolicy = AgentResponsePolicy.AGENT_CHAIN
    entries: list[Entry] = attrs.field(factory=list)

    # §6.1, rules 5 and 6

    def admits(self, visibility: str, channel: str) -> bool:
        if visibility == "all":
            return True
        if visibility in ("none", "internal"):
            return False
        if visibility == "transport":
            return channel in TRANSPORTS
        if visibility == "intelligence":
            return channel in AGENTS
        return channel in [name.strip() for name in visibility.split(",")]

    def effective(self, entry: Entry) -> str:
        if entry.visibility != "all":
            return entry.visibility
        return self.bound[entry.source].visibility if entry.source in self.bound else "all"

    # §6.1, rules 1 and 7

    def receivers(self, entry: Entry) -> list[str]:
        if entry.blocked:
            return []
        return [
            name
            for name, rights in self.bound.items()
            if name != entry.source
            and rights.access in READS
            and self.admits(self.effective(entry), name)
        ]

    def remembers(self, channel: str, entry: Entry) -> bool:
        if entry.blocked:
            return False
        if entry.source == channel:
            return True
        return channel in self.bound and self.admits(self.effective(entry), channel)

    def history(self, agent: str, before: Entry) -> list[str]:
        """What an agent can read of what was said before."""
        earlier = self.entries[: self.entries.index(before)]
        said = [e for e in earlier if e.kind is EventType.MESSAGE and not e.blocked][-WINDOW:]
        return ["" if e.deleted else e.text for e in said if self.remembers(agent, e)]

    # §6.2

    def asked(self, entry: Entry) -> list[str]:
        if entry.kind is not EventType.MESSAGE:
            return []
        agents = [name for name in self.receivers(entry) if name in AGENTS]
        if entry.addressed is not None:
            return [name for name in agents if name in entry.addressed]
        if entry.source in AGENTS and self.policy is AgentResponsePolicy.ADDRESSED_ONLY:
            return []
        return agents

    # §6.1, rules 2, 3 and 8

    def come_in(self, channel: str) -> None:
        """A channel that nobody has sent away is attached by its first message."""
        if channel not in self.bound and channel not in self.revoked:
            self.bound[channel] = Rights()

    def said(self, entry: Entry) -> list[Entry]:
        """What is written when something is said: it, and the answers to it, in any order."""
        if entry.source not in self.bound:
            entry.blocked = "source_unbound"
        else:
            entry.blocked = self.bound[entry.source].forbids
        entry.visibility = self.effective(entry)  # settled when it is written
        return [entry, *(self.answer(agent, entry) for agent in self.asked(entry))]

    def answer(self, agent: str, to: Entry) -> Entry:
        words, scope = f"{agent} re {to.text}", to.scope
        return Entry(
            EventType.MESSAGE,
            agent,
            agent,
            words,
            scope if scope not in (None, "all") else self.bound[agent].visibility,
            scope,
            answer=True,
            blocked=self.bound[agent].forbids,
        )

    # §10.4

    def may_change(self, sender: str, target: Entry | None) -> str | None:
        if target is None or target.blocked or target.deleted or target.kind not in TALK[:1]:
            return "target_event_not_found"
        return None if target.author == sender else "not_original_author"
