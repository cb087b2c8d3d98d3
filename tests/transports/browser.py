"""A real browser for the tests of the pages: Chromium, without a head, with a false microphone."""

from __future__ import annotations

import os
import shutil
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 10.0
"""Seconds a test waits for a browser on a busy machine."""

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


@contextmanager
def open_browser(microphone: Path | None = None) -> Iterator[Any]:
    """A Playwright `Browser` whose microphone plays the WAV file once each time it is opened.

    Skips the tests where there is no Chromium; none is ever downloaded.
    """
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium: install one, or name it in the environment's CHROMIUM")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    flags = list(FLAGS)
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Any, **context: Any) -> Iterator[Any]:
    """A fresh page; fails the test on an error of its own or anything on its console."""
    with browser.new_context(**context) as fresh:
        page = fresh.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(f"{line.type}: {line.text}"))
        yield page
        page.goto("about:blank")  # what the page still has to say, it says now
    assert complaints == [], complaints


def snapshot(page: Any) -> dict[str, Any]:
    """What the page knows: transports/pages/testing.js."""
    known: dict[str, Any] = page.evaluate("troupe.snapshot()")
    return known


def wait_for(page: Any, condition: str) -> None:
    """Until the JavaScript expression over `it`, a snapshot, holds.

    Playwright's own `wait_for_function` evaluates text in the page, which the page forbids.
    """
    deadline = time.monotonic() + PATIENCE
    while not page.evaluate(f"(() => {{ const it = troupe.snapshot(); return {condition}; }})()"):
        assert time.monotonic() < deadline, f"never: {condition}; but {snapshot(page)}"
        page.wait_for_timeout(10)


def write_wav(path: Path, sound: bytes, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound)
    return path
