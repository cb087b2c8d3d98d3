"""The talk page's screen, in a real browser: what is said, heard, cut, shown and read out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.transports.browser import open_browser, open_page, snapshot, wait_for
from tests.transports.page_server import PageCall, PageServer, perform


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as server:
        yield server


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with open_page(browser) as page:
        yield page


@pytest.fixture
def call(page: Any, server: PageServer) -> PageCall:
    page.goto(server.address)
    page.click("#connect-text")
    call = server.wait_for_call()
    wait_for(page, "it.state === 'live'")
    return call


def _texts(page: Any, selector: str) -> list[str]:
    texts: list[str] = page.locator(selector).all_inner_texts()
    return texts


def test_interim_text_grows_in_its_place_and_settles(page: Any, call: PageCall) -> None:
    call.show("transcript", turn=1, text="book a", final=False, leg="a")
    call.show("transcript", turn=1, text="book a table", final=False, leg="a")
    wait_for(page, "it.items.length === 1 && it.items[0].text === 'book a table'")
    assert _texts(page, ".item.user.interim .line") == ["book a table"]
    call.show("transcript", turn=1, text="Book a table.", final=True, leg="a")
    wait_for(page, "it.items[0].final")
    assert _texts(page, ".item.user .line") == ["Book a table."]
    assert page.locator(".interim").count() == 0


def test_the_spoken_mark_parts_what_was_heard_from_what_is_to_come(
    page: Any, call: PageCall
) -> None:
    # Beyond the basic plane a character is two of JavaScript's and one of Python's.
    text = "𝄞 Good evening"
    call.show("agent", name="Ada", reason="")
    call.show("speech", utterance=1, text=text, agent="Ada")
    call.show("spoken", utterance=1, characters=6)
    wait_for(page, "it.items.length === 1 && it.items[0].spoken === 6")
    assert page.locator(".agent .heard").text_content() == text[:6]
    assert page.locator(".agent .ahead").text_content() == text[6:]
    assert _texts(page, ".agent .speaker") == ["Ada"]
    assert page.locator("#agent").text_content() == "Ada"


def test_an_interrupted_utterance_is_shown_cut_where_history_cuts_it(
    page: Any, call: PageCall
) -> None:
    call.show("speech", utterance=1, text="One two three four", agent="Ada")
    call.show("said", utterance=1, text="One two", interrupted=True, agent="Ada")
    call.show("speech", utterance=2, text="Yes", agent="Ada")
    call.show("said", utterance=2, text="Yes", interrupted=False, agent="Ada")
    wait_for(page, "it.items.length === 2 && it.items[1].over")
    assert page.locator(".interrupted .heard").text_content() == "One two"
    assert page.locator(".interrupted .unheard").text_content() == "three four"
    assert page.locator(".interrupted .cut").count() == 1
    assert page.locator(".cut").count() == 1


def test_markup_in_what_is_said_stays_text(page: Any, call: PageCall) -> None:
    call.show("transcript", turn=1, text="<img src=x onerror=alert(1)>", final=True, leg="a")
    wait_for(page, "it.items.length === 1")
    assert _texts(page, ".item.user .line") == ["<img src=x onerror=alert(1)>"]
    assert page.locator("#transcript img").count() == 0


def test_a_written_message_is_sent_and_comes_back_as_one_item(page: Any, call: PageCall) -> None:
    page.fill("#text", "  three nights ")
    page.press("#text", "Enter")
    assert call.wait_for("text")["text"] == "three nights"
    wait_for(page, "it.items.length === 1 && it.items[0].kind === 'typed'")
    assert page.input_value("#text") == ""
    call.show("transcript", turn=1, text="three nights", final=True, leg="a")
    call.show("transcript", turn=1, text="three nights", final=True, leg="a")
    wait_for(page, "it.items[0].kind === 'user'")
    assert len(snapshot(page)["items"]) == 1


def test_finished_sentences_are_read_out_once_and_growing_ones_are_not(
    page: Any, call: PageCall
) -> None:
    call.show("transcript", turn=1, text="hel", final=False, leg="a")
    call.show("transcript", turn=1, text="Hello.", final=True, leg="a")
    call.show("speech", utterance=1, text="Good evening, sir", agent="Ada")
    call.show("said", utterance=1, text="Good evening", interrupted=True, agent="Ada")
    call.show("said", utterance=1, text="Good evening", interrupted=True, agent="Ada")
    wait_for(page, "it.items.length === 2 && it.items[1].over")
    assert page.locator("#announcer").get_attribute("aria-live") == "polite"
    assert page.locator("#announcer p").all_text_contents() == [
        "You: Hello.",
        "Ada: Good evening (interrupted)",
    ]


def test_floors_tools_handoffs_and_notices_are_shown(page: Any, call: PageCall) -> None:
    call.show("agent", name="Ada", reason="")
    call.show("floors", user="trailing", agent="held", at=4.25)
    call.show("tool", id="1", name="look_up", state="started", detail="")
    call.show("tool", id="1", name="look_up", state="failed", detail="no such guest")
    call.show("agent", name="Ben", reason="about money")
    call.show("notice", text="The voice changed.", level="warning")
    wait_for(page, "it.items.length === 3")
    assert _texts(page, "[aria-current]") == ["trailing", "held"]
    assert page.locator("#floors-at").text_content() == "4.25 s"
    assert _texts(page, "#tools .tool-state") == ["failed"]
    assert _texts(page, ".handoff .direction") == ["Ben takes over: about money"]
    assert _texts(page, ".notice .direction") == ["The voice changed."]
    assert page.locator("#state").text_content() == "With Ben"


def test_a_turns_parts_are_drawn_to_scale_with_its_barge_in(page: Any, call: PageCall) -> None:
    parts = {"end_of_turn": 250, "model": 500, "speech": 250}
    call.show("turn", turn=4, parts_ms=parts, total_ms=1000, barge_in_ms=None)
    call.show("turn", turn=5, parts_ms={"model": 500}, total_ms=500, barge_in_ms=92.4)
    wait_for(page, "it.turns.length === 2")
    assert _texts(page, "#turns .total") == ["500 ms", "1000 ms"]
    assert _texts(page, "#turns .barge-in") == ["barge-in: silent after 92 ms"]
    bar = page.locator("#turns li.turn").nth(1).locator(".bar")
    assert bar.get_attribute("aria-label") == "end of turn 250 ms, model 500 ms, speech 250 ms"
    widths = [part.bounding_box()["width"] for part in bar.locator(".part").all()]
    assert widths[1] == pytest.approx(2 * widths[0], abs=1)
    assert sum(widths) == pytest.approx(bar.bounding_box()["width"], abs=1)


def test_events_can_be_filtered_and_secrets_are_not_among_them(page: Any, call: PageCall) -> None:
    call.show("spoken", utterance=1, characters=3)
    call.show("transcript", turn=1, text="hello there", final=True, leg="a")
    wait_for(page, "it.items.length === 2")
    log = page.locator("#log")
    assert "resume-1" not in log.inner_text()
    assert "show spoken" not in log.inner_text()
    page.check("#log-receipts")
    assert "show spoken" in log.inner_text()
    page.fill("#log-filter", "SHOW -spoken -start")
    assert [text.split("\n")[0] for text in _texts(page, "#log b")] == ["show transcript"]
    page.fill("#log-filter", "nothing has this")
    assert page.locator("#log li").count() == 0


def test_shows_of_a_newer_server_do_no_harm(page: Any, call: PageCall) -> None:
    call.show("weather", rain=True)
    call.send(type="news", text="unknown")
    call.show("floors", user="humming", agent="idle", at=1)
    wait_for(page, "it.floors.user === 'humming'")
    assert _texts(page, "#user-floor [aria-current]") == ["humming"]


def test_a_long_call_keeps_a_bounded_transcript(page: Any, call: PageCall) -> None:
    for number in range(430):
        call.show("transcript", turn=number, text=f"turn {number}", final=True, leg="a")
    wait_for(page, "it.items.at(-1)?.text === 'turn 429'")
    assert len(snapshot(page)["items"]) == 400
    assert page.locator("#transcript > li").count() == 400
    assert _texts(page, "#transcript > li:first-child .line") == ["turn 30"]


def test_a_snapshot_cannot_be_written_to(page: Any, call: PageCall) -> None:
    call.show("agent", name="Ada", reason="")
    wait_for(page, "it.agent === 'Ada'")
    page.evaluate("() => { try { troupe.snapshot().agent = 'Eve'; } catch { /* strict */ } }")
    page.evaluate("() => { try { window.troupe = 1; } catch { /* strict */ } }")
    assert snapshot(page)["agent"] == "Ada"


def test_another_call_begins_on_an_empty_page(
    page: Any, call: PageCall, server: PageServer
) -> None:
    call.show("speech", utterance=1, text="Old words", agent="Ada")
    wait_for(page, "it.items.length === 1")
    call.send(type="stop", reason="goodbye")
    wait_for(page, "it.state === 'ended'")
    assert _texts(page, "#welcome-text") == ["Goodbye."]
    page.click("#connect-text")
    again = server.wait_for_call(2)
    assert "resume" not in again.start
    again.show("speech", utterance=1, text="New words", agent="Ada")
    wait_for(page, "it.items.length === 1 && it.items[0].text === 'New words'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
def test_a_whole_conversation_fits_every_screen(
    browser: Any, server: PageServer, width: int, height: int, scheme: str
) -> None:
    viewport = {"width": width, "height": height}
    with open_page(browser, viewport=viewport, color_scheme=scheme) as page:
        page.goto(server.address)
        page.click("#connect-text")
        perform(server.wait_for_call(), lambda _seconds: None)
        wait_for(page, "it.items.length === 7")
        for view in ["talk", "inspect"]:
            page.evaluate("view => document.getElementById(`view-${view}`).click()", view)
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate(_SPILLING) == []
            assert page.evaluate(_FAINT) == []


# Elements with text that reach beyond the right edge of the screen.
_SPILLING = """() => [...document.querySelectorAll('body *')].filter((element) => {
  const box = element.getBoundingClientRect();
  return box.width > 1 && element.checkVisibility() && box.right > innerWidth + 0.5;
}).map((element) => element.outerHTML.slice(0, 80))"""

# Visible text with less contrast than WCAG AA asks of small text, except on disabled controls.
_FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const light = ([r, g, b]) => [r, g, b].map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const exempt = element.closest(':disabled, noscript, svg') !== null;
    if (!says || exempt || !element.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${contrast.toFixed(2)} ${element.outerHTML.slice(0, 80)}`);
  }
  return faint;
}"""
