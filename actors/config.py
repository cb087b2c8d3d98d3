"""The whole configuration as one frozen tree, and the reading of `config.toml`.

Every folder declares its section beside the code that uses it; here they are joined. A new section
is one line in `TroupeConfig`: names, types, bounds and messages follow from the class.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs
from attrs.validators import gt, le, matches_re

from actors.call.exchange import ExchangeConfig
from actors.machines.profiles import FloorConfig
from actors.providers import ModelsConfig
from actors.room.config import RoomsConfig
from actors.secret_sources import SecretSources
from actors.strict import Fault, Faulty, structure
from supervision.config import SupervisionConfig
from supervision.secret import Secret
from transports.pcm.config import PcmConfig
from transports.server.config import ServerConfig
from transports.stores.config import StoreConfig


@attrs.frozen
class NodeConfig:
    """This process among others."""

    name: str = attrs.field(default="local", validator=matches_re(r"[a-z0-9][a-z0-9-]{0,62}"))
    """Its name in logs, traces and addresses: lower-case letters, digits, hyphens, at most 63."""

    switch_interval_ms: float = attrs.field(default=0.5, validator=[gt(0), le(1000)])
    """Milliseconds another Python thread may hold the interpreter while the loop wants it. Python's
    own 5 makes audio late by up to 29 (p99, with busy threads); 0.5 by 2 to 5."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least urgent log records that are written."""


@attrs.frozen
class SpeechConfig:
    """What is spoken and understood."""

    language: str = "en"
    """Code of the language that people and agents speak."""

    voice: str = ""
    """As the engine that speaks names it; "" is the one in its own section."""

    expect_script: bool = True
    """Tell the recogniser what the dialogue script understands: small ones hear much better so."""


@attrs.frozen
class TroupeConfig:
    """Everything that can be configured. Each section may be left out, and each name in it."""

    node: NodeConfig = attrs.field(factory=NodeConfig)
    supervision: SupervisionConfig = attrs.field(factory=SupervisionConfig)
    server: ServerConfig = attrs.field(factory=ServerConfig)
    media: PcmConfig = attrs.field(factory=PcmConfig)
    calls: ExchangeConfig = attrs.field(factory=ExchangeConfig)
    floor: FloorConfig = attrs.field(factory=FloorConfig)
    speech: SpeechConfig = attrs.field(factory=SpeechConfig)
    models: ModelsConfig = attrs.field(factory=ModelsConfig)
    store: StoreConfig = attrs.field(factory=StoreConfig)
    rooms: RoomsConfig = attrs.field(factory=RoomsConfig)


@attrs.define(eq=False)
class ConfigError(Exception):
    """The configuration cannot be used; here is everything that is wrong with it."""

    path: str
    """The file, as the caller named it."""
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return "\n".join(f"{self.path}: {fault}" for fault in self.faults)


def load_config(
    path: str | os.PathLike[str], environment: Mapping[str, str] = os.environ
) -> TroupeConfig:
    """The configuration in the TOML file at `path`; what it leaves out has its default.

    Args:
        path: the file. Relative paths of secrets in it start at its folder.
        environment: where `{ env = "NAME" }` is looked up.
    Raises:
        ConfigError: the file cannot be read, is not TOML, or does not fit; all faults at once.
    """
    name = os.fspath(path)
    source = _text(name)
    sources = SecretSources(environment, Path(name).parent)
    try:
        return structure(TroupeConfig, _parsed(name, source), {Secret: sources.read})
    except Faulty as error:
        raise ConfigError(name, error.faults) from None


def _text(name: str) -> str:
    try:
        source = Path(name).read_bytes()
    except FileNotFoundError:
        problem = "there is no such file; name another, or create it: an empty one is all defaults"
        raise ConfigError(name, (Fault("", problem),)) from None
    except OSError as error:
        raise ConfigError(name, (Fault("", f"cannot be read: {error.strerror}"),)) from error
    try:
        return source.decode("utf-8-sig")  # some editors begin UTF-8 with a mark; it means nothing
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = f"byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8"
    raise ConfigError(name, (Fault(f"line {line}", problem),))


def _parsed(name: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(source)
    except (ValueError, RecursionError) as error:
        # Beside TOMLDecodeError, tomllib lets Python's own limits through: the digits of an int,
        # the depth of a nested list.
        fault = _syntax_fault(str(error), last_line=source.count("\n") + 1)
    raise ConfigError(name, (fault,))


def _syntax_fault(message: str, last_line: int) -> Fault:
    """tomllib gives the place as a part of the message (as attributes only since Python 3.14)."""
    problem, _, place = message.removesuffix(")").partition(" (at ")
    if re.fullmatch(r"line \d+, column \d+", place):
        where = place
    else:
        where = f"line {last_line}" if place == "end of document" else ""
    return Fault(where, f"not valid TOML: {problem}")
