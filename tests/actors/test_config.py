from __future__ import annotations

import json
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.config import ConfigError, NodeConfig, TroupeConfig, load_config
from supervision.config import SupervisionConfig

SHIPPED = Path(__file__).parents[2] / "config.toml"


def loaded(source: str | bytes) -> TroupeConfig:
    content = source if isinstance(source, bytes) else source.encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_bytes(content)
        return load_config(path)


def faults(source: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        loaded(source)
    prefix = f"{refused.value.path}: "
    lines = str(refused.value).splitlines()
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


# -- what fits -------------------------------------------------------------------------------------


def test_an_empty_file_is_all_defaults() -> None:
    assert loaded("") == TroupeConfig()


def test_the_shipped_file_shows_every_name_at_its_default() -> None:
    assert load_config(SHIPPED) == TroupeConfig()
    written = tomllib.loads(SHIPPED.read_text())
    source = SHIPPED.read_text()
    for field in attrs.fields(TroupeConfig):
        assert_all_shown(getattr(TroupeConfig(), field.name), written[field.name], source)


def assert_all_shown(value: Any, written: dict[str, Any], source: str) -> None:
    """Plain names in the class's order, then the sections below it."""
    fields = [(f.name, getattr(value, f.name)) for f in attrs.fields(type(value))]
    plain = [name for name, v in fields if v is not None and not attrs.has(type(v))]
    sections = {name: v for name, v in fields if attrs.has(type(v))}
    assert list(written) == [*plain, *sections]
    for name, section in sections.items():
        assert_all_shown(section, written[name], source)
    for name in {name for name, v in fields if v is None}:
        assert f"\n# {name} = " in source  # shown, though there is no way to write its default


def test_what_the_file_says_replaces_the_default_and_nothing_else() -> None:
    config = loaded("[supervision]\nintensity = 8\nperiod = 2\n[node]\nlog_level = 'debug'")
    assert config == TroupeConfig(
        node=NodeConfig(log_level="debug"),
        supervision=SupervisionConfig(intensity=8, period=2.0),
    )


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    source = b"\xef\xbb\xbf[supervision]\r\nmailbox = 7\r\n"
    assert loaded(source).supervision.mailbox == 7


whole = st.integers(1, 2**63 - 1)
seconds = st.floats(0.001, 1e9)
valid_supervision = st.builds(
    SupervisionConfig,
    intensity=whole,
    period=seconds,
    shutdown=seconds,
    mailbox=whole,
    slice_ms=seconds,
    crash_dir=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)),
    fault_injection=st.booleans(),
)


@given(valid_supervision)
def test_every_valid_section_is_read_back_as_it_was_written(section: SupervisionConfig) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in attrs.asdict(section).items()]
    assert loaded("\n".join(["[supervision]", *lines])).supervision == section


# -- what does not ---------------------------------------------------------------------------------

NODE = {
    "name = 'Big Name'": r"name: must match regex '[a-z0-9][a-z0-9-]{0,62}' ('Big Name' doesn't)",
    "switch_interval_ms = 0": "switch_interval_ms: must be > 0: 0.0",
    "log_level = 'inof'": "log_level: expected one of 'debug', 'info', 'warning', 'error'; "
    "got 'inof'; did you mean 'info'?",
    "nmae = 'a'": "nmae: unknown name; did you mean 'name'?",
}
SUPERVISION = {
    "intensity = 'three'": "intensity: expected int, got 'three'",
    "period = nan": "period: expected a finite number, got nan",
    "shutdown = inf": "shutdown: expected a finite number, got inf",
    "ask_timeout = '5'": "ask_timeout: expected float, got '5'",
    "mailbox = true": "mailbox: expected int, got true",
    "handler_budget_ms = -1": "handler_budget_ms: must be > 0: -1.0",
    "not_live_after = 2024-01-01": "not_live_after: expected float, got 2024-01-01",
    "dead_letters = -1": "dead_letters: must be >= 0: -1",
    "crash_reports = 1.5": "crash_reports: expected int, got 1.5",
    "slice_messages = 0": "slice_messages: must be >= 1: 0",
    "slice_ms = []": "slice_ms: expected float, got a list",
    "crash_dir = 3": "crash_dir: expected str, got 3",
    "stack_socket = {}": "stack_socket: expected str, got a table",
    "fault_injection = 1": "fault_injection: expected bool, got 1",
    "patiense = 1": "patiense: unknown name; known here: "
    + ", ".join(field.name for field in attrs.fields(SupervisionConfig)),
    "intensety = 1": "intensety: unknown name; did you mean 'intensity'?",
    '"crash dir" = 1': "\"crash dir\": unknown name; did you mean 'crash_dir'?",
}
WHOLE = {
    "mailbox = 3": "mailbox: unknown name; known here: node, supervision, server, media, calls, "
    "floor, speech, models, store, rooms",
    "[supervison]": "supervison: unknown name; did you mean 'supervision'?",
}


def some(faults: dict[str, str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(sorted(faults)), unique=True)


@given(some(WHOLE), some(NODE), some(SUPERVISION))
def test_any_mixture_of_faults_is_told_completely_and_nothing_else(
    whole: list[str], node: list[str], supervision: list[str]
) -> None:
    expected = [
        *(WHOLE[line] for line in whole),
        *(f"node.{NODE[line]}" for line in node),
        *(f"supervision.{SUPERVISION[line]}" for line in supervision),
    ]
    # Tables come last, or the names after one would be its own.
    source = "\n".join(
        [*sorted(whole, reverse=True), "[node]", *node, "[supervision]", *supervision]
    )
    if expected:
        assert sorted(faults(source)) == sorted(expected)
    else:
        assert loaded(source) == TroupeConfig()


def test_a_section_has_to_be_a_table() -> None:
    assert faults("supervision = 3") == ["supervision: expected a table, got 3"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("[supervision]\nmailbox 3", "line 2, column 9: not valid TOML: Expected '=' after a key"),
        ("a = 1\nb = 2\na = 3", "line 3: not valid TOML: Cannot overwrite a value"),
        ('a = 1\nb = "open', "line 2: not valid TOML: Unterminated string"),
        ("a = " + "9" * 5000, "not valid TOML: Exceeds the limit"),
        ("a = " + "[" * 100_000, "not valid TOML: maximum recursion depth exceeded"),
    ],
)
def test_broken_toml_is_told_with_its_line(source: str, said: str) -> None:
    (fault,) = faults(source)
    assert fault.startswith(said)


def test_a_byte_that_is_not_utf_8_is_told_with_its_line() -> None:
    assert faults(b"# caf\xc3\xa9\n# caf\xe9\n") == [
        "line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"
    ]


def test_a_missing_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert str(refused.value) == (
        f"{path}: there is no such file; name another, or create it: an empty one is all defaults"
    )


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)


@given(st.binary() | st.text().map(str.encode))
def test_whatever_is_in_the_file_it_is_read_or_refused_with_reasons(source: bytes) -> None:
    try:
        config = loaded(source)
    except ConfigError as error:
        assert error.faults
    else:
        assert config == TroupeConfig()  # random text names no section of ours
