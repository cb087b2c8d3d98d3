"""The values of rooms as JSON: as they are stored, and as others write them.

The **stored form** is ours alone: compact, with a version mark, and readable for ever. `stored`
writes it and `restored` reads it, in a few microseconds each.

The **wire form** is everybody's: every field is there, and what comes in is looked at closely.
`to_wire` and `from_wire` deal in plain data, `dumps` and `loads` in bytes.

Both take any attrs class whose fields are strings, numbers, booleans, enumerations of strings,
literals, times, contents, other such classes, and sequences and mappings of these. Sequences are
read as tuples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from operator import eq
from typing import Any, TypeVar

import attrs
import orjson
from cattrs import Converter
from cattrs.fns import identity
from cattrs.gen import make_dict_unstructure_fn

from models.rooms.content import CONTENT_TYPES, Content
from models.rooms.errors import BadValue, NewerSchema
from models.rooms.wire_json import check_json
from models.rooms.wire_strict import JSON, few, rooms_structurer
from supervision.strict import faults_of

T = TypeVar("T")

LARGEST_BYTES = 1024 * 1024
"""What `loads` takes unless told otherwise."""
Upgrade = Callable[[type, dict[str, Any]], dict[str, Any]]
"""From the document of a value of that class, as one version wrote it, to that of the next: the
values inside of it, too.
"""


# -- the stored form -------------------------------------------------------------------------------


class StoredForm:
    """Documents with a version mark, `{"v": 1, …}`; fields that have their default are left out.

    A newer reader reads older documents: each step from one version to the next has its upgrade.
    Fields that the reader does not know are passed over, so that adding one that has a default
    needs no new version. All else does: another default, too, as old documents mean the old one.
    """

    def __init__(self, upgrades: Sequence[Upgrade] = ()) -> None:
        """`upgrades[0]` leads from version 1 to 2, and so on."""
        self._upgrades = tuple(upgrades)
        self._write = _unstructurer(_utc, enums=identity, defaults=False).unstructure
        self._read = rooms_structurer(every_fault=False, unknown_keys=True).structure
        self._examine = rooms_structurer(every_fault=True, unknown_keys=True).structure

    @property
    def version(self) -> int:
        """Of what is written."""
        return len(self._upgrades) + 1

    def stored(self, value: object) -> bytes:
        """`value` as a document, UTF-8. Times are written in UTC; those without a zone are taken
        for it. In free data, numbers that are not finite become null, as JSON has none.

        Raises:
            BadValue: its metadata, or other free data in it, is not JSON.
        """
        document = {"v": self.version, **self._write(value)}
        return _dumped(document, value)

    def restored(self, data: bytes | str, kind: type[T]) -> T:
        """The value that was stored.

        Raises:
            NewerSchema: somebody newer stored it.
            BadValue: it is no such document.
        """
        document = _parsed(data)
        if not isinstance(document, dict):
            raise BadValue(["expected an object"])
        version = document.pop("v", None)
        if type(version) is not int or version != self.version:
            document = self._upgraded(document, version, kind)
        try:
            return self._read(document, kind)
        except (ValueError, TypeError, KeyError):
            pass  # looked at again below, more closely
        return _structured(self._examine, document, kind)

    def _upgraded(self, document: dict[str, Any], version: object, kind: type) -> dict[str, Any]:
        if type(version) is not int or version < 1:
            raise BadValue(["v: expected the version of the document, a number from 1"])
        if version > self.version:
            raise NewerSchema(found=version, known=self.version)
        for upgrade in self._upgrades[version - 1 :]:
            document = upgrade(kind, document)
        return document


# -- what both have in common ----------------------------------------------------------------------

_CONTENT_CLASSES = frozenset(CONTENT_TYPES.values())


def _unstructurer(
    instants: Callable[[datetime], object], enums: Callable[[Any], object], *, defaults: bool
) -> Converter:
    """What makes plain data of values.

    Args:
        instants: what it makes of times.
        enums: what it makes of members of enumerations.
        defaults: write them, too.
    """
    converter = Converter(omit_if_default=not defaults)

    def content_hook(kind: type[Content]) -> Callable[[Any], dict[str, Any]]:
        fields = make_dict_unstructure_fn(
            attrs.resolve_types(kind), converter, _cattrs_omit_if_default=not defaults
        )
        tag = kind.type
        return lambda content: {"type": tag, **fields(content)}

    converter.register_unstructure_hook(datetime, instants)
    converter.register_unstructure_hook(StrEnum, enums)
    for free in (Any, Mapping[str, Any], Mapping[str, str]):
        converter.register_unstructure_hook_func(partial(eq, free), identity)
    converter.register_unstructure_hook_factory(lambda kind: kind in _CONTENT_CLASSES, content_hook)
    return converter


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is UTC:
        return instant
    # A naive time breaks the contract; a store that could not be read again would be worse.
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _iso(instant: datetime) -> str:
    return _utc(instant).isoformat()


def _parsed(data: bytes | str) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadValue([f"no JSON: {error.msg} at character {error.pos}"]) from None


def _dumped(document: object, value: object) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError as error:
        check_json(to_wire(value))  # tells where
        raise BadValue([str(error)]) from None


def _structured(structure: Callable[[Any, type[T]], T], data: object, kind: type[T]) -> T:
    try:
        return structure(data, kind)
    except Exception as error:  # noqa: BLE001 - faults_of raises what is no fault of the data
        faults = few(faults_of(error, JSON))
    # Raised out here to leave cattrs' exceptions behind: they would hold on to the data.
    raise BadValue(faults)


# -- the wire form ---------------------------------------------------------------------------------

_to_plain = _unstructurer(_iso, lambda member: member.value, defaults=True)
_strictly = rooms_structurer(every_fault=True, unknown_keys=False)
_tolerantly = rooms_structurer(every_fault=True, unknown_keys=True)


def to_wire(value: object) -> dict[str, Any]:
    """All fields of `value` as plain data: times as ISO 8601 in UTC, contents with their `type`."""
    return _to_plain.unstructure(value)  # type: ignore[no-any-return]


def dumps(value: object) -> bytes:
    """`to_wire` as JSON, UTF-8.

    Raises:
        BadValue: its metadata, or other free data in it, is not JSON.
    """
    return _dumped(to_wire(value), value)


def from_wire(data: object, kind: type[T], *, unknown_keys: bool = False) -> T:
    """A value of what somebody else wrote: `"8"` is no integer, and neither is `true`.

    Args:
        data: what a parser of JSON returned. Free data (metadata, payloads) becomes part of the
            value as it is: it must not change any more.
        kind: an attrs class.
        unknown_keys: pass over fields that `kind` does not have. Free data takes any.
    Raises:
        BadValue: with every fault there is, each with its path. The data is never repeated.
    """
    check_json(data)
    return _structured((_tolerantly if unknown_keys else _strictly).structure, data, kind)


def loads(
    data: bytes | str, kind: type[T], *, unknown_keys: bool = False, largest: int = LARGEST_BYTES
) -> T:
    """`from_wire` of JSON.

    Args:
        largest: how long `data` may be.
    Raises:
        BadValue: as `from_wire`, and of data that is too long or no JSON.
    """
    if len(data) > largest:
        raise BadValue([f"expected at most {largest} bytes of JSON, got {len(data)}"])
    return from_wire(_parsed(data), kind, unknown_keys=unknown_keys)


def content_from_wire(data: object, *, unknown_keys: bool = False) -> Content:
    """`from_wire` of a content, told by its `type`."""
    kind: Any = Content  # a union is no class
    content: Content = from_wire(data, kind, unknown_keys=unknown_keys)
    return content


# -- today's stored form ---

_FORM = StoredForm()
stored, restored = _FORM.stored, _FORM.restored
"""The form that Troupe writes today; the methods of `StoredForm`."""
