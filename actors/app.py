"""The composition root: the whole node as one specification.

Only this module names concrete providers and transports; everything else asks for a small protocol
and is handed what fits. The tree of a running node can be read off this page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.config import TroupeConfig
from supervision import ChildSpec


def compose(config: TroupeConfig) -> Sequence[ChildSpec[Any]]:
    """The children of the root, for the node that `config` describes.

    What is listed later may rely on what is listed before: it starts after it and stops before it.
    Nobody is restarted with anybody, for references outlive restarts.
    """
    del config
    return []
