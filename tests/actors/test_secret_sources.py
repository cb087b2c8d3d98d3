from __future__ import annotations

from pathlib import Path

import pytest

from actors.secret_sources import EXPECTED, SecretSources
from actors.strict import Unfit
from supervision.secret import Secret

KEY = "sk-live-0123456789"


@pytest.fixture
def sources(tmp_path: Path) -> SecretSources:
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff" + KEY.encode())
    return SecretSources({"API_KEY": KEY, "EMPTY": ""}, tmp_path)


def refusal(sources: SecretSources, value: object) -> str:
    with pytest.raises(Unfit) as refused:
        sources.read(value)
    error: BaseException | None = refused.value
    while error is not None:  # nothing in the chain of causes shows it either
        assert KEY not in repr(error)
        assert KEY.encode() not in getattr(error, "object", b"")
        error = error.__cause__ or error.__context__
    return str(refused.value)


def test_a_secret_comes_from_the_environment(sources: SecretSources) -> None:
    assert sources.read({"env": "API_KEY"}) == Secret(KEY)


def test_a_secret_comes_from_a_file_without_the_newline_at_its_end(sources: SecretSources) -> None:
    assert sources.read({"file": "key"}) == Secret(KEY)


def test_an_absolute_path_is_taken_as_it_is(sources: SecretSources, tmp_path: Path) -> None:
    elsewhere = SecretSources({}, tmp_path / "elsewhere")
    assert elsewhere.read({"file": str(tmp_path / "key")}) == Secret(KEY)


@pytest.mark.parametrize(
    "value",
    [
        KEY,
        3,
        {},
        {"env": 3},
        {"enw": "API_KEY"},
        {"env": "API_KEY", "file": "key"},
        {"env": "API_KEY", KEY: 1},
        [{"env": "API_KEY"}],
    ],
)
def test_a_secret_in_the_file_itself_is_refused_with_the_remedy(
    sources: SecretSources, value: object
) -> None:
    assert refusal(sources, value) == EXPECTED


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"env": "NO_SUCH"}, "the environment variable NO_SUCH is not set"),
        ({"env": "EMPTY"}, "the environment variable EMPTY is empty"),
        ({"env": KEY}, "the environment variable is not set"),
        ({"file": "empty"}, "the secret's file is empty"),
        ({"file": "binary"}, "the secret's file cannot be read as text"),
        ({"file": "zero\0byte"}, "the secret's file cannot be read as text"),
        (
            {"file": KEY},
            "the secret's file cannot be read (No such file or directory);"
            " a relative path starts beside this file",
        ),
        (
            {"file": "."},
            "the secret's file cannot be read (Is a directory);"
            " a relative path starts beside this file",
        ),
    ],
)
def test_a_source_that_gives_nothing_is_named_but_never_quoted(
    sources: SecretSources, value: object, said: str
) -> None:
    assert refusal(sources, value) == said


def test_the_environment_is_not_shown_with_its_reader(sources: SecretSources) -> None:
    assert KEY not in repr(sources)
