"""The text filter's emission and its rules, one by one (agents.md 17.1 and 17.2)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.machines.speech_text import FilterConfig, TextFilter
from tests.actors.machines.speech_text.splits import split_texts


def filtered(text: str, config: FilterConfig | None = None) -> str:
    text_filter = TextFilter(config)
    result = text_filter.push(text) + text_filter.end()
    assert text_filter.failures == 0
    return result


def test_text_is_emitted_up_to_the_last_blank_at_which_everything_is_closed() -> None:
    text_filter = TextFilter()
    pushes = ("**Bo", "ld** text ", "and (par", "en) done")
    assert [text_filter.push(push) for push in pushes] == ["", "Bold text ", "and ", "(paren) "]
    assert text_filter.end() == "done"


@pytest.mark.parametrize("opened", ["**bold ", "__bold ", "`code ", "[link ", "(aside "])
def test_an_open_mark_holds_the_text_back(opened: str) -> None:
    text_filter = TextFilter()
    assert text_filter.push(f"Said {opened}and more ") == "Said "


def test_with_more_than_two_thousand_characters_everything_is_emitted() -> None:
    text_filter = TextFilter()
    assert text_filter.push("(" + "x " * 999) == ""
    assert len(text_filter.push("y" * 100)) == 2099


def test_a_bracket_that_closes_nothing_holds_nothing_back() -> None:
    assert TextFilter().push("a) first of all ") == "a) first of all "


@pytest.mark.parametrize(
    ("pushes", "emitted"),
    [
        (["Run this: ```py\nprint(", ")\n``` and then"], "Run this:  and then"),
        (["Now ``", "`a b", " c``", "` on"], "Now  on"),
        (["Before ```never closed", " and more"], "Before "),
        (["(Open ```x``` y) z"], "(Open  y) z"),
    ],
)
def test_fenced_code_is_dropped_across_pushes(pushes: Sequence[str], emitted: str) -> None:
    text_filter = TextFilter()
    assert "".join(map(text_filter.push, pushes)) + text_filter.end() == emitted


def test_what_stands_before_a_fence_is_emitted_when_the_fence_opens() -> None:
    assert TextFilter().push("Look here:```py") == "Look here:"


@pytest.mark.parametrize(
    "protected",
    [
        "https://a.b/c_d_e?x=1&y=2#z",
        "www.example.com/a__b",
        "ftp://host/file~1",
        "first_last@mail.example.com",
        "/etc/app_x/conf_y.toml",
        r"C:\temp\my_file_1.txt",
        "1.22.333",
    ],
)
def test_addresses_paths_and_versions_pass_untouched(protected: str) -> None:
    assert filtered(f"See {protected} now", FilterConfig(language="en")) == f"See {protected} now"


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Booked (id=17, ok=yes) now", "Booked now"),
        ("Fine (really) now", "Fine (really) now"),
        ("Yes\nTOOL_CALL: name=x y\nNo", "Yes\nNo"),
        ("NOTE: keep this", "NOTE: keep this"),
        ("NO: a=1", "NO: a=1"),
        ("Note: a=1", "Note: a=1"),
    ],
)
def test_metadata_is_removed(text: str, spoken: str) -> None:
    assert filtered(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Use `make run` here", "Use here"),
        ("See ![a chart](x.png) here", "See here"),
        ("See [the docs](https://a.b/c) here", "See the docs here"),
        ("# One\n###### Six", "One\nSix"),
        ("- a\n* b\n+ c\n1. d", "a\nb\nc\nd"),
        ("> quoted\n> - nested", "quoted\nnested"),
        ("above\n---\nbelow\n***\nend", "above\nbelow\nend"),
        ("a | b\n--- | ---\nc | d", "a b\nc d"),
        ("|---|:-:|\nx", "x"),
        ("**bold** and __bold__", "bold and bold"),
        ("*it is* and _it is_", "it is and it is"),
        ("***both***", "both"),
        ("snake_case_name stays", "snake_case_name stays"),
        ("2*3 and a*b and 5 * 3 and 2**3", "2*3 and a*b and 5 * 3 and 2**3"),
        ("**never closed", "never closed"),
        ("*never closed", "never closed"),
        ("never closed**", "never closed"),
        ("the `never closed", "the never closed"),
    ],
)
def test_markdown_is_taken_away(text: str, spoken: str) -> None:
    assert filtered(text) == spoken


def test_the_text_of_inline_code_can_be_kept() -> None:
    assert filtered("Use `make run` here", FilterConfig(keep_inline_code=True)) == (
        "Use make run here"
    )


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("new order (नया ऑर्डर)", "नया ऑर्डर"),
        ("your new order (नया ऑर्डर) is", "your नया ऑर्डर is"),
        ("order (नया ऑर्डर)", "order (नया ऑर्डर)"),
        ("new order, (नया ऑर्डर)", "new order, (नया ऑर्डर)"),
        ("new order (a new one)", "new order (a new one)"),
    ],
)
def test_latin_words_before_their_gloss_are_dropped(text: str, spoken: str) -> None:
    assert filtered(text) == spoken
    assert filtered(text, FilterConfig(language="hi")) == spoken


def test_a_gloss_is_collapsed_however_it_streams_where_another_script_is_spoken() -> None:
    text_filter = TextFilter(FilterConfig(language="hi"))
    spoken = "".join(text_filter.push(letter) for letter in "आपका new order (नया ऑर्डर) है")
    assert spoken + text_filter.end() == "आपका नया ऑर्डर है"


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("well... yes..... no..", "well… yes… no.."),
        ("this - that", "this — that"),
        ("this -that well-known", "this -that well-known"),
    ],
)
def test_punctuation_is_tidied(text: str, spoken: str) -> None:
    assert filtered(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("salt & pepper", "salt and pepper"),
        ("5% of it", "5 percent of it"),
        ("we are #4 now", "we are number 4 now"),
        ("~20 or ≈ 30", "approximately 20 or approximately 30"),
        ("3 × 4 ÷ 2", "3 times 4 divided by 2"),
        ("3×4", "3 times 4"),
        ("a #tag stays", "a #tag stays"),
    ],
)
def test_symbols_are_said_in_english_and_where_the_language_is_not_known(
    text: str, spoken: str
) -> None:
    assert filtered(text) == filtered(text, FilterConfig(language="en-GB")) == spoken
    assert filtered(text, FilterConfig(language="de")) == text


def test_symbols_beside_numbers_in_words_are_said_too() -> None:
    config = FilterConfig(language="en")
    assert filtered("150% of #400", config) == "one hundred fifty percent of number four hundred"


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Great 😀 news", "Great news"),
        ("Yes 👍🏽", "Yes "),
        ("A 👨‍👩‍👧 family in 🇫🇷", "A family in "),
        ("I ❤️ it", "I it"),
        ("press 1️⃣", "press 1"),
        ("ශ්‍රී ලංකා", "ශ්‍රී ලංකා"),  # its joiner is spelling
    ],
)
def test_pictographs_are_removed(text: str, spoken: str) -> None:
    assert filtered(text) == spoken


@pytest.mark.parametrize(
    ("off", "text"),
    [
        ({"protect": False, "markdown": False}, "a /b/c"),
        ({"metadata": False}, "so (a=1) it"),
        ({"markdown": False}, "**b** # `c` ```d``` [e](f)"),
        ({"gloss": False}, "new order (नया ऑर्डर)"),
        ({"punctuation": False}, "a... - b"),
        ({"ranges": False}, "5-10"),
        ({"currency": False, "verbalise_numbers": False}, "$500"),
        ({"verbalise_numbers": False}, "1500 or 3.5"),
        ({"symbols": False}, "a & 5%"),
        ({"emoji": False}, "so 😀"),
    ],
)
def test_each_rule_can_be_switched_off(off: dict[str, bool], text: str) -> None:
    assert filtered(text, attrs.evolve(FilterConfig(language="en"), **off)) == text  # type: ignore[arg-type]


def test_the_filter_is_new_for_each_turn() -> None:
    text_filter = TextFilter()
    assert text_filter.push("(open ") + text_filter.end() == "(open "
    assert text_filter.push("- item ") == "item "


def test_a_failure_of_a_rule_passes_the_text_on_and_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("planted")

    text_filter = TextFilter()
    monkeypatch.setattr(text_filter._rules, "apply", fail)
    assert text_filter.push("**so** it goes ") == "**so** it goes "
    assert text_filter.failures == 1
    assert isinstance(text_filter.last_failure, ZeroDivisionError)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="spell"):
        FilterConfig(spell="loudly")
    with pytest.raises(ValueError, match="currency_hint"):
        FilterConfig(currency_hint="doubloons")


@given(
    st.text("abcXYZ äöü नमस्ते你好.,;:!?'\"\n ", max_size=200).filter(lambda text: ".." not in text)
)
def test_plain_text_passes_as_it_is(text: str) -> None:
    assert filtered(text) == text


@pytest.mark.parametrize("language", ["en", "hi", "de", "ta"])
@settings(max_examples=150, deadline=None)
@given(pushes=split_texts())
def test_any_way_of_pushing_a_text_gives_the_same_result(
    language: str, pushes: Sequence[str]
) -> None:
    text_filter = TextFilter(FilterConfig(language=language, gloss=language in ("hi", "ta")))
    streamed = "".join(map(text_filter.push, pushes)) + text_filter.end()
    assert text_filter.failures == 0, text_filter.last_failure
    assert streamed == filtered("".join(pushes), text_filter.config)


@settings(max_examples=150, deadline=None)
@given(pushes=split_texts())
def test_every_character_of_the_result_has_its_place_in_the_source(pushes: Sequence[str]) -> None:
    text_filter = TextFilter(FilterConfig(language="en", gloss=False))
    source = "".join(pushes)
    parts = [*map(text_filter.push_tracked, pushes), text_filter.end_tracked()]
    starts = [start for part in parts for start in part.starts]
    ends = [end for part in parts for end in part.ends]
    assert starts == sorted(starts)
    assert all(0 <= start < end <= len(source) for start, end in zip(starts, ends, strict=True))
