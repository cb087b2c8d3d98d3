"""`troupe stack`: asking a node's watchdog what its loop is doing, also when it does nothing else.

The watchdog's thread answers on a unix socket (`supervision.stack_socket`) with one JSON document.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import attrs

PATIENCE = 5.0
"""Seconds for the answer. It takes milliseconds, unless the machine is very busy."""


@attrs.define(eq=False)
class NoAnswer(Exception):
    """Nobody told us; here is what may be the matter."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def ask_watchdog(path: str) -> dict[str, Any]:
    """What the node whose `stack_socket` is `path` is doing, as its watchdog tells it.

    Raises:
        NoAnswer: with what to do about it.
    """
    try:
        answer = json.loads(_received(path))
    except FileNotFoundError:
        problem = "there is no such socket; is a node running that has it as its `stack_socket`?"
    except ConnectionRefusedError:
        problem = "nobody answers; the node that made this socket has died"
    except PermissionError:
        problem = "only the user that the node runs as may ask it; try `sudo -u USER troupe stack`"
    except TimeoutError:
        problem = (
            f"no answer within {PATIENCE:g} s; an extension may hold the interpreter, and then not"
            " even the watchdog's thread runs: `py-spy dump --native` can look from outside"
        )
    except OSError as error:
        problem = error.strerror or str(error)
    except ValueError:
        problem = "the answer is not a watchdog's; is this the socket of something else?"
    else:
        if isinstance(answer, dict) and "stack" in answer:
            return answer
        problem = "the answer is not a watchdog's; is this the socket of something else?"
    raise NoAnswer(path, problem)


def _received(path: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        client.connect(path)
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    return received


def told(answer: dict[str, Any]) -> str:
    """The answer as people read it."""
    held = answer["since"]
    if answer["path"]:
        handles = f" handles {answer['message_type']}" if answer["message_type"] else " runs"
        doing = f"{answer['path']}{handles}, for {held:.3f} s now"
    elif held > 0:
        doing = f"the loop has not answered for {held:.3f} s"
    else:
        doing = "the loop is free"
    state = "live" if answer["live"] else "NOT LIVE"
    first = f"node {answer['node']} (pid {answer['pid']}) is {state}: {doing}"
    return "\n".join([first, *answer["stack"]])
