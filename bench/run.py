"""Troupe's benchmarks: `python bench/run.py NAME [--json] [--peers]`.

Every figure stands beside a peer's, measured in the same run (a bare trio memory channel with a
task for every actor, pykka's ThreadingActor, the bare library), or beside its budget. What is
always on in a node is on here too. With
`all` each benchmark has a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module

import click

from bench.measure import Figure, pin, quietest_core, report

RUNTIME = ("tell", "ask", "fanin", "chain", "fairness", "spawn", "restart", "lateness")
CALLS = ("audio", "vad", "echo", "bargein", "pacing", "voice")
ROOMS = ("room",)
NAMES = (*RUNTIME, *CALLS, *ROOMS)
WITH_PEERS = ("bargein", "voice", "room")


@click.command(help=__doc__)
@click.argument("name", type=click.Choice([*NAMES, "all"]))
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure and line.")
@click.option("--core", type=int, help="The core to run on, -1 for all. Default: the quietest.")
@click.option(
    "--peers",
    is_flag=True,
    help=f"Also measure another framework ({', '.join(WITH_PEERS)}). It is installed into"
    " .bench-peers on first use.",
)
def main(name: str, as_json: bool, core: int | None, peers: bool) -> None:
    """Run one benchmark, or all."""
    if name == "all":
        options = ["--json"] if as_json else []
        options += [] if core is None else [f"--core={core}"]
        sys.exit(max(_in_a_process_of_its_own(each, options, peers) for each in NAMES))
    if peers and name not in WITH_PEERS:
        raise click.UsageError(f"--peers is for {', '.join(WITH_PEERS)}, not for {name}.")
    pin({quietest_core() if core is None else core} - {-1})
    # Imported here, so that no benchmark carries the weight of what the others import.
    figures: Callable[..., Iterator[Figure]] = import_module(f"bench.{name}").figures
    report(figures(peers=True) if peers else figures(), as_json=as_json)


def _in_a_process_of_its_own(name: str, options: Sequence[str], peers: bool) -> bool:
    """Run one benchmark; True if it failed."""
    if peers and name in WITH_PEERS:
        options = [*options, "--peers"]
    return subprocess.run([sys.executable, __file__, name, *options], check=False).returncode != 0


if __name__ == "__main__":
    main()
