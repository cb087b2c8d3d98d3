"""Rules that take away what only a screen can show: markdown, metadata, pictographs."""

from __future__ import annotations

import re

from actors.machines.speech_text.tracked import EMPTY, Tracked, joined

_METADATA_PARENTHESES = re.compile(r"\([^()]*=[^()]*\)")
METADATA_LINE_LIMIT = 200
"""A line like "NOTE: …" waits this many characters for the `=` that makes it metadata."""
_METADATA_LINE = re.compile(
    rf"(?m)^(?=[ _]*[A-Z])[A-Z_ ]{{3,}}:[^\n=]{{0,{METADATA_LINE_LIMIT}}}=[^\n]*\n?"
)

_INLINE_CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_IMAGE = re.compile(r"!\[[^\]]*\]\([^()]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\([^()]*\)")
_LINE_MARKS = re.compile(r"(?m)^(?:[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+|\d{1,3}\.[ \t]+))+")
_LINE_MARKS_AT_END = re.compile(r"(?m)^(?:[ \t]*(?:#{1,6}|>|[-*+]))+[ \t]*\Z")
_RULE = re.compile(r"(?m)^[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*\n")
_RULE_AT_END = re.compile(r"(?m)^[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*\Z")
_TABLE_SEPARATOR = r"(?m)^(?=[^\n]*\|)[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*"
_TABLE_ROW = re.compile(_TABLE_SEPARATOR + r"\n")
_TABLE_ROW_AT_END = re.compile(_TABLE_SEPARATOR + r"\Z")
# A blank before the pipe belongs to what was already said.
_PIPE = re.compile(r"(?<=[ \t\n])\|[ \t]*|[ \t]+\|[ \t]*|\|[ \t]*")
_BOLD_STARS = re.compile(
    r"(?:(?<!\d)\*\*(?=\S)|\*\*(?=[^\s\d]))(.+?)(?<=\S)\*\*", re.DOTALL
)  # "2**3" is arithmetic
_BOLD_UNDERSCORES = re.compile(r"(?<!\w)__(?=\S)(.+?)(?<=\S)__(?!\w)", re.DOTALL)
# An emphasis mark stands at the edge of a word. Whether its partner comes is no matter: an
# unmatched one goes too. So nothing has to wait for the partner.
_STAR_MARKS = re.compile(r"(?<![\w*])\*{1,3}(?=[^\s*])|(?<=[^\s*])\*{1,3}(?![\w*])")
_UNDERSCORE_MARKS = re.compile(r"(?<!\w)_{1,2}(?=[^\s_])|(?<=[^\s_])_{1,2}(?!\w)")
_LEFT_OVER = re.compile(r"(?<![\w*])\*{2,}|(?<!\*)\*{2,}(?![\w*])|\*+(?=\s*\Z)|(?<!\w)__(?!\w)|`+")

_PICTOGRAPH = (
    "\U0001f000-\U0001faff\u2600-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u231a\u231b\u2328"
    "\u23cf\u23e9-\u23f3\u23f8-\u23fa\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u3030\u303d\u3297\u3299"
)
# A joiner goes only behind a pictograph: Indic scripts and Persian spell with joiners.
PICTOGRAPHS = re.compile(
    f"(?:[{_PICTOGRAPH}][\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f]*\u200d?)+|[\ufe0e\ufe0f\u20e3]+"
)


def _nothing(_: re.Match[str]) -> str:
    return ""


def remove_metadata(text: Tracked) -> Tracked:
    return text.sub(_METADATA_LINE, _nothing).sub(_METADATA_PARENTHESES, _nothing)


def remove_markdown(text: Tracked, keep_code: bool, final: bool) -> Tracked:
    """Marks gone, their inner text kept; `final` also takes what has lost its partner."""
    text = text.sub(_INLINE_CODE, (lambda match: match[2]) if keep_code else _nothing)
    text = text.sub(_IMAGE, _nothing).sub(_LINK, lambda match: match[1])
    text = text.sub(_RULE, _nothing).sub(_TABLE_ROW, _nothing)
    if final:
        text = text.sub(_RULE_AT_END, _nothing).sub(_TABLE_ROW_AT_END, _nothing)
    text = text.sub(_LINE_MARKS, _nothing)
    text = text.sub(_PIPE, lambda match: "" if _follows_blank(match) else " ")
    text = text.sub(_BOLD_STARS, lambda match: match[1])
    text = text.sub(_BOLD_UNDERSCORES, lambda match: match[1])
    text = text.sub(_STAR_MARKS, _nothing).sub(_UNDERSCORE_MARKS, _nothing)
    if final:
        text = text.sub(_LINE_MARKS_AT_END, _nothing).sub(_LEFT_OVER, _nothing)
    return text


def _follows_blank(match: re.Match[str]) -> bool:
    return match.string[match.start()] == "|" and match.string[: match.start()][-1:].isspace()


def remove_pictographs(text: Tracked) -> Tracked:
    return text.sub(PICTOGRAPHS, _nothing)


_LATIN_WORD = r"[A-Za-z\u00c0-\u024f]+(?:['’-][A-Za-z\u00c0-\u024f]+)*"
LATIN_WORDS = re.compile(rf"(?:{_LATIN_WORD}\s+)+")
_GLOSS = re.compile(rf"(?<![^\s(\[\"'])((?:{_LATIN_WORD}\s+)+)\(([^()]*)\)")


def holds_gloss(text: str) -> bool:
    """Whether parentheses in `text` may be the gloss of Latin words before them."""
    return "(" in text and any(
        character.isalpha() and not character.isascii() for character in text
    )


def collapse_gloss(text: Tracked) -> Tracked:
    """ "new order (नया ऑर्डर)" is said as "नया ऑर्डर": the words before it are the same again."""
    while (match := _first_gloss(text.text)) is not None:
        words = list(re.finditer(r"\S+", match[1]))
        count = len(match[2].split())
        text = joined(
            (
                text.part(0, match.start() + words[-count].start()),
                text.part(*match.span(2)),
                text.part(match.end()),
            )
        )
    return text


def _first_gloss(text: str) -> re.Match[str] | None:
    for match in _GLOSS.finditer(text):
        if holds_gloss(f"({match[2]}") and len(match[2].split()) <= len(match[1].split()):
            return match
    return None


def without_doubled_blank(text: Tracked, after_blank: bool) -> Tracked:
    """What is left when a rule took all but the white space: its line breaks, or nothing if the
    text before ends in white space already.
    """
    breaks = text.text.find("\n")
    if breaks >= 0:
        return text.part(breaks, breaks + 1)
    return EMPTY if after_blank else text.part(0, 1)
