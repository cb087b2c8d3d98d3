"""The machines of Deepgram's streams and ElevenLabs' utterances, without sockets and clocks."""

from __future__ import annotations

from base64 import b64encode
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.net import ProviderFault
from models.stt.deepgram_wire import CLOSE, FINALIZE, DeepgramLine
from models.stt.protocol import Transcript
from models.tts.elevenlabs_wire import END, ElevenLabsLine, PieceSpoken, Sound
from tests.models.net.fake_deepgram import PHRASES, RATE, FakeDeepgram, say

# -- Deepgram -------------------------------------------------------------------------------


def a_result(
    text: str, start: float, end: float, *, final: bool = True, flush: bool = False
) -> str:
    words = [{"word": word, "start": start, "end": end} for word in text.split()]
    best = {"transcript": text, "confidence": 1, "words": words}
    return orjson.dumps(
        {
            "type": "Results",
            "start": start,
            "duration": end - start,
            "is_final": final,
            "from_finalize": flush,
            "channel": {"alternatives": [best]},
        }
    ).decode()


def sent(line: DeepgramLine) -> list[bytes | str]:
    messages = []
    while (message := line.next_to_send()) is not None:
        messages.append(message)
    return messages


def test_a_flush_comes_after_the_audio_before_it_and_before_what_follows() -> None:
    line = DeepgramLine("s", RATE)
    line.connected()
    line.append(bytes(RATE // 5))  # 100 ms
    line.flush(1, at=0.0)
    line.append(b"\1\1" * 10)
    line.close()
    assert sent(line) == [bytes(RATE // 5), FINALIZE, b"\1\1" * 10, CLOSE]
    assert sent(line) == []


def test_audio_is_sent_in_chunks_unless_a_flush_or_the_close_asks_for_less() -> None:
    line = DeepgramLine("s", RATE, chunk=0.06)
    line.connected()
    frame = bytes(RATE // 25)
    for _ in range(2):
        line.append(frame)
        assert (line.ready, sent(line)) == (False, [])
    line.append(frame)
    assert (line.ready, sent(line)) == (True, [3 * frame])
    line.append(frame)
    line.flush(1, at=0.0)
    assert sent(line) == [frame, FINALIZE]
    line.append(frame)
    assert sent(line) == []
    line.close()
    assert sent(line) == [frame, CLOSE]


def test_half_a_sample_waits_for_its_other_half() -> None:
    line = DeepgramLine("s", RATE)
    line.connected()
    line.append(b"\1\2\3")
    assert sent(line) == [b"\1\2"]
    line.append(b"\4")
    assert sent(line) == [b"\3\4"]


def test_one_result_may_answer_two_flushes_and_none_is_answered_twice() -> None:
    line = DeepgramLine("s", RATE)
    line.connected()
    line.append(say("yes please"))
    line.flush(1, at=0.0)
    line.flush(2, at=0.0)
    sent(line)
    told = line.received(a_result("yes please", 0, 0.5, flush=True))
    assert [(t.text, t.flush) for t in told] == [("", 1), ("yes please", 2)]
    assert line.received(a_result("", 0.5, 0.5, flush=True)) == []
    assert line.time_passed(at=10.0) == []


def test_a_late_answer_to_a_flush_is_not_taken_for_the_next_one() -> None:
    line = DeepgramLine("s", RATE, patience=1.0)
    line.connected()
    line.append(say("yes please"))
    line.flush(1, at=0.0)
    sent(line)
    line.received(a_result("yes", 0, 0.3, final=False))
    assert line.deadline == 1.0
    assert [(t.text, t.flush) for t in line.time_passed(at=1.0)] == [("yes", 1)]
    line.append(say("two pizzas"))
    line.flush(2, at=1.1)
    sent(line)
    late = line.received(a_result("please", 0.3, 0.5, flush=True))
    assert [(t.text, t.flush) for t in late] == [("please", 0)]
    told = line.received(a_result("two pizzas", 0.5, 1.0, flush=True))
    assert [(t.text, t.flush) for t in told] == [("two pizzas", 2)]


def pauses(position: int) -> bool:
    """Whether no word is being said there: nobody flushes in the middle of one."""
    return 0.15 <= position / (2 * RATE) % 0.5 < 0.2 or position / (2 * RATE) % 0.5 >= 0.35


@given(
    st.lists(st.integers(1, 20_000), max_size=12),
    st.lists(st.integers(0, 30), max_size=6),
    st.booleans(),
)
def test_wherever_connections_break_each_word_is_told_once(
    sizes: list[int], breaks: list[int], finalize: bool
) -> None:
    line, fake = DeepgramLine("s", RATE), FakeDeepgram()
    line.connected()
    told: list[Transcript] = []
    pcm = b"".join(say(phrase) for phrase in PHRASES)
    edges = sorted({0, len(pcm), *(size * 2 for size in sizes if size * 2 < len(pcm))})
    steps = 0
    for a, b in pairwise(edges):
        line.append(pcm[a:b])
        if finalize and pauses(b):
            line.flush(b, at=0.0)
        while (message := line.next_to_send()) is not None:
            steps += 1
            if steps in breaks:  # what was just sent is lost
                line.connected()
                fake = FakeDeepgram()
            elif isinstance(message, bytes):
                fake.hear(message)
                told += line.received(fake.result(final=False))
            else:
                told += line.received(fake.result(final=True, finalized=True))
    told += line.received(fake.result(final=True))
    told += line.concluded()
    finals = [t for t in told if t.final]
    flushes = [t.flush for t in finals if t.flush]
    assert flushes == sorted(set(flushes))
    if finalize:
        assert flushes == [edge for edge in edges[1:] if pauses(edge)]
    words = [word for t in finals for word in t.words]
    assert [w.text for w in words] == " ".join(PHRASES).split()
    starts = [w.start for w in words]
    # A phrase that was cut in its middle begins there for whoever hears only the rest of it.
    assert starts == sorted(starts)


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_any_message_of_deepgrams_is_understood_or_a_fault(message: bytes | str) -> None:
    try:
        DeepgramLine("s", RATE).received(message)
    except ProviderFault:
        pass


# -- ElevenLabs -----------------------------------------------------------------------------


def a_chunk(characters: str) -> str:
    """10 ms of sound for each character, at 8000 Hz."""
    alignment = {
        "chars": list(characters),
        "charStartTimesMs": [10 * n for n in range(len(characters))],
        "charDurationsMs": [10] * len(characters),
    }
    audio = b64encode(bytes(160 * len(characters))).decode()
    return orjson.dumps({"audio": audio, "alignment": alignment}).decode()


TEXTS = st.lists(
    st.sampled_from(["Hello there.", "A b c", "", "...", "It is 5 o'clock!", "x"]),
    min_size=1,
    max_size=5,
)


@given(TEXTS, st.lists(st.integers(1, 80), max_size=8))
def test_characters_are_counted_off_against_pieces_however_they_are_cut(
    texts: list[str], cuts: list[int]
) -> None:
    line = ElevenLabsLine(8000)
    line.connected()
    for piece, text in enumerate(texts):
        line.add(piece, text, last=piece == len(texts) - 1)
    asked = ""
    while (message := line.next_to_send()) is not None:
        asked += orjson.loads(message)["text"]
    told: list[Sound | PieceSpoken] = [*line.spoken()]
    edges = sorted({0, len(asked), *(cut for cut in cuts if cut < len(asked))})
    for a, b in pairwise(edges):
        told += line.received(a_chunk(asked[a:b]))
    told += line.received('{"isFinal": true}')
    order = [what.piece for what in told]
    assert order == sorted(order)
    assert [what.piece for what in told if isinstance(what, PieceSpoken)] == [*range(len(texts))]
    for piece, text in enumerate(texts):
        words = [
            w
            for what in told
            if isinstance(what, Sound) and what.piece == piece
            for w in what.words
        ]
        said = text if any(c.isalnum() for c in text) else ""
        assert [w.text for w in words] == said.split()
        at = 0
        for word in words:  # times are those of the piece, wherever its chunks were cut
            at = text.index(word.text, at)
            assert word.start == pytest.approx(at / 100, abs=0.011)
            at += len(word.text)
    assert not line.waiting


def test_a_piece_after_the_last_waits_for_the_next_connection() -> None:
    line = ElevenLabsLine(8000)
    line.connected()
    line.add(0, "Bye.", last=True)
    assert [line.next_to_send(), line.next_to_send()][1] == END
    line.add(1, "One more thing.", last=True)
    assert line.next_to_send() is None
    line.connected()
    assert line.next_to_send() is not None


def test_sound_without_characters_belongs_to_the_piece_at_hand() -> None:
    line = ElevenLabsLine(8000)
    line.connected()
    line.add(0, "Hi.", last=True)
    line.next_to_send()
    audio = b64encode(bytes(801)).decode()
    assert line.received(f'{{"audio": "{audio}", "alignment": null}}') == [Sound(0, bytes(800), ())]
    assert line.received('{"isFinal": true}') == [PieceSpoken(0, 0.05)]


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_any_message_of_elevenlabs_is_understood_or_a_fault(message: bytes | str) -> None:
    line = ElevenLabsLine(8000)
    line.add(0, "Hi.", last=True)
    try:
        line.received(message)
    except ProviderFault:
        pass
