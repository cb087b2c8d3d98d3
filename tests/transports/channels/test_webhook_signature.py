"""Signatures of webhooks, and the memory that takes each once."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.secret import Secret
from transports.channels.signature import ReplayMemory, Verdict, sign, verify

SECRET = Secret("correct horse")


def headers(signature: str, timestamp: str = "1000") -> dict[str, str]:
    return {"x-troupe-signature": signature, "x-troupe-timestamp": timestamp}


def test_the_signature_is_one_that_anybody_can_make() -> None:
    known = hmac.new(b"correct horse", b'1000.{"a": 1}', hashlib.sha256).hexdigest()
    assert sign(SECRET, b'{"a": 1}', "1000") == known


@given(st.binary(), st.text(min_size=1), st.integers(0, 10**11), st.floats(-300, 300))
def test_what_is_signed_is_genuine(body: bytes, secret: str, at: int, late: float) -> None:
    key = Secret(secret)
    told = headers(sign(key, body, str(at)), str(at))
    assert verify([key], body, told, at + late, tolerance=300.0) is Verdict.GENUINE


@given(st.binary(), st.binary(), st.integers(0, 2000), st.integers(0, 2000))
def test_what_was_changed_is_forged(body: bytes, other: bytes, at: int, later: int) -> None:
    told = headers(sign(SECRET, body, str(at)), str(later))
    genuine = (body, at) == (other, later)
    verdict = verify([SECRET], other, told, later, tolerance=300.0)
    assert verdict is (Verdict.GENUINE if genuine else Verdict.FORGED)


@given(st.binary(max_size=20), st.integers(0, 99))
def test_the_dot_keeps_time_and_body_apart(body: bytes, at: int) -> None:
    """Digits of the time must not become digits of the body."""
    moved = headers(sign(SECRET, body, str(at)), str(at)[:1])
    if len(str(at)) > 1:
        verdict = verify([SECRET], str(at)[1:].encode() + body, moved, at, tolerance=300.0)
        assert verdict is Verdict.FORGED


@pytest.mark.parametrize("timestamp", ["", "-1", "1e3", "1000.0", " 1000", "١٠٠٠", "9" * 13])
def test_a_time_is_a_plain_number(timestamp: str) -> None:
    told = headers(sign(SECRET, b"", "1000"), timestamp)
    assert verify([SECRET], b"", told, 1000.0, tolerance=300.0) is Verdict.UNSIGNED


def test_a_signature_with_strange_characters_is_none() -> None:
    told = headers("ß" * 64)
    assert verify([SECRET], b"", told, 1000.0, tolerance=300.0) is Verdict.UNSIGNED


def test_any_of_the_secrets_will_do() -> None:
    told = headers(sign(SECRET, b"", "1000"))
    secrets = [Secret("new"), SECRET]
    assert verify(secrets, b"", told, 1000.0, tolerance=300.0) is Verdict.GENUINE
    assert verify(secrets[:1], b"", told, 1000.0, tolerance=300.0) is Verdict.FORGED


def test_a_signature_without_time_counts_only_where_it_is_wanted() -> None:
    told = {"x-roomkit-signature": sign(SECRET, b"{}", "")}
    assert verify([SECRET], b"{}", told, 1000.0, tolerance=1, roomkit=True) is Verdict.GENUINE
    assert verify([SECRET], b"{ }", told, 1000.0, tolerance=1, roomkit=True) is Verdict.FORGED
    assert verify([SECRET], b"{}", told, 1000.0, tolerance=1) is Verdict.UNSIGNED
    # Ours goes first: a stale request is not made good by leaving the time away.
    both = {**told, **headers(sign(SECRET, b"{}", "900"), "900")}
    assert verify([SECRET], b"{}", both, 1000.0, tolerance=1, roomkit=True) is Verdict.STALE


# -- the memory -------------------------------------------------------------------------------


def name(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def test_each_is_taken_once_unless_it_is_given_back() -> None:
    memory = ReplayMemory()
    assert memory.take(1000, name(1), 1000.0)
    assert not memory.take(1000, name(1), 1001.0)
    assert memory.take(1000, name(2), 1001.0)
    memory.give_back(1000, name(1))
    assert memory.take(1000, name(1), 1001.0)
    assert not memory.take(1000, name(1), 1001.0)


def test_what_is_too_old_anyway_is_forgotten() -> None:
    memory = ReplayMemory(tolerance=300)
    for second in range(1000, 2000):
        memory.take(second, name(second), float(second))
    assert len(memory) == 301


def test_when_it_is_full_the_tolerance_shrinks() -> None:
    memory = ReplayMemory(tolerance=300, capacity=10)
    for number in range(12):
        assert memory.take(1000 + number // 4, name(number), 1003.0)
    assert len(memory) == 8  # those of the first second had to go
    for number in range(12):
        assert not memory.take(1000 + number // 4, name(number), 1003.0)
    assert not memory.take(1000, name(99), 1003.0)  # new, but from that second
    assert memory.take(1001, name(99), 1003.0)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=60),
    st.integers(1, 8),
)
def test_nothing_is_ever_taken_twice_and_never_more_is_kept(
    arrivals: list[tuple[int, int]], capacity: int
) -> None:
    memory = ReplayMemory(tolerance=10, capacity=capacity)
    taken: list[tuple[int, int]] = []
    now = 0.0
    for timestamp, number in arrivals:
        now = max(now, float(timestamp))
        if abs(now - timestamp) <= 10 and memory.take(timestamp, name(number), now):
            taken.append((timestamp, number))
        assert len(memory) <= capacity
    assert len(taken) == len(set(taken))
