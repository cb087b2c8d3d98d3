"""Numbers, amounts, ranges and telephone numbers in words (agents.md 17.2 to 17.5)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.speech_text import FilterConfig
from actors.machines.speech_text.number_tables import (
    GUJARATI,
    GUJARATI_NUMBERS,
    HINDI,
    HINDI_NUMBERS,
    INDIC_LANGUAGES,
    MARATHI,
    MARATHI_NUMBERS,
    RANGE_WORDS,
    IndicWords,
)
from actors.machines.speech_text.number_words import Quantity, english_words, integer_words
from tests.actors.machines.speech_text.test_text_filter import filtered


def said(text: str, language: str = "en", **options: str) -> str:
    return filtered(text, FilterConfig(language=language, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (42, "forty-two"),
        (100, "one hundred"),
        (115, "one hundred fifteen"),
        (2_500_000, "two million five hundred thousand"),
        (10**12, "one trillion"),
        (10**15, "one quadrillion"),
        (3 * 10**18 + 7, "three quintillion seven"),
        (-5, "minus five"),
    ],
)
def test_english_words(number: int, words: str) -> None:
    assert english_words(number) == words


@pytest.mark.parametrize(
    ("number", "hindi", "marathi", "gujarati"),
    [
        (0, "शून्य", "शून्य", "શૂન્ય"),
        (100, "एक सौ", "शंभर", "એક સો"),
        (500, "पाँच सौ", "पाचशे", "પાંચ સો"),
        (150, "एक सौ पचास", "एकशे पन्नास", "એક સો પચાસ"),
        (1_000, "एक हज़ार", "एक हजार", "એક હજાર"),
        (150_000, "एक लाख पचास हज़ार", "एक लाख पन्नास हजार", "એક લાખ પચાસ હજાર"),
        (10**7, "एक करोड़", "एक कोटी", "એક કરોડ"),
        (10**9, "एक अरब", "एक अब्ज", "એક અબજ"),
        (100 * 10**9, "एक सौ अरब", "शंभर अब्ज", "એક સો અબજ"),
        (-5, "ऋण पाँच", "उणे पाच", "ઓછું પાંચ"),
    ],
)
def test_indic_words_group_by_lakh_and_crore(
    number: int, hindi: str, marathi: str, gujarati: str
) -> None:
    assert integer_words(number, HINDI_NUMBERS) == hindi
    assert integer_words(number, MARATHI_NUMBERS) == marathi
    assert integer_words(number, GUJARATI_NUMBERS) == gujarati


@pytest.mark.parametrize("words", [HINDI, MARATHI, GUJARATI])
def test_every_number_below_a_hundred_has_its_own_word(words: IndicWords) -> None:
    assert len(words.below_hundred) == len(set(words.below_hundred)) == 100


@given(st.integers(0, 10**15), st.sampled_from(["", "0", "5", "25"]), st.sampled_from("KMBTL"))
def test_a_scale_is_multiplied_out(whole: int, decimals: str, scale: str) -> None:
    values = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12, "L": 10**5}
    quantity = Quantity.written(f"{whole:,}", decimals, scale)
    assert quantity is not None
    assert quantity.decimals == ""
    assert quantity.whole == Decimal(f"{whole}.{decimals or 0}") * values[scale]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("1,234", "one thousand two hundred thirty-four"),
        ("150", "one hundred fifty"),
        ("2500", "two thousand five hundred"),
        ("3.14", "three point one four"),
        ("0.05", "zero point zero five"),
        ("150.5", "one hundred fifty point five"),
        ("5.00", "five"),
        ("10K", "ten thousand"),
        ("2.5M", "two million five hundred thousand"),
        ("5 lakh", "five hundred thousand"),
        ("2 Cr", "twenty million"),
        ("-500", "minus five hundred"),
        ("1000000000000000", "one quadrillion"),
        ("0", "0"),
        ("99", "99"),
        ("1700 and 2099", "1700 and 2099"),
        ("1699 or 2100", "one thousand six hundred ninety-nine or two thousand one hundred"),
        ("007", "007"),
        ("0123456", "0123456"),
        ("A500", "A500"),
        ("7 million", "7 million"),
        ("22 Arab", "22 Arab"),
        ("100th", "100th"),
        ("2024-01-15", "2024-01-15"),
        ("at 500.", "at five hundred."),
        ("(500)", "(five hundred)"),
    ],
)
def test_english_cardinals(text: str, spoken: str) -> None:
    assert said(f"So {text} it is") == f"So {spoken} it is"


def test_numbers_wait_for_a_scale_that_may_follow() -> None:
    assert said("₹5 करोड़ में", "hi") == "पाँच करोड़ रुपये में"
    assert said("5 लाख लोग", "hi") == "पाँच लाख लोग"
    assert said("2.5 करोड़", "hi") == "दो करोड़ पचास लाख"
    assert said("5.5", "hi") == "पाँच दशमलव पाँच"
    assert said("5.5", "mr") == "पाच दशांश पाच"
    assert said("5.5", "gu") == "પાંચ દશાંશ પાંચ"


@pytest.mark.parametrize("language", sorted(INDIC_LANGUAGES | {"en"}))
def test_numbers_are_verbalised_in_these_languages(language: str) -> None:
    assert "500" not in said("500", language)


@pytest.mark.parametrize("language", ["auto", "", "de", "fr", "zh", "ar", "ru"])
def test_numbers_are_left_to_the_voice_in_others(language: str) -> None:
    assert said("500 and 3.5", language) == "500 and 3.5"


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("$5", "five dollars"),
        ("$ 5", "five dollars"),
        ("$1", "one dollar"),
        ("$1.00", "one dollar"),
        ("$1.50", "one point five zero dollars"),
        ("$2.5M", "two million five hundred thousand dollars"),
        ("$1,234", "one thousand two hundred thirty-four dollars"),
        (
            "€1 234 567",
            "one million two hundred thirty-four thousand five hundred sixty-seven euros",
        ),
        ("₹1,00,000", "one hundred thousand rupees"),
        ("₹3 Cr", "thirty million rupees"),
        ("£20", "twenty pounds"),
        ("£1", "one pound"),
        ("¥1", "one yen"),
        ("₽2", "two rubles"),
        ("₩900", "nine hundred won"),
        ("$10k", "ten thousand dollars"),
        ("~$5", "approximately five dollars"),
        ("$5 million", "five million dollars"),
        ("$1 billion", "one billion dollars"),
    ],
)
@pytest.mark.parametrize("language", ["en", "auto"])
def test_amounts_in_english(text: str, spoken: str, language: str) -> None:
    assert said(f"pay {text} now", language) == f"pay {spoken} now"


@pytest.mark.parametrize(
    ("language", "spoken"),
    [
        ("hi", "पाँच डॉलर पाँच रुपये पाँच यूरो पाँच पाउंड पाँच येन पाँच रूबल पाँच वॉन"),
        ("mr", "पाच डॉलर पाच रुपये पाच यूरो पाच पाउंड पाच येन पाच रूबल पाच वॉन"),
        ("gu", "પાંચ ડૉલર પાંચ રૂપિયા પાંચ યુરો પાંચ પાઉન્ડ પાંચ યેન પાંચ રૂબલ પાંચ વોન"),
        ("ta", "पाँच डॉलर पाँच रुपये पाँच यूरो पाँच पाउंड पाँच येन पाँच रूबल पाँच वॉन"),
    ],
)
def test_amounts_in_indic_languages(language: str, spoken: str) -> None:
    assert said("$5 ₹5 €5 £5 ¥5 ₽5 ₩5", language) == spoken


def test_a_hint_says_whose_dollars_and_never_makes_dollars_of_pounds() -> None:
    assert said("$5 £5", currency_hint="cad") == "five Canadian dollars five pounds"
    assert said("$1", currency_hint="aud") == "one Australian dollar"
    assert said("£5", currency_hint="usd") == "five pounds"


@pytest.mark.parametrize(
    ("text", "language", "spoken"),
    [
        ("5-10 days", "en", "5 to 10 days"),
        ("100-200", "en", "one hundred to two hundred"),
        ("1000-2000", "en", "1000-2000"),
        ("5-10", "auto", "5-10"),
        ("1500-1600", "de", "1500 bis 1600"),
        ("1-2-3", "en", "1-2-3"),
        ("1.5-2", "de", "1.5-2"),
        ("takes 5-10.", "en", "takes 5 to 10."),
    ],
)
def test_ranges(text: str, language: str, spoken: str) -> None:
    assert said(text, language) == spoken


@pytest.mark.parametrize("language", sorted(RANGE_WORDS))
def test_each_language_has_its_range_word(language: str) -> None:
    assert said("5-10", language) == f"5 {RANGE_WORDS[language]} 10"


@pytest.mark.parametrize(
    "phone",
    [
        "(415) 555-2671",
        "+91 98765 43210",
        "+1-415-555-2671",
        "415-555-2671",
        "415 555 2671",
        "555-1234",
        "0123456789",
        "123456",
    ],
)
def test_phone_numbers_are_spelled_as_the_voice_needs_it(phone: str) -> None:
    digits = " ".join(filter(str.isdigit, phone))
    assert said(f"call {phone} now", spell="digits") == f"call {digits} now"
    assert said(f"call {phone} now", spell="cartesia") == f"call <spell>{phone}</spell> now"
    if phone != "123456":  # which may as well be a quantity
        assert said(f"call {phone} now") == f"call {phone} now"


def test_the_wide_range_holds_for_the_cartesia_flavour() -> None:
    assert said("1500-1600", spell="cartesia") == (
        "one thousand five hundred to one thousand six hundred"
    )


def test_what_is_spelled_already_stays() -> None:
    for flavour in ("none", "cartesia", "digits"):
        text = "id <spell>500123</spell> and <spell>$5</spell>"
        assert said(text, spell=flavour) == text
