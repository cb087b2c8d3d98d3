"""The words of numbers and currencies, by language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs


def _words(text: str) -> Sequence[str]:
    return tuple(text.split())


ENGLISH_SMALL: Sequence[str] = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen"
)
ENGLISH_TENS: Sequence[str] = _words("_ ten twenty thirty forty fifty sixty seventy eighty ninety")
ENGLISH_SCALES: Sequence[tuple[int, str]] = (
    (10**18, "quintillion"),
    (10**15, "quadrillion"),
    (10**12, "trillion"),
    (10**9, "billion"),
    (10**6, "million"),
    (10**3, "thousand"),
)


@attrs.frozen
class IndicWords:
    """How one language of India says its numbers: every one below 100 has a word of its own."""

    below_hundred: Sequence[str]
    hundred: str
    thousand: str
    lakh: str
    crore: str
    arab: str
    hundred_suffix: str = ""
    """Joined to the digit's word for n hundred; then `hundred` is only said for exactly 100."""


HINDI = IndicWords(
    _words(
        "शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह "
        "अठारह उन्नीस बीस इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस तीस "
        "इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस चालीस इकतालीस "
        "बयालीस तैंतालीस चौवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस उनचास पचास इक्यावन "
        "बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ साठ इकसठ बासठ तिरसठ चौंसठ पैंसठ "
        "छियासठ सड़सठ अड़सठ उनहत्तर सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर "
        "सतहत्तर अठहत्तर उनासी अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी "
        "अट्ठासी नवासी नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे "
        "अट्ठानवे निन्यानवे"
    ),
    hundred="सौ",
    thousand="हज़ार",
    lakh="लाख",
    crore="करोड़",
    arab="अरब",
)
MARATHI = IndicWords(
    _words(
        "शून्य एक दोन तीन चार पाच सहा सात आठ नऊ दहा अकरा बारा तेरा चौदा पंधरा सोळा सतरा "
        "अठरा एकोणीस वीस एकवीस बावीस तेवीस चोवीस पंचवीस सव्वीस सत्तावीस अठ्ठावीस एकोणतीस "
        "तीस एकतीस बत्तीस तेहतीस चौतीस पस्तीस छत्तीस सदतीस अडतीस एकोणचाळीस चाळीस "
        "एक्केचाळीस बेचाळीस त्रेचाळीस चव्वेचाळीस पंचेचाळीस सेहेचाळीस सत्तेचाळीस "
        "अठ्ठेचाळीस एकोणपन्नास पन्नास एक्कावन्न बावन्न त्रेपन्न चोपन्न पंचावन्न छप्पन्न "
        "सत्तावन्न अठ्ठावन्न एकोणसाठ साठ एकसष्ट बासष्ट त्रेसष्ट चौसष्ट पासष्ट सहासष्ट "
        "सदुसष्ट अडुसष्ट एकोणसत्तर सत्तर एक्काहत्तर बाहत्तर त्र्याहत्तर चौऱ्याहत्तर "
        "पंच्याहत्तर शहात्तर सत्याहत्तर अठ्ठ्याहत्तर एकोणऐंशी ऐंशी एक्याऐंशी ब्याऐंशी "
        "त्र्याऐंशी चौऱ्याऐंशी पंच्याऐंशी शहाऐंशी सत्याऐंशी अठ्ठ्याऐंशी एकोणनव्वद नव्वद "
        "एक्याण्णव ब्याण्णव त्र्याण्णव चौऱ्याण्णव पंच्याण्णव शहाण्णव सत्याण्णव "
        "अठ्ठ्याण्णव नव्व्याण्णव"
    ),
    hundred="शंभर",
    thousand="हजार",
    lakh="लाख",
    crore="कोटी",
    arab="अब्ज",
    hundred_suffix="शे",
)
GUJARATI = IndicWords(
    _words(
        "શૂન્ય એક બે ત્રણ ચાર પાંચ છ સાત આઠ નવ દસ અગિયાર બાર તેર ચૌદ પંદર સોળ સત્તર અઢાર "
        "ઓગણીસ વીસ એકવીસ બાવીસ ત્રેવીસ ચોવીસ પચ્ચીસ છવ્વીસ સત્તાવીસ અઠ્ઠાવીસ ઓગણત્રીસ "
        "ત્રીસ એકત્રીસ બત્રીસ તેત્રીસ ચોત્રીસ પાંત્રીસ છત્રીસ સાડત્રીસ આડત્રીસ ઓગણચાલીસ "
        "ચાલીસ એકતાલીસ બેતાલીસ ત્રેતાલીસ ચુંમાલીસ પિસ્તાલીસ છેતાલીસ સુડતાલીસ અડતાલીસ "
        "ઓગણપચાસ પચાસ એકાવન બાવન ત્રેપન ચોપન પંચાવન છપ્પન સત્તાવન અઠ્ઠાવન ઓગણસાઠ સાઠ એકસઠ "
        "બાસઠ ત્રેસઠ ચોસઠ પાંસઠ છાસઠ સડસઠ અડસઠ અગણોસિત્તેર સિત્તેર એકોતેર બોતેર તોતેર "
        "ચુમોતેર પંચોતેર છોતેર સિત્યોતેર ઇઠ્યોતેર ઓગણાએંસી એંસી એક્યાસી બ્યાસી ત્યાસી "
        "ચોર્યાસી પંચાસી છ્યાસી સત્યાસી ઇઠ્યાસી નેવ્યાસી નેવું એકાણું બાણું ત્રાણું "
        "ચોરાણું પંચાણું છન્નું સત્તાણું અઠ્ઠાણું નવ્વાણું"
    ),
    hundred="સો",
    thousand="હજાર",
    lakh="લાખ",
    crore="કરોડ",
    arab="અબજ",
)

SYMBOL_CURRENCIES: Mapping[str, str] = {
    "$": "usd",
    "₹": "inr",
    "€": "eur",
    "£": "gbp",
    "¥": "jpy",
    "₽": "rub",
    "₩": "krw",
}
HINT_SYMBOLS: Mapping[str, str] = {
    **{currency: symbol for symbol, currency in SYMBOL_CURRENCIES.items()},
    "cad": "$",
    "aud": "$",
}
"""The symbol that each currency is written with."""

ENGLISH_CURRENCIES: Mapping[str, tuple[str, str]] = {
    "usd": ("dollar", "dollars"),
    "inr": ("rupee", "rupees"),
    "eur": ("euro", "euros"),
    "gbp": ("pound", "pounds"),
    "jpy": ("yen", "yen"),
    "rub": ("ruble", "rubles"),
    "krw": ("won", "won"),
    "cad": ("Canadian dollar", "Canadian dollars"),
    "aud": ("Australian dollar", "Australian dollars"),
}
"""Singular and plural."""
_DEVANAGARI_CURRENCIES: Mapping[str, str] = dict(
    zip(
        ("usd", "inr", "eur", "gbp", "jpy", "rub", "krw"),
        ["डॉलर", "रुपये", "यूरो", "पाउंड", "येन", "रूबल", "वॉन"],
        strict=True,
    )
)
_GUJARATI_CURRENCIES: Mapping[str, str] = dict(
    zip(
        ("usd", "inr", "eur", "gbp", "jpy", "rub", "krw"),
        ["ડૉલર", "રૂપિયા", "યુરો", "પાઉન્ડ", "યેન", "રૂબલ", "વોન"],
        strict=True,
    )
)


@attrs.frozen
class NumberLanguage:
    """How a language reads numbers and amounts."""

    indic: IndicWords | None
    """None: English words."""
    point: str
    minus: str
    currencies: Mapping[str, tuple[str, str]]


def _indic(
    words: IndicWords, point: str, minus: str, currencies: Mapping[str, str]
) -> NumberLanguage:
    same = {currency: (name, name) for currency, name in currencies.items()}
    for dollars in ("cad", "aud"):
        same[dollars] = same["usd"]
    return NumberLanguage(words, point, minus, same)


ENGLISH_NUMBERS = NumberLanguage(None, "point", "minus", ENGLISH_CURRENCIES)
HINDI_NUMBERS = _indic(HINDI, "दशमलव", "ऋण", _DEVANAGARI_CURRENCIES)
MARATHI_NUMBERS = _indic(MARATHI, "दशांश", "उणे", _DEVANAGARI_CURRENCIES)
GUJARATI_NUMBERS = _indic(GUJARATI, "દશાંશ", "ઓછું", _GUJARATI_CURRENCIES)

INDIC_LANGUAGES = frozenset(_words("hi mr gu bn ta te kn ml pa or as si ne ur"))
"""Languages that count in lakh and crore; those without a table of their own use Hindi words."""

SCALES: Mapping[str, int] = {
    "k": 10**3,
    "m": 10**6,
    "b": 10**9,
    "t": 10**12,
    "l": 10**5,
    "lakh": 10**5,
    "lac": 10**5,
    "cr": 10**7,
    "crore": 10**7,
    **{
        word: value
        for words in (HINDI, MARATHI, GUJARATI)
        for word, value in (
            (words.thousand, 10**3),
            (words.lakh, 10**5),
            (words.crore, 10**7),
            (words.arab, 10**9),
        )
    },
    "हजार": 10**3,
    "करोड": 10**7,
}
"""What a scale suffix multiplies by; Latin ones in lower case."""
SCALE_LETTERS = ("K", "M", "B", "T", "L")
SCALE_WORDS = tuple(sorted((word for word in SCALES if len(word) > 1), key=len, reverse=True))
SCALE_INITIALS = frozenset(letter for word in SCALES for letter in (word[0], word[0].upper()))

RANGE_WORDS: Mapping[str, str] = {
    "en": "to",
    "de": "bis",
    "fr": "à",
    "es": "a",
    "pt": "a",
    "it": "a",
    "hi": "से",
    "bn": "থেকে",
    "mr": "ते",
    "gu": "થી",
    "pa": "ਤੋਂ",
    "ta": "முதல்",
    "te": "నుండి",
    "kn": "ರಿಂದ",
    "ml": "മുതൽ",
    "zh": "到",
    "ja": "から",
    "ko": "에서",
    "ar": "إلى",
    "fa": "تا",
    "ur": "سے",
    "he": "עד",
    "th": "ถึง",
    "ru": "до",
    "uk": "до",
    "el": "έως",
}
"""What stands between the two numbers of a range."""


def number_language(language: str) -> NumberLanguage | None:
    """The words for a language's numbers; None where numbers are left to the voice.

    `auto` counts as English, which only matters to amounts: it verbalises no plain numbers.
    """
    match language:
        case "en" | "auto":
            return ENGLISH_NUMBERS
        case "mr":
            return MARATHI_NUMBERS
        case "gu":
            return GUJARATI_NUMBERS
        case _ if language in INDIC_LANGUAGES:
            return HINDI_NUMBERS
        case _:
            return None
