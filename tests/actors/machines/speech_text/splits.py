"""Texts as a model may say them, and ways to split them into pushes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

PIECES = (
    "Hello",
    "word",
    "Dr",
    "U.S",
    "e.g",
    "The",
    "No",
    "I",
    "NOTE",
    "नमस्ते",
    "ऑर्डर",
    "你好",
    "café",
    "https://a.b/c_d?x=1",
    "John.Smith@x.com",
    "/etc/app.conf",
    "1.2.3",
    "$",
    "₹",
    "5",
    "150",
    "1,234",
    "2.5",
    "K",
    "Cr",
    "lakh",
    "%",
    "007",
    "555-1234",
    "**",
    "__",
    "*",
    "_",
    "`",
    "```",
    "[",
    "](",
    "(",
    ")",
    "#",
    "-",
    ">",
    "|",
    "---",
    "1.",
    "=",
    "&",
    "~",
    ":",
    ",",
    ";",
    "—",
    ".",
    "...",
    "!",
    "?!",
    "。",
    "।",
    '"',
    "”",
    "😀",
    "👍🏽",
    " ",
    " ",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
)

texts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=60)


@st.composite
def split_texts(draw: st.DrawFn) -> Sequence[str]:
    """A text in the pieces in which it is pushed."""
    text = draw(texts)
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=30))
    bounds = [0, *sorted(cuts), len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]
