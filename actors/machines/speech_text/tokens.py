"""Tokens whose punctuation is their own: addresses, paths, versions, acronyms, numbers."""

from __future__ import annotations

import re

# An address may hold balanced brackets, but what closes a sentence or a markdown span around it
# is not its own.
_URL = (
    r"(?:(?:https?|ftp)://|(?<!\w)www\.)"
    r"(?:\([^\s()<>]*\)|[^\s()<>\[\]\"`])*(?:\([^\s()<>]*\)|[^\s()<>\[\]\"`.,;:!?'*_…。！？，])"
)
_EMAIL = r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_SLASH_PATH = r"(?<![\w/.<])(?:~|\.{1,2})?(?:/[\w-]+(?:\.[\w-]+)*|/\.[\w-]+(?:\.[\w-]+)*)+/?"
_DRIVE_PATH = r"(?<!\w)[A-Za-z]:\\[^\s\"<>|?*]*[^\s\"<>|?*.,;:!)\]]"
_VERSION = r"(?<![\w.])v?\d+(?:\.\d+){2,}(?:-[\w.]*\w)?(?!\w)"

ADDRESS = re.compile("|".join((_URL, _EMAIL, _DRIVE_PATH, _SLASH_PATH, _VERSION)))
"""What the filter puts aside before any other rule."""

_ACRONYM = r"(?<!\w)(?:[A-Z]\.)+[A-Z](?!\w)\.?"
_IDENTIFIER = r"(?<!\w)[a-z_]\w*(?:\.[a-z_]\w*)+"
_DIGITS = r"\d+(?:[.,:]\d+)+"

UNBREAKABLE = re.compile("|".join((ADDRESS.pattern, _ACRONYM, _IDENTIFIER, _DIGITS)))
"""Tokens inside which nothing ends a sentence or a clause."""

ACRONYM_BEFORE_DOT = re.compile(r"(?:[A-Z]\.)+[A-Z]")
"""A whole token before its last dot: "U.S"."""
