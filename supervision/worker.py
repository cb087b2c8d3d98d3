"""WorkerActor: the same contract in a process of its own, for what holds the interpreter.

Local speech recognition, document parsing: whatever would keep the loop waiting for a millisecond,
or could take the whole node with it. The process is supervised as the actor is: its death at any
moment is the actor's crash, and a process that hangs is killed, so nothing is ever left behind.
"""

from __future__ import annotations

import abc
import sys
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from supervision.binding import binding
from supervision.cell import Cell
from supervision.contract import ActorContract
from supervision.frames import LARGEST
from supervision.offloop import OffLoopActor
from supervision.processes import WorkerProcess
from supervision.threads import InlineThread

if TYPE_CHECKING:
    from supervision.life import Life

M = TypeVar("M")


class _ConstructedInWorker(abc.ABCMeta):
    """In a node, calling the class gives a stand-in; `__init__` runs in the worker process."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        cell = binding.cell
        # In a worker, in a test without a system and in a simulation this is the instance itself.
        if type(cell) is not Cell or cell.node.inline:
            return super().__call__(*args, **kwargs)
        kind: Any = cls
        stand_in = kind.__new__(cls, *args, **kwargs)
        ActorContract.__init__(stand_in)
        stand_in._construction = (*_importable(cls), args, kwargs)
        return stand_in


class WorkerActor(OffLoopActor[M], metaclass=_ConstructedInWorker):
    """An actor in a process of its own; for what holds the interpreter, or may kill it.

    Constructor, hooks and handlers run in the worker process, one at a time; the node holds only a
    stand-in. The class, its messages and its answers are found by import and travel pickled, so
    they live in modules: not in `__main__`, not inside functions. Refs may be among them; a worker
    can `tell`, but not `ask`: let whoever sends it work send along what it needs.

    Refusing, crashing, restarting and stopping are those of every actor; a restart begins a new
    process. If the process dies, whoever asked for what it had in hand gets `ActorCrashed` with a
    `WorkerDied` as its cause. A process that has not ended within the actor's shutdown time is
    killed, and with it whatever it has started. What it prints goes to its stderr, the last 8 KiB
    of which are in the report of its death.
    """

    pipeline: ClassVar[int] = 16
    """Messages sent ahead of their answers, at most: they wait in the pipe, not in the mailbox."""

    largest_message: ClassVar[int] = LARGEST
    """Bytes that a message or an answer may take, pickled."""

    _construction: tuple[str, str, tuple[Any, ...], dict[str, Any]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        place = binding.cell
        if place is None or type(place) is Cell:
            super().__init__(*args, **kwargs)
        else:  # in the worker, where there is no cell but what stands for it (worker_main.py)
            binding.cell = None
            self._rt_cell = place

    def _rt_born(self, life: Life) -> None:
        if life.cell.node.inline:
            life.executor = InlineThread(life, self)
            return
        try:
            life.executor = WorkerProcess(life, self, self._construction)
        except Exception as error:
            raise TypeError(
                f"the constructor arguments of {type(self).__qualname__} cannot be sent to its "
                f"worker process: {error}. They travel pickled: give what a file, a connection or "
                "a model is opened with, and open it in the worker."
            ) from error


def _importable(cls: type[Any]) -> tuple[str, str]:
    """Where a worker process finds the class.

    Raises:
        TypeError: nowhere.
    """
    module, name = cls.__module__, cls.__qualname__
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if module == "__main__" or found is not cls:
        raise TypeError(
            f"a worker process cannot import {name} from {module}. Define WorkerActors, and the "
            "messages they take, at the top level of a module that is not the main program."
        )
    return module, name
