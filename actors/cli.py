"""The command line: `troupe run`, `troupe check` and their kin.

Commands are thin: what they do is in modules of their own, what they print and how the process
exits is here.
"""

from __future__ import annotations

import json
import sys
from typing import NoReturn

import click

from actors.app import Unusable, check
from actors.config import ConfigError, TroupeConfig, load_config
from actors.run import ExitCode, run
from actors.stack import NoAnswer, ask_watchdog, told
from supervision.secret import Secret
from transports.wav_client import run_call

CONFIG = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    default="config.toml",
    show_default=True,
    envvar="TROUPE_CONFIG",
    show_envvar=True,
    help="The configuration. An empty file is all defaults.",
)

RUN_HELP = f"""Run a node until it is told to stop.

SIGTERM or Ctrl-C stops it in order, within the time that `supervision.shutdown` allows; a second
one cuts off at once what still runs. What will not end even so is ended by force.

\b
Exit codes:
  {ExitCode.STOPPED}        stopped in order, by SIGTERM or Ctrl-C
  {ExitCode.FAILED}        the node failed, or could not start; there is a crash dump
  {ExitCode.UNUSABLE}        the command line or the configuration cannot be used
  {ExitCode.LEFT_BEHIND}        stopped, but something in it would not end; there is a crash dump
  {ExitCode.FORCED}        did not stop by the last deadline and was ended by force
  130, 143 cut off by a second Ctrl-C or SIGTERM

Crash dumps are written to `supervision.crash_dir`.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="troupe", message="%(prog)s %(version)s")
def main() -> None:
    """Supervised actors for real-time conversations between people and AI agents."""


@main.command("run", help=RUN_HELP)
@CONFIG
def run_command(config_path: str) -> NoReturn:
    sys.exit(run(_usable(config_path)))


@main.command("check")
@CONFIG
def check_command(config_path: str) -> None:
    """Say whether the configuration can be used, or everything that is wrong with it.

    Exits with 0 if it can, and with 2 if not.
    """
    _usable(config_path)
    click.echo("ok")


@main.command("call")
@click.argument("url")
@click.option("--wav", required=True, metavar="FILE", help="What the caller says: 16-bit PCM.")
@click.option("--out", metavar="FILE", help="Where to write what the caller heard.")
@click.option("--agent", default="", metavar="NAME", help="Who should answer.")
@click.option(
    "--token",
    envvar="TROUPE_TOKEN",
    metavar="TOKEN",
    help="To be let in; better given as TROUPE_TOKEN, for what is typed here is seen by others.",
)
@click.option("--patience", default=5.0, help="Seconds of silence after which to hang up.")
@click.option("--limit", default=600.0, help="Seconds the call may take.")
@click.option("--verbose", "-v", is_flag=True, help="Print everything that is shown.")
def call_command(
    url: str,
    wav: str,
    out: str | None,
    agent: str,
    token: str | None,
    patience: float,
    limit: float,
    verbose: bool,
) -> NoReturn:
    """Call a running node with a WAV file for a voice, and print the turns as they happen.

    URL is what `troupe run` printed. Exits with 1 if the call did not come about or was cut short,
    with 2 if the arguments cannot be used.
    """
    secret = Secret(token) if token else None
    sys.exit(
        run_call(
            url, wav, out, secret, agent=agent, patience=patience, limit=limit, verbose=verbose
        )
    )


@main.command("stack")
@click.option("--socket", "socket_path", metavar="PATH", help="The node's `stack_socket`.")
@click.option("--json", "as_json", is_flag=True, help="Print the watchdog's own JSON.")
@CONFIG
def stack_command(socket_path: str | None, as_json: bool, config_path: str) -> None:
    """Show what a running node is doing, also one that hangs.

    Its watchdog answers, on the socket that `supervision.stack_socket` names. Exits with 1 if
    nobody does.
    """
    if socket_path is None:
        socket_path = _config(config_path).supervision.stack_socket
    if not socket_path:
        raise click.UsageError(
            f"which node? {config_path} gives it no `supervision.stack_socket`; name one there"
            " before the node is started, or ask another node with --socket PATH."
        )
    try:
        answer = ask_watchdog(socket_path)
    except NoAnswer as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(answer, indent=2) if as_json else told(answer))


def _usable(path: str) -> TroupeConfig:
    """The configuration, if all that it names can be used too."""
    config = _config(path)
    try:
        check(config)
    except Unusable as error:
        click.echo(f"{path}: {error}", err=True)
        sys.exit(ExitCode.UNUSABLE)
    return config


def _config(path: str) -> TroupeConfig:
    try:
        return load_config(path)
    except ConfigError as error:
        click.echo(error, err=True)
        sys.exit(ExitCode.UNUSABLE)
