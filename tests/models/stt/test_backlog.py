from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.stt.backlog import Backlog, Batch
from models.words import Word


def sound(seconds: float, value: int = 1) -> bytes:
    return bytes([value, 0]) * round(seconds * 1000)


def backlog(**options: float) -> Backlog:
    return Backlog(1000, **options)


def test_audio_goes_out_in_batches() -> None:
    audio = backlog(batch=0.1)
    audio.push(sound(0.06))
    assert audio.next_batch() is None
    audio.push(sound(0.06))
    assert audio.next_batch() == Batch(sound(0.12), 0, None, begin=True)
    assert audio.next_batch() is None, "one is under way"
    audio.push(sound(0.1))
    audio.heard((), final=False)
    assert audio.next_batch() == Batch(sound(0.1), 120, None, begin=False)


def test_a_flush_does_not_wait_for_a_whole_batch_and_ends_one() -> None:
    audio = backlog()
    audio.push(sound(0.03, 1))
    audio.mark(7)
    audio.push(sound(0.2, 2))
    assert audio.next_batch() == Batch(sound(0.03, 1), 0, 7, begin=True)
    audio.heard((), final=True)
    assert audio.next_batch() == Batch(sound(0.2, 2), 30, None, begin=False)


def test_a_flush_of_nothing_is_a_batch_of_nothing() -> None:
    audio = backlog()
    audio.mark(1)
    assert audio.next_batch() == Batch(b"", 0, 1, begin=True)


def test_what_was_lost_is_sent_again_from_the_last_final_on() -> None:
    audio = backlog()
    audio.push(sound(0.1, 1))
    audio.mark(1)
    audio.next_batch()
    audio.heard((Word("one", 0, 0.1),), final=True)
    for value in (2, 3):
        audio.push(sound(0.1, value))
        audio.next_batch()
        audio.heard((Word("two", 0.1, 0.2),), final=False)
    audio.push(sound(0.1, 4))
    audio.mark(2)
    assert audio.next_batch() == Batch(sound(0.1, 4), 300, 2, begin=False)
    audio.lost()
    again = sound(0.1, 2) + sound(0.1, 3) + sound(0.1, 4)
    assert audio.next_batch() == Batch(again, 100, 2, begin=True)


def test_words_that_the_ring_holds_no_more_are_kept_and_none_comes_twice() -> None:
    audio = backlog(ring=0.2)
    words = tuple(Word(str(n), n / 10, (n + 1) / 10) for n in range(4))
    for n in range(4):
        audio.push(sound(0.1))
        audio.next_batch()
        assert audio.heard(words[: n + 1], final=False) == words[: n + 1]
    audio.lost()
    batch = audio.next_batch()
    assert batch is not None
    assert batch.at == 200
    # The new life hears half of "1" again, and says so.
    replayed = (Word("1?", 0.1, 0.2), Word("2", 0.2, 0.3), Word("3", 0.3, 0.4))
    assert audio.heard(replayed, final=True) == words
    audio.push(sound(0.1))
    audio.next_batch()
    assert audio.heard((Word("4", 0.4, 0.5),), final=True) == (Word("4", 0.4, 0.5),)


def test_the_oldest_is_dropped_when_too_much_waits() -> None:
    audio = backlog(limit=0.3)
    for value in range(5):
        audio.push(sound(0.1, value))
    audio.mark(1)
    assert audio.dropped == 200
    batch = audio.next_batch()
    assert batch is not None
    assert (batch.at, batch.mark, len(batch.pcm)) == (200, 1, 600)


@given(st.data())
def test_whatever_is_lost_every_sample_and_mark_arrives_in_order(data: st.DataObject) -> None:
    """And a recogniser that was given the last life's batches has it all since the last final."""
    audio = backlog(ring=1e6, limit=1e6)
    pushed = b""
    marks = 0
    heard: list[tuple[int, bytes]] = []  # of finals: the mark, and all audio it is about
    life = b""
    for step in data.draw(st.lists(st.sampled_from(["push", "mark", "heard", "lost"]))):
        match step:
            case "push":
                pcm = sound(data.draw(st.sampled_from([0.0, 0.02, 0.15])), len(pushed) % 251)
                audio.push(pcm)
                pushed += pcm
            case "mark":
                marks += 1
                audio.mark(marks)
            case _:
                batch = audio.next_batch()
                if batch is None:
                    continue
                life = batch.pcm if batch.begin and step == "heard" else life + batch.pcm
                if step == "lost":
                    audio.lost()
                    life = b""
                    continue
                audio.heard((), final=batch.mark is not None)
                if batch.mark is not None:
                    heard.append((batch.mark, life))
                    life = b""
    assert [mark for mark, _ in heard] == list(range(1, len(heard) + 1))
    assert pushed.startswith(b"".join(pcm for _, pcm in heard))
