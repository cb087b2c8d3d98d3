"""What the host does to what was said, and what comes up besides (§10)."""

from __future__ import annotations

import pytest

from actors.machines.room.hooking import HookTrigger
from actors.machines.room.steps import (
    Carry,
)
from models.rooms.content import Delete, Text
from models.rooms.errors import (
    BadValue,
    NotFound,
    RoomClosed,
)
from models.rooms.kinds import (
    EventType,
    TaskStatus,
)
from models.rooms.turns import Reaction
from tests.actors.machines.room import operations
from tests.actors.machines.room.driver import Driver


def open_room(*bound: str) -> Driver:
    """With these channels, and nothing said yet about what comes."""
    return Driver.of_room().attach(*bound).forget_effects()


# -- what was said -----------------------------------------------------------------------------


def test_the_host_replaces_what_was_said_wholesale_and_histories_show_it() -> None:
    room = open_room("web", "ai")
    event = room.say("web", "my card is 4711", metadata={"lang": "en"}).event
    after = room.run(
        operations.update_event(
            room.pipeline, event.id, content=Text("my card is ****"), metadata={"redacted": True}
        )
    )
    assert after is not None
    assert (after.content, after.index) == (Text("my card is ****"), event.index)
    assert dict(after.metadata) == {"redacted": True}
    assert room.core.recent == (after,)
    assert room.backend.get_event("r", event.id) == after
    assert HookTrigger.ON_EVENT_UPDATED in room.fired()


def test_the_host_may_change_what_is_not_shown_and_the_dead_and_not_what_is_not_there() -> None:
    room = open_room("web")
    event = room.say("web", "gone").event
    room.say("web", Delete(event.id), event_type=EventType.DELETE)
    assert room.run(operations.update_event(room.pipeline, "nothing", content=Text("x"))) is None
    after = room.run(operations.update_event(room.pipeline, event.id, metadata={}))
    assert after is not None
    assert after.content == Text("gone")
    room.forget_effects()
    room.run(operations.update_event(room.pipeline, event.id, metadata={}))
    assert not room.kept()


@pytest.mark.parametrize("cascade", [True, False])
def test_the_host_deletes_for_good_replies_and_all_unless_it_says_otherwise(cascade: bool) -> None:
    room = open_room("web")
    root = room.say("web", "root").event
    reply = room.say("web", "reply", parent_event_id=root.id).event
    other = room.say("web", "other").event
    gone = room.run(operations.delete_event(room.pipeline, root.id, cascade_replies=cascade))
    assert list(gone) == ([root.id, reply.id] if cascade else [root.id])
    left = [event.id for event in room.core.recent]
    assert left == ([other.id] if cascade else [reply.id, other.id])
    fired = [
        effect for effect in room.effects if getattr(effect, "trigger", "") == "on_event_deleted"
    ]
    assert [effect.payload.metadata["deleted_event_ids"] for effect in fired] == [list(gone)]
    assert room.say("web", "next").event.index == other.index + 1
    assert room.run(operations.delete_event(room.pipeline, "nothing")) == ()


def test_a_restart_is_not_held_up_by_what_was_deleted_before_it_was_delivered() -> None:
    room = open_room("web", "sms")
    gone = room.say("web", "one").event
    room.say("web", "two")
    room.run(operations.delete_event(room.pipeline, gone.id))
    again = room.restarted()
    again.redrive()
    assert [carry.event.content for carry in again.done(Carry)] == [Text("two")]
    again.deliver_all()
    assert again.core.delivered_index == again.core.room.latest_index


# -- answering again ---------------------------------------------------------------------------


def test_the_last_question_is_answered_again_by_agents_alone() -> None:
    room = open_room("web", "sms", "ai")
    room.say("web", "first")
    room.answer("one")
    asked = room.say("web", "second").event
    room.answer("two")
    room.deliver_all().forget_effects()
    cascade = room.regenerate()
    assert cascade.event == asked
    assert not room.done(Carry)
    (begun,) = room.thinking
    assert begun.event.content == Text("second")
    assert begun.event.metadata["regenerates"] == asked.id
    assert [e.content for e in begun.context.recent_events] == [Text("first"), Text("one")]
    room.answer("two, again")
    room.deliver_all()
    assert cascade.settled
    assert room.timeline()[-1].content == Text("two, again")
    assert {carry.channel_id for carry in room.done(Carry)} == {"web", "sms"}
    assert HookTrigger.AFTER_BROADCAST in room.fired()  # of the answer, and of that alone
    assert room.fired().count(HookTrigger.AFTER_BROADCAST) == 1
    assert room.core.delivered_index == room.core.room.latest_index


def test_answering_again_while_the_question_is_on_its_way_keeps_the_cursor_honest() -> None:
    room = open_room("web", "sms", "ai")
    first = room.say("web", "question")
    again = room.regenerate()
    room.answer("one")
    room.answer("other")
    assert room.core.delivered_index < first.event.index  # the SMS has not left yet
    room.deliver_all()
    assert first.settled
    assert again.settled
    assert room.core.delivered_index == room.core.room.latest_index


def test_there_is_nothing_to_answer_where_no_agent_was_asked() -> None:
    empty = open_room("web", "ai")
    assert empty.regenerate().event is None
    room = open_room("web", "sms", "ai")
    room.say("web", "between us", visibility="sms")
    room.say("web", "nobody", addressed_to=())
    room.say("ai", "an agent")
    assert room.regenerate().event is None
    assert not room.thinking
    room.run(operations.close_room(room.pipeline))
    with pytest.raises(RoomClosed):
        room.regenerate()


def test_an_agent_that_fails_at_it_says_so() -> None:
    room = open_room("web", "ai")
    room.say("web", "question")
    room.answer("answer")
    cascade = room.regenerate()
    room.answer(reaction=Reaction(error="model gone"))
    room.deliver_all()
    assert cascade.error == "model gone"
    assert cascade.settled
    assert HookTrigger.ON_ERROR in room.fired()


# -- work and feedback -------------------------------------------------------------------------


@pytest.mark.parametrize(("rating", "kept"), [(0.5, 0.5), (-3, 0.0), (7, 1.0), (1, 1.0)])
def test_feedback_is_an_observation_whose_confidence_is_the_rating(
    rating: float, kept: float
) -> None:
    room = open_room("web", "ai")
    room.say("web", "hi")
    room.answer("hello")
    answer = room.timeline()[-1]
    seen = room.run(
        operations.submit_feedback(
            room.pipeline, rating, "nice", dimension="tone", event_id=answer.id
        )
    )
    assert (seen.category, seen.confidence, seen.content) == ("feedback:tone", kept, "nice")
    assert (seen.channel_id, seen.metadata) == ("ai", {"event_id": answer.id})
    assert list(room.backend.list_observations("r")) == [seen]
    assert HookTrigger.ON_FEEDBACK in room.fired()
    (told,) = room.announced("feedback")
    assert (told.data, told.event_id) == ({"rating": kept, "dimension": "tone"}, answer.id)


def test_feedback_is_about_something_and_is_a_number() -> None:
    room = open_room("web")
    with pytest.raises(NotFound, match="event"):
        room.run(operations.submit_feedback(room.pipeline, 1.0, event_id="nothing"))
    with pytest.raises(BadValue, match="rating"):
        room.run(operations.submit_feedback(room.pipeline, float("nan")))
    with pytest.raises(BadValue, match="confidence"):
        room.run(operations.add_observation(room.pipeline, "ai", "x", confidence=1.5))
    assert not room.kept()


def test_tasks_come_up_and_are_done() -> None:
    room = open_room("web")
    task = room.run(operations.add_task(room.pipeline, "call back", assigned_to="bo"))
    assert room.fired() == [HookTrigger.ON_TASK_CREATED]
    done = room.run(
        operations.update_task(
            room.pipeline, task.id, status=TaskStatus.COMPLETED, metadata={"by": "bo"}
        )
    )
    assert list(room.backend.list_tasks("r", TaskStatus.COMPLETED)) == [done]
    assert (done.assigned_to, done.metadata) == ("bo", {"by": "bo"})
    assert room.fired()[1:] == [HookTrigger.ON_TASK_COMPLETED]
    room.forget_effects()
    room.run(operations.update_task(room.pipeline, task.id, status=TaskStatus.COMPLETED))
    assert not room.kept()
    with pytest.raises(NotFound):
        room.run(operations.update_task(room.pipeline, "nothing"))
