# ruff: noqa: T201  printing is what it is for
"""pykka's own test suite, run with Troupe's actors as a second runtime: the judge of the contract.

    python tests/pykka_suite/run.py PATH_OF_A_PYKKA_CHECKOUT [pytest arguments]

The suite is parametrized by a runtime (actor class, future class). It is copied, unmodified, to a
temporary folder; its conftest.py is set aside under another name, and one that imports it and adds
our runtime takes its place. Every test that takes a runtime then runs twice: with pykka's threads,
as the control, and with an `Actor` of ours that has pykka's `start()`. The library under the suite
is the one of the checkout, so that the two fit.

Printed are how many passed and every test that differs, with the reason. A difference that is not
in `INTENDED`, and one listed there that does not occur, fails the run. Needs pytest-mock beside
Troupe's development requirements. pytest does not collect this file: it needs a checkout.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent

CRASH = "an exception in a handler that was asked is a crash, as one that was told is"
STOP_ALL = "ActorRegistry.stop_all() does not reach supervised actors: refused and reported"
BASE = "a BaseException in a handler is a crash of that actor, not a stop of all"
LOG = "the log names the actor by its path, and the crash report; it says so as often as pykka"

SHOWS = {
    CRASH: r"/\w+-\d+ crashed while it had this request",
    STOP_ALL: r"assert 8 == 0",
    BASE: r"assert False.*\.on_stop_was_called$",
    LOG: r"\+ Unhandled exception in /\w+-\d+ \(\w+, life 1, crash-\d+\):$",
}
"""What a failure must show to be put down to a reason: it may fail for that and nothing else."""

INTENDED = {
    "test_actor.py::test_all_actors_are_stopped_on_base_exception": BASE,
    "test_logging.py::test_base_exception_is_logged": BASE,
    "test_logging.py::test_exception_in_on_failure_is_logged": LOG,
    "test_logging.py::test_exception_in_on_start_is_logged": LOG,
    "test_logging.py::test_exception_in_on_stop_is_logged": LOG,
    "test_logging.py::test_exception_is_logged_when_not_reply_requested": LOG,
    "test_logging.py::test_exception_is_logged_when_returned_to_caller": CRASH,
    "proxy/test_static_method_calls.py::test_exception_in_method_reraised_by_future": CRASH,
    "test_registry.py::test_all_actors_can_be_stopped_through_registry": STOP_ALL,
}
"""Tests that must differ, and why (design 3.1)."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", type=Path, help="a checkout of github.com/jodal/pykka")
    options, pytest_arguments = parser.parse_known_args()
    tests, source = options.checkout / "tests", options.checkout / "src"
    if not (tests / "conftest.py").is_file() or not (source / "pykka").is_dir():
        parser.error(f"{options.checkout} holds no tests/conftest.py and src/pykka")
    with tempfile.TemporaryDirectory(prefix="pykka-suite-") as folder:
        overlay(tests, Path(folder))
        sys.path[:0] = [folder, str(source.resolve())]
        return judge(Path(folder), pytest_arguments)


def overlay(tests: Path, folder: Path) -> None:
    """Lay the suite and our conftest.py into an empty folder."""
    suite = folder / "tests"
    shutil.copytree(tests, suite, ignore=shutil.ignore_patterns("__pycache__"))
    (suite / "conftest.py").rename(suite / "pykka_conftest.py")
    shutil.copy(HERE / "overlay.py", suite / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\n")


class Verdicts:
    """A pytest plugin that notes how each test ended."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: object) -> None:
        """Failing in any phase is failing; only a call can pass."""
        name: str = report.nodeid  # type: ignore[attr-defined]
        if report.failed:  # type: ignore[attr-defined]
            crash = getattr(report.longrepr, "reprcrash", None)  # type: ignore[attr-defined]
            self.failed[name] = crash.message if crash is not None else str(report)
        elif report.when == "call":  # type: ignore[attr-defined]
            self.passed.add(name)


def judge(folder: Path, pytest_arguments: list[str]) -> int:
    """Run the suite and print the verdict."""
    import pytest

    verdicts = Verdicts()
    plugins = ["no:troupe", "no:trio", "no:hypothesispytest", "no:cacheprovider"]
    arguments = [f"-p{plugin}" for plugin in plugins]
    arguments += ["-q", "--tb=short", "--no-summary", "--rootdir", str(folder)]
    arguments += ["-c", str(folder / "pytest.ini"), "-o", "faulthandler_timeout=60"]
    pytest.main([*arguments, *pytest_arguments, str(folder / "tests")], plugins=[verdicts])

    import pykka

    passed = verdicts.passed - verdicts.failed.keys()
    ours = {name for name in passed | verdicts.failed.keys() if "[troupe" in name}
    differing = sorted(name for name in verdicts.failed if name in ours)
    control = sorted(name for name in verdicts.failed if name not in ours)
    expected = {name for name in ours if _plain(name) in INTENDED}
    agreeing = sorted(expected - set(differing))
    unexplained = [name for name in differing if not _intended(name, verdicts.failed[name])]

    print(f"\npykka: {pykka.__file__}")
    print(f"Troupe's actors: {len(ours) - len(differing)} of {len(ours)} tests passed")
    print(f"pykka's own and those without a runtime: {len(passed - ours)} passed")
    for name in differing:
        reason = _intended(name, verdicts.failed[name])
        print(f"  differs: {_plain(name)}")
        print(f"    {'intended: ' + reason if reason else 'UNEXPLAINED: ' + verdicts.failed[name]}")
    for name in agreeing:
        print(f"  listed as intended, but does not differ: {_plain(name)}")
    for name in control:
        print(f"  FAILS WITHOUT US: {name}: {verdicts.failed[name]}")
    return 1 if unexplained or agreeing or control or not ours else 0


def _intended(name: str, failure: str) -> str:
    """Why the test must fail, if it does and if this failure shows it."""
    reason = INTENDED.get(_plain(name), "")
    return reason if reason and re.search(SHOWS[reason], failure, re.DOTALL) else ""


def _plain(name: str) -> str:
    """A test's name as in `INTENDED`: without the parameters and the folder of the suite."""
    return name.split("[")[0].removeprefix("tests/")


if __name__ == "__main__":
    sys.exit(main())
