"""Where the secrets of a configuration come from: the environment, or a file of their own.

A configuration file is shown, mailed and committed, so a secret never stands in it. It says
`{ env = "NAME" }` or `{ file = "path" }` instead. No message made here repeats what it was given:
the likeliest mistake is a secret in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import attrs

from actors.strict import Unfit
from supervision.secret import Secret

EXPECTED = (
    'expected { env = "NAME" } or { file = "path" }, which say where the secret is;'
    " the secret itself does not belong in this file"
)


@attrs.frozen
class SecretSources:
    """The places secrets are read from."""

    environment: Mapping[str, str] = attrs.field(repr=False)
    folder: Path
    """Where a relative path starts: the folder of the configuration file."""

    def read(self, value: object) -> Secret:
        """The secret that `value`, a table of the configuration, points at.

        Raises:
            Unfit: it points nowhere, or at nothing; the message holds no part of a secret.
        """
        match value:
            case {"env": str(name), **rest} if not rest:
                return self._from_environment(name)
            case {"file": str(path), **rest} if not rest:
                return self._from_file(path)
        raise Unfit(EXPECTED)

    def _from_environment(self, name: str) -> Secret:
        if text := self.environment.get(name):
            return Secret(text)
        # A key pasted in the name's place seldom looks like this, so this much can be repeated.
        named = f" {name}" if re.fullmatch(r"[A-Z][A-Z0-9_]*", name) else ""
        state = "is empty" if name in self.environment else "is not set"
        raise Unfit(f"the environment variable{named} {state}")

    def _from_file(self, path: str) -> Secret:
        try:
            text = (self.folder / path).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            problem = f"cannot be read ({error.strerror}); a relative path starts beside this file"
        except ValueError:  # not UTF-8, or a zero byte in the path
            problem = "cannot be read as text"
        else:
            if text:
                return Secret(text)
            problem = "is empty"
        # Out here, because a decoding error would carry the file's bytes along as the context.
        raise Unfit(f"the secret's file {problem}")
