"""What ends a sentence or a clause, and what only looks like it, by script and language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

STRONG = ".!?…‼⁇⁈⁉。！？｡।॥؟۔؞։።፧፨།༎༏༐༑။។៕"
"""End a sentence, in whatever script. So does a newline, and in Greek `;`."""
WEAK = ",;:、，；：،؛՝՛፣፤፥་၊៖—–"
"""End a clause."""
CLOSING = "\"'”’»)]}）」』】"
"""Quotes and brackets that belong to what they close."""

UNSPACED = (
    "\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff9f\u3001-\u3011"
    "\u0e00-\u0e7f\u0e80-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"
)
"""Characters of scripts that put no blanks between words, as ranges for a regular expression."""


def _words(text: str) -> Sequence[str]:
    return tuple(text.split())


_ENGLISH = (
    "Mr Mrs Ms Dr Prof St Jr Sr Capt Lt Sgt Gen Col Rev Hon Inc Ltd Co Corp vs etc cf al No Vol pp "
    "Ph Mt Fr e.g i.e a.m p.m U.S U.K Ph.D M.D B.A B.S M.A M.S B.Sc M.Sc B.Tech M.Tech LL.B LL.M "
    "J.D Ed.D"
)
_SPANISH = "Sr Sra Srta Dr Dra Ud Uds etc p.ej"
_HINDI = "डॉ श्री श्रीमती कु प्रो पं डा"
_NONE = ""
_ABBREVIATIONS: Mapping[str, str] = {
    "en": _ENGLISH,
    "de": "Hr Fr Dr Prof Nr St bzw ggf inkl z.B u.a d.h ca",
    "fr": "M Mme Mlle Dr Pr St Ste etc cf p.ex c.-à-d av J.-C",
    "es": _SPANISH,
    "pt": _SPANISH,
    "it": "Sig Sigra Dr Dott Prof ecc sig dott",
    "hi": _HINDI,
    "mr": _HINDI,
    "bn": "ড শ্রী",
    "gu": "ડૉ શ્રી પ્રો",
    **dict.fromkeys(
        [
            "pa",
            "ta",
            "te",
            "kn",
            "ml",
            "or",
            "si",
            "zh",
            "ja",
            "ko",
            "ar",
            "fa",
            "ur",
            "he",
            "th",
            "lo",
            "my",
            "km",
            "am",
            "ti",
            "bo",
            "hy",
            "ka",
            "el",
        ],
        _NONE,
    ),
}
ABBREVIATIONS: Mapping[str, frozenset[str]] = {
    language: frozenset(word.casefold() for word in words.split())
    for language, words in _ABBREVIATIONS.items()
}
"""Without their last dot, case folded. A language that is not here has the English ones."""

_TITLES = "Mr Mrs Ms Dr Prof St Capt Lt Sgt Gen Col Rev Hon Mt Fr Hr"
_ROMANCE_TITLES = "M Mme Mlle Pr Ste Sig Sigra Dott Sra Srta Dra Ud Uds"
TITLES = frozenset(
    word.casefold() for word in f"{_TITLES} {_ROMANCE_TITLES} {_HINDI} ড শ্রী ડૉ શ્રી પ્રો".split()
)
"""Abbreviations that a name follows: no sentence ends with them, whatever comes."""
SPANISH_TITLE = "sr"
"""A title in Spanish and Portuguese, but "senior" behind an English name."""

STARTERS = frozenset(
    [
        "I",
        "He",
        "She",
        "It",
        "They",
        "We",
        "You",
        "This",
        "That",
        "These",
        "Those",
        "The",
        "A",
        "An",
        "There",
        "What",
        "Why",
        "How",
        "When",
        "Where",
    ]
)
"""Capitalised after an abbreviation's dot, these begin a sentence."""


def abbreviations_of(language: str) -> frozenset[str]:
    return ABBREVIATIONS.get(language, ABBREVIATIONS["en"])
