"""The composition root: the whole node as one specification.

Only this module names concrete providers and transports; everything else asks for a small protocol
and is handed what fits. The tree of a running node can be read off this page.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from actors.config import TroupeConfig
from supervision import ChildSpec, Strategy, Supervisor


def compose(config: TroupeConfig) -> ChildSpec[Any]:
    """The node that `config` describes, for `system.start_child`.

    What is listed later may rely on what is listed before: it starts after it, stops before it, and
    is restarted with it.
    """
    del config  # no section of it names a child yet
    children: list[ChildSpec[Any]] = []
    return ChildSpec("troupe", partial(Supervisor, children, Strategy.REST_FOR_ONE))
