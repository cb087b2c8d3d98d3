"""Troupe's benchmarks: `python bench/run.py NAME [--json]`.

Every figure stands beside a peer's, measured in the same run: a bare trio memory channel with a
task for every actor, and pykka's ThreadingActor. What is always on in a node is on here too. With
`all` each benchmark has a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module

import click

from bench.measure import Figure, pin, quietest_core, report

NAMES = ("tell", "ask", "fanin", "chain", "fairness", "spawn", "restart", "lateness")


@click.command(help=__doc__)
@click.argument("name", type=click.Choice([*NAMES, "all"]))
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure and line.")
@click.option("--core", type=int, help="The core to run on, -1 for all. Default: the quietest.")
def main(name: str, as_json: bool, core: int | None) -> None:
    """Run one benchmark, or all."""
    if core is None:
        core = quietest_core()
    if name == "all":
        sys.exit(_all(as_json, core))
    # Imported here, so that no benchmark carries the weight of what the others import.
    figures: Callable[[], Iterator[Figure]] = import_module(f"bench.{name}").figures
    pin({core} - {-1})
    report(figures(), as_json=as_json)


def _all(as_json: bool, core: int) -> int:
    options = [*(["--json"] if as_json else []), f"--core={core}"]
    failed = 0
    for each in NAMES:
        command = [sys.executable, __file__, each, *options]
        failed |= subprocess.run(command, check=False).returncode
    return failed


if __name__ == "__main__":
    main()
