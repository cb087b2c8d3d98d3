from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.secret import MASK, Secret

PASSWORD = "correct horse battery staple"

SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda secret: f"{secret}",
    "f-string with repr": lambda secret: f"{secret!r}",
    "f-string with a width": lambda secret: f"{secret:>40}",
    "format": "{}".format,
    "percent s": lambda secret: "%s" % secret,  # noqa: UP031
    "percent r": lambda secret: "%r" % secret,  # noqa: UP031
}


@pytest.mark.parametrize("way", SHOWN)
def test_whichever_way_it_is_shown_there_are_only_stars(way: str) -> None:
    assert SHOWN[way](Secret(PASSWORD)) == MASK


@attrs.frozen
class Account:
    user: str
    password: Secret


def test_it_stays_hidden_inside_what_holds_it() -> None:
    account = Account("ada", Secret(PASSWORD))
    assert repr(account) == "Account(user='ada', password=***)"
    assert PASSWORD not in repr([account, {"account": account}])
    assert PASSWORD not in repr(attrs.asdict(account))


def test_a_log_record_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").error("logging in with %s", Secret(PASSWORD))
    assert caplog.messages == [f"logging in with {MASK}"]


def test_a_traceback_that_lists_local_variables_does_not_show_it() -> None:
    def fail(password: Secret) -> None:
        raise RuntimeError(f"no entry with {password}")

    try:
        fail(Secret(PASSWORD))
    except RuntimeError as error:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert not any("password = correct" in line for line in report.format())
        assert any("password = ***" in line for line in report.format())


@given(st.text(min_size=1))
def test_reveal_gives_back_exactly_what_went_in(text: str) -> None:
    assert Secret(text).reveal() == text


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_secrets_are_equal_when_their_texts_are(one: str, other: str) -> None:
    assert Secret(one) == Secret(one)
    assert (Secret(one) == Secret(other)) is (one == other)


def test_bytes_that_are_not_utf_8_compare_like_any_other() -> None:
    from_environment = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert Secret(from_environment) == Secret(from_environment)
    assert Secret(from_environment) != Secret("café")


def test_it_equals_no_plain_text() -> None:
    assert Secret(PASSWORD) != PASSWORD


def test_it_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(PASSWORD))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="from its own environment"):
        pickle.dumps(Account("ada", Secret(PASSWORD)), protocol)


def test_it_cannot_become_json_unnoticed() -> None:
    with pytest.raises(TypeError):
        json.dumps({"password": Secret(PASSWORD)})


def test_copies_are_the_same_secret() -> None:
    secret = Secret(PASSWORD)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_an_empty_secret_is_refused_because_its_source_was_empty() -> None:
    with pytest.raises(ValueError, match="may not be empty"):
        Secret("")


def test_another_type_is_refused_without_being_shown() -> None:
    with pytest.raises(TypeError, match="a secret is a str, not bytes") as refused:
        Secret(PASSWORD.encode())  # type: ignore[arg-type]
    assert PASSWORD not in str(refused.value)
