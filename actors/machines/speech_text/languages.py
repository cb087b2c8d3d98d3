"""Language codes, and which language a text is in by its script."""

from __future__ import annotations

import re

DETECTED_FROM = 200
"""Characters at the start of a text that tell its script."""

_KANA = re.compile("[\u3041-\u309f\u30a0-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HANGUL = re.compile("[\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f]")
_SCRIPTS = tuple(
    (language, re.compile(f"[{letters}]"))
    for language, letters in (
        ("hi", "\u0900-\u0963\u0966-\u097f\ua8e0-\ua8ff"),  # dandas serve every Indic script
        ("bn", "\u0980-\u09ff"),
        ("pa", "\u0a00-\u0a7f"),
        ("gu", "\u0a80-\u0aff"),
        ("or", "\u0b00-\u0b7f"),
        ("ta", "\u0b80-\u0bff"),
        ("te", "\u0c00-\u0c7f"),
        ("kn", "\u0c80-\u0cff"),
        ("ml", "\u0d00-\u0d7f"),
        ("si", "\u0d80-\u0dff"),
        ("th", "\u0e00-\u0e7f"),
        ("lo", "\u0e80-\u0eff"),
        ("bo", "\u0f00-\u0fff"),
        ("my", "\u1000-\u109f"),
        ("km", "\u1780-\u17ff"),
        ("am", "\u1200-\u137f"),
        ("hy", "\u0530-\u058f"),
        ("ka", "\u10a0-\u10ff"),
        ("el", "\u0370-\u03ff\u1f00-\u1fff"),
        ("he", "\u0590-\u05ff"),
        ("ar", "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefe"),
        ("ru", "\u0400-\u04ff"),
        ("zh", "\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff"),
    )
)


def language_code(code: str | None) -> str:
    """The bare code: "en-US" and " EN_us " are "en"; nothing at all is "auto"."""
    bare = re.split("[-_]", code or "")[0].strip().lower()
    return bare or "auto"


def detect_language(text: str) -> str:
    """The likeliest language by the script of the text's start; "en" if nothing tells.

    Any kana means Japanese and any Hangul Korean, whatever else is there; otherwise the script
    with the most characters decides, and of equals the first in the table.
    """
    start = text[:DETECTED_FROM]
    if start.isascii():
        return "en"
    if _KANA.search(start):
        return "ja"
    if _HANGUL.search(start):
        return "ko"
    best, most = "en", 0
    for language, letters in _SCRIPTS:
        count = len(letters.findall(start))
        if count > most:
            best, most = language, count
    return best
