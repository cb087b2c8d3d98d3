"""The talk page's line and its controls, in a real browser: coming, going, losing, coming back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.transports.browser import open_browser, open_page, snapshot, wait_for
from tests.transports.page_server import PageCall, PageServer, tone


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


def _call(
    page: Any, server: PageServer, query: str = "", button: str = "#connect-text"
) -> PageCall:
    page.goto(server.address + query)
    page.click(button)
    call = server.wait_for_call()
    wait_for(page, "it.state === 'live'")
    return call


def test_the_page_says_who_it_is_and_what_it_can(page: Any, server: PageServer) -> None:
    call = _call(page, server, "?agent=booking&call=c-9&rate=8000")
    start = call.start
    assert start.pop("params")["page"] == "talk"
    assert start == {
        "type": "start",
        "stream": "s1",
        "format": "s16le",
        "rate": 8000,
        "channels": 1,
        "out_rate": 24000,
        "played": True,
        "clear": True,
        "shows": True,
        "call": "c-9",
        "agent": "booking",
    }


def test_hanging_up_says_stop_and_turns_the_microphone_off(page: Any, server: PageServer) -> None:
    call = _call(page, server, button="#connect")
    assert snapshot(page)["microphone"]["open"]
    page.click("#hang-up")
    assert call.wait_for("stop")["reason"] == "hung up"
    call.wait_until(lambda: call.lost, "the end of the connection")
    wait_for(page, "it.state === 'ended' && !it.microphone.open")
    assert page.locator("#welcome-text").inner_text() == "You hung up."


def test_leaving_the_page_says_stop(page: Any, server: PageServer) -> None:
    call = _call(page, server)
    page.goto("about:blank")
    assert call.wait_for("stop")["reason"] == "page closed"


def test_a_broken_line_comes_back_by_itself_with_its_resume_token(
    page: Any, server: PageServer
) -> None:
    call = _call(page, server)
    call.play(tone(0.1, 24000))
    call.wait_for("played")
    call.cut()
    back = server.wait_for_call(2)
    assert back.start["resume"] == call.ready["resume"]
    wait_for(page, "it.state === 'live' && it.ready.resumed")
    # Counts begin again with the connection.
    back.play(tone(0.05, 24000))
    back.wait_until(
        lambda: bool(back.of("played")) and back.of("played")[-1]["samples"] == 1200, "all"
    )
    assert snapshot(page)["line"]["resumes"] == 1


def test_the_line_can_be_dropped_on_purpose_and_returns_with_a_countdown(
    page: Any, server: PageServer
) -> None:
    call = _call(page, server)
    page.clock.install()
    page.click("#drop")
    wait_for(page, "it.state === 'away'")
    call.wait_until(lambda: call.lost, "the end of the connection")
    assert call.of("stop") == []
    page.clock.run_for(2500)
    assert page.locator("#away").inner_text() == "You dropped the line. Trying again in 3 s."
    assert len(server.calls) == 1
    page.clock.run_for(3000)
    back = server.wait_for_call(2)
    assert back.start["resume"] == call.ready["resume"]
    wait_for(page, "it.state === 'live'")
    page.clock.run_for(100)
    assert page.locator("#away").is_hidden()


def test_a_line_that_stays_away_for_longer_than_the_leg_is_kept_is_given_up(
    page: Any, server: PageServer
) -> None:
    call = _call(page, server)
    server.refuses = {"code": "unavailable", "message": "nobody is here just now"}
    page.clock.install()
    call.cut()
    wait_for(page, "it.state === 'away'")
    for _ in range(40):
        if snapshot(page)["state"] == "ended":
            break
        page.clock.run_for(1000)
        page.evaluate("new Promise((done) => queueMicrotask(done))")
        wait_for(page, "it.state !== 'connecting'")
    assert snapshot(page)["code"] == "lost"
    assert "could not be brought back" in page.locator("#welcome-text").inner_text()


def test_a_refused_return_is_the_end(page: Any, server: PageServer) -> None:
    call = _call(page, server)
    server.refuses = {"code": "refused", "message": "the leg is gone"}
    call.cut()
    wait_for(page, "it.state === 'ended'")
    assert snapshot(page)["code"] == "refused"
    assert page.locator("#welcome-text").inner_text() == "The leg is gone."


def test_a_new_call_instead_of_the_old_one_is_told(page: Any, server: PageServer) -> None:
    call = _call(page, server)
    call.show("transcript", turn=1, text="old", final=True, leg="a")
    wait_for(page, "it.items.length === 1")
    call.ready["resume"] = "forgotten"
    call.cut()
    server.wait_for_call(2)
    wait_for(page, "it.state === 'live' && it.items[0].kind === 'notice'")
    assert page.locator(".notice").inner_text() == "The old call is gone; this is a new one."


def test_a_token_is_asked_for_used_and_kept_for_the_tab(page: Any) -> None:
    with PageServer(token="sesame") as server:
        page.goto(server.address)
        assert page.locator("#token").is_hidden()
        page.click("#connect-text")
        wait_for(page, "it.code === 'unauthorized'")
        assert page.evaluate("document.activeElement.id") == "token"
        page.keyboard.type("sesame")
        page.keyboard.press("Enter")
        assert server.wait_for_call().start["token"] == "sesame"
        wait_for(page, "it.state === 'live'")
        assert "sesame" not in page.url
        assert "sesame" not in page.locator("#log").inner_text()
        page.reload()
        page.click("#connect-text")
        assert server.wait_for_call(2).start["token"] == "sesame"
        wait_for(page, "it.state === 'live'")


def test_everything_can_be_done_from_the_keyboard(page: Any, server: PageServer) -> None:
    page.goto(server.address)
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        if seen[-1] == "connect":
            break
    assert seen[0] == "skip"
    assert "settings-open" in seen
    page.keyboard.press("Enter")
    call = server.wait_for_call()
    wait_for(page, "it.state === 'live'")
    assert page.evaluate("document.activeElement.id") == "mute"
    page.keyboard.press("m")
    assert call.wait_for("mute")["muted"] is True
    assert page.get_attribute("#mute", "aria-pressed") == "true"
    page.focus("#text")
    page.keyboard.type("mum")  # letters in a field are letters
    page.keyboard.press("Enter")
    assert call.wait_for("text")["text"] == "mum"
    assert len(call.of("mute")) == 1
    page.focus("#hang-up")
    page.keyboard.press("Space")
    call.wait_for("stop")
    wait_for(page, "it.state === 'ended'")
    assert page.evaluate("document.activeElement.id") == "connect"


def test_the_keypad_sends_digits_by_click_and_by_key(page: Any, server: PageServer) -> None:
    call = _call(page, server)
    assert page.get_attribute("#keypad-open", "aria-expanded") == "false"
    page.click("#keypad-open")
    page.click("#keypad button:text-is('5')")
    page.keyboard.press("#")
    call.wait_for("dtmf", 2)
    assert [message["digit"] for message in call.of("dtmf")] == ["5", "#"]


def test_focus_is_always_to_be_seen(page: Any, server: PageServer) -> None:
    _call(page, server)
    for name in ["text", "send", "drop", "hang-up", "settings-open", "log-filter"]:
        page.focus(f"#{name}")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", (
            name
        )


def test_every_control_has_a_name_and_every_live_part_its_role(
    page: Any, server: PageServer
) -> None:
    _call(page, server)
    page.click("#settings-open")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, [role=meter], [role=img]')]
          .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim()
            || [...(one.labels ?? [])].some((label) => label.textContent.trim())
            || document.getElementById(one.getAttribute('aria-labelledby'))?.textContent.trim()))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    repeated = page.evaluate(
        """() => { const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
          return ids.filter((id, at) => ids.indexOf(id) !== at); }"""
    )
    assert repeated == []
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    assert page.locator("[role=status] #state").count() == 1
    assert page.locator("[role=alert]#away").count() == 1
    for control, target in page.evaluate(
        """() => [...document.querySelectorAll('[aria-controls], [aria-labelledby]')].flatMap(
          (one) => [one.getAttribute('aria-controls'), one.getAttribute('aria-labelledby')]
            .filter(Boolean).map((id) => [one.outerHTML.slice(0, 60), id]))"""
    ):
        assert page.locator(f"#{target}").count() == 1, control


def test_settings_make_a_link_without_the_token(page: Any, server: PageServer) -> None:
    page.goto(server.address + "?agent=ada")
    page.click("#settings-open")
    assert page.input_value("#setting-agent") == "ada"
    page.fill("#setting-agent", "ben")
    page.uncheck("#processing")
    page.select_option("#setting-rate", "48000")
    page.fill("#setting-token", "sesame")
    page.click("#settings-close")
    page.wait_for_url(f"{server.address}?agent=ben&rate=48000&processing=off")
    page.click("#connect-text")
    start = server.wait_for_call().start
    assert (start["agent"], start["rate"], start["token"]) == ("ben", 48000, "sesame")
    wait_for(page, "it.state === 'live'")


def test_without_a_microphone_one_can_still_write(browser: Any, server: PageServer) -> None:
    with open_page(browser) as page:
        page.add_init_script(
            "if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = async () => {"
            " throw new DOMException('no', 'NotFoundError'); }"
        )
        call = _call(page, server, button="#connect")
        assert page.locator(".notice").inner_text().startswith("No microphone was found.")
        assert page.evaluate("document.activeElement.id") == "text"
        page.keyboard.type("hello")
        page.keyboard.press("Enter")
        assert call.wait_for("text")["text"] == "hello"


def test_a_browser_that_will_not_convert_the_rate_is_helped(
    browser: Any, server: PageServer
) -> None:
    # As Firefox: a stream connects only to a context of its own rate.
    refusal = """
      const connect = AudioContext.prototype.createMediaStreamSource;
      AudioContext.prototype.createMediaStreamSource = function (stream) {
        if (this.sampleRate === 16000) throw new DOMException('rate', 'NotSupportedError');
        return connect.call(this, stream);
      };"""
    with open_page(browser) as page:
        page.add_init_script(refusal)
        call = _call(page, server, button="#connect")
        call.wait_until(lambda: len(call.frames) >= 10, "frames")
        assert {len(frame) for frame in list(call.frames)} == {640}
        assert snapshot(page)["microphone"]["contextRate"] > 16000


def test_a_network_that_takes_nothing_more_costs_frames_and_not_memory(
    browser: Any, server: PageServer
) -> None:
    with open_page(browser) as page:
        page.add_init_script(
            "Object.defineProperty(WebSocket.prototype, 'bufferedAmount',"
            " { get: () => 256 * 1024 + 1 });"
        )
        call = _call(page, server, button="#connect")
        wait_for(page, "it.line.framesDropped > 3")
        assert call.frames == []


def test_whoever_asks_for_little_movement_gets_little(browser: Any, server: PageServer) -> None:
    with open_page(browser, reduced_motion="reduce") as page:
        _call(page, server)
        page.evaluate("document.body.dataset.state = 'away'")
        animation = "getComputedStyle(document.querySelector('.lamp')).animationName"
        assert page.evaluate(animation) == "none"


def test_one_can_hang_up_while_the_browser_still_asks_for_the_microphone(
    browser: Any, server: PageServer
) -> None:
    with open_page(browser) as page:
        page.add_init_script(
            "if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia ="
            " () => new Promise(() => {});"
        )
        page.goto(server.address)
        page.click("#connect")
        wait_for(page, "it.state === 'connecting'")
        page.click("#hang-up")
        wait_for(page, "it.state === 'idle'")
        page.click("#connect-text")
        server.wait_for_call()
        wait_for(page, "it.state === 'live'")
        assert len(server.calls) == 1
