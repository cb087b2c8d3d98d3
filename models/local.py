"""The optional extra `local`: ears and a mouth that need no key and no network.

Their modules import without it; only who configures such an engine must have it.
"""

from __future__ import annotations

from importlib.util import find_spec

import attrs


@attrs.define(eq=False)
class EngineMissing(Exception):
    """An engine is configured, and its package is not installed."""

    engine: str
    """As it is called in the configuration."""
    package: str
    """What is to be imported."""
    why: str = ""
    """What went wrong, if it is there and does not work."""

    def __str__(self) -> str:
        problem = f"cannot be used: {self.why}" if self.why else "is not installed"
        return (
            f"the engine {self.engine!r} is configured, but the package {self.package!r} {problem}."
            " It comes with an optional extra: pip install 'troupe[local]'."
            " Or choose another engine in config.toml."
        )


def require(engine: str, package: str) -> None:
    """Do nothing if the package is there. It is not imported: that may take its time.

    Raises:
        EngineMissing: it is not.
    """
    if find_spec(package) is None:
        raise EngineMissing(engine, package)
