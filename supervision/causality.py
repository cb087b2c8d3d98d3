"""What led to what: the tree of one message, and sequence diagrams.

Every message carries the id of the message whose handling sent it. From a list of trace events that
gives back the whole of a turn, through all the actors it went.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import attrs

from supervision.observe import DEFERRED, KILLED, OK, STARTED, STASHED, TraceEvent
from supervision.showing import shown

OUTSIDE = "outside"
"""Who sent what came from outside every actor, or from a message that is not in the list."""


@attrs.frozen
class Caused:
    """A message and everything that its handling led to."""

    event: TraceEvent
    """The last that tells of it."""
    led_to: Sequence[Caused] = ()
    """In the order in which they were sent."""


@attrs.frozen
class Turn:
    """What one message from outside has led to, or the part of it that was traced."""

    root: Caused
    events: Sequence[TraceEvent] = attrs.field(repr=lambda events: f"<{len(events)}>")
    """All events of it, in the order in which they came."""

    def __iter__(self) -> Iterator[TraceEvent]:
        return iter(self.events)

    def __str__(self) -> str:
        lines: list[str] = []
        todo: list[tuple[Caused, int]] = [(self.root, 0)]
        while todo:
            caused, depth = todo.pop()
            event = caused.event
            outcome = "" if event.outcome == OK else f" [{event.outcome}]"
            lines.append(
                f"{'  ' * depth}{event.message_type} → {event.path} "
                f"({event.seconds * 1000:.3g} ms){outcome}"
            )
            todo.extend((child, depth + 1) for child in reversed(caused.led_to))
        return "\n".join(lines)


def follow(events: Iterable[TraceEvent], message_id: int) -> Turn:
    """The turn a message belongs to: from its earliest known cause to all that came of that.

    Raises:
        LookupError: no event of that message is among `events`.
    """
    listed = tuple(events)
    known = {event.id: event for event in listed}
    if message_id not in known:
        raise LookupError(
            f"no event of message {message_id} is here: it was handled before the trace began, its "
            "actor was not traced, or a full buffer has dropped it"
        )
    children: dict[int, list[int]] = {}
    for event in sorted(known.values(), key=lambda event: event.id):
        if event.cause < event.id:  # always, but for files that somebody wrote by hand
            children.setdefault(event.cause, []).append(event.id)
    root = message_id
    while known[root].cause in known and known[root].cause < root:
        root = known[root].cause
    order = [root]
    for parent in order:
        order.extend(children.get(parent, ()))
    made: dict[int, Caused] = {}
    for message in reversed(order):  # children first
        led_to = tuple(made[child] for child in children.get(message, ()))
        made[message] = Caused(known[message], led_to)
    return Turn(made[root], tuple(event for event in listed if event.id in made))


# -- sequence diagrams --------------------------------------------------------------------


def mermaid(events: Iterable[TraceEvent], *, bodies: bool = False) -> str:
    """The events, in the order in which they came, as a Mermaid sequence diagram.

    A solid line is a message, drawn where its handling began; a dotted one the answer to an ask,
    drawn where its handler was done (a deferred answer has no line: no event tells when it was
    given).

    Args:
        bodies: also show what the messages say, bounded and with secrets masked.
    """
    listed = tuple(events)
    handled_by = {event.id: event.path for event in listed}
    last = {event.id: number for number, event in enumerate(listed)}
    names: dict[str, str] = {}
    lines: list[str] = []
    drawn: set[int] = set()
    for number, event in enumerate(listed):
        sender_path = handled_by.get(event.cause, OUTSIDE)
        sender = names.setdefault(sender_path, f"a{len(names)}")
        receiver = names.setdefault(event.path, f"a{len(names)}")
        if event.id not in drawn:
            drawn.add(event.id)
            label = shown(event.message, total=120) if bodies else event.message_type
            arrow = "->>" if event.asked else "-)"
            lines.append(f"{sender}{arrow}{receiver}: {_escaped(label)}")
        if event.outcome != STARTED or last[event.id] == number:
            lines += _done(event, sender, receiver)
    who = [f"participant {name} as {_escaped(path)}" for path, name in names.items()]
    return "".join(f"{line}\n" for line in ["sequenceDiagram", *_indented(who + lines)])


def _indented(lines: Sequence[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _done(event: TraceEvent, sender: str, receiver: str) -> Sequence[str]:
    """What is drawn where the handler was done."""
    match event.outcome:
        case "ok":
            return [f"{receiver}-->>{sender}: answer"] if event.asked else []
        case "started" | "deferred" | "stashed":
            return [f"Note over {receiver}: {_NOTES[event.outcome]}"]
        case "refused" | "poisoned":
            lost = f"{receiver}--x{sender}: {event.outcome}"
            return [lost] if event.asked else [f"Note over {receiver}: {event.outcome}"]
        case outcome:
            crash = "ended" if outcome == KILLED else f"crashed, {_escaped(outcome)}"
            note = [f"Note over {receiver}: {crash}"]
            return [*note, f"{receiver}--x{sender}: {crash}"] if event.asked else note


_NOTES = {STARTED: "not done yet", DEFERRED: "answers later", STASHED: "put aside"}

_SPECIAL = re.compile(r"[^\w .,/()*+=?!'\"\[\]-]")


def _escaped(text: str) -> str:
    """Text as Mermaid takes it: `;` ends a statement there, `#` begins an entity, `:` a label."""
    line = " ".join(text.split()) or "-"
    line = _SPECIAL.sub(lambda found: f"#{ord(found.group())};", line)
    return re.sub(r"\bend\b", "en#100;", line)  # that word alone would close a block
