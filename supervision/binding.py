"""How a new instance learns which cell it belongs to, before its own `__init__` runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervision.cell import Cell


class _Binding(threading.local):
    """Set by the life that calls a child spec's `start`, taken by `Actor.__init__`.

    Thread-local, because several nodes may construct actors on several threads at once.
    """

    cell: Cell | None = None


binding = _Binding()
