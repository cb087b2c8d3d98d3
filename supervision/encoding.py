"""Message bodies as JSON that says what it is, and back.

A recorded body must come back as what it was, whatever the annotations of its class promise: a
union, an `Any`, a subclass in a field of its base. So what JSON does not have is an object with one
key that begins with `$`, and the type of an attrs class or dataclass is written beside its fields:

```
{"$": "shop.messages:Order", "items": {"$tuple": ["tea"]}, "note": {"$bytes": "aGk="}}
```

The leaves that JSON lacks (dates, UUIDs, decimals, paths) are cattrs' to write and read. Secrets are
masked; an actor ref becomes its path; what cannot be written is refused, with the reason.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import decimal
import enum
import functools
import math
import pathlib
import sys
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import attrs
import cattrs.preconf.json

from supervision.ref import ActorRef
from supervision.secret import MASK, Secret

Json = Any
"""None, bool, int, float, str, and lists and dicts of these."""

DEPTH = 64
"""Values inside each other; more is taken for a circle."""

_leaves = cattrs.preconf.json.make_converter()
_LEAVES: Mapping[str, type] = {
    "datetime": datetime.datetime,
    "date": datetime.date,
    "time": datetime.time,
    "timedelta": datetime.timedelta,
    "uuid": uuid.UUID,
    "decimal": decimal.Decimal,
    "path": pathlib.PurePath,
}
_leaves.register_unstructure_hook(datetime.time, datetime.time.isoformat)
_leaves.register_structure_hook(datetime.time, lambda text, _: datetime.time.fromisoformat(text))
_leaves.register_unstructure_hook(datetime.timedelta, _timedelta_parts := lambda delta: [
    delta.days,
    delta.seconds,
    delta.microseconds,
])
