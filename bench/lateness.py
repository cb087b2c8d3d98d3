"""lateness: how punctual a 20 ms pacing timer is while other threads of the process are busy.

Twenty actors on the loop each have a `send_every` of 20 ms, as outbound tracks do, and note how
late their beats arrive. Beside the loop work, one kind after the other and then all together:
- two threads of pure Python that never wait, which only the interpreter's switch interval stops;
- a thread that commits rows to an SQLite database in a file;
- a thread that runs an ONNX model (2 ms of matrix multiplication a time) without a pause.

Each is measured with a switch interval of 0.5 ms, which `troupe run` sets, and with Python's 5 ms.
`lateness_p99_ms` is all of them at once at 0.5 ms. The peer: twenty pykka actors in the same
situation, each pacing itself by sleeping on its own thread. The process is not pinned here: the
question is the interpreter lock, and on one core it would be the kernel's scheduler.
"""

from __future__ import annotations

import math
import os
import sqlite3
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import attrs
import pykka
import trio

from bench.measure import ALL_CORES, PYKKA, Figure, percentile, pin
from supervision import Actor, handles, open_system

PERIOD = 0.020
PACERS = 20
SECONDS = 1.5
INTERVALS = (0.0005, 0.005)


@attrs.frozen
class Beat:
    """20 ms are over."""


class Punctual:
    """Knows when the beats are due, and notes how late they are."""

    def __init__(self, first: float, lateness: list[float]) -> None:
        self.due = first
        self.lateness = lateness

    def beat(self, at: float) -> None:
        """A beat came. One that is later than a period has swallowed those after it."""
        late = at - self.due
        self.lateness.append(late)
        self.due += PERIOD * max(1, math.ceil(late / PERIOD))


class Pacer(Actor[Beat]):
    """Ours."""

    realtime = True

    def __init__(self, lateness: list[float]) -> None:
        super().__init__()
        self.lateness = lateness

    def on_start(self) -> None:
        self.punctual = Punctual(self.now + PERIOD, self.lateness)
        self.send_every(PERIOD, Beat())

    @handles
    def beat(self, _message: Beat) -> None:
        self.punctual.beat(self.now)


async def _ours() -> list[float]:
    lateness: list[float] = []
    async with open_system() as system:
        for _ in range(PACERS):
            await system.spawn(Pacer, lateness)
            await trio.sleep(PERIOD / PACERS)
        lateness.clear()
        await trio.sleep(SECONDS)
        return list(lateness)


class PykkaPacer(pykka.ThreadingActor):
    """pykka's."""

    def __init__(self, lateness: list[float]) -> None:
        super().__init__()
        self.lateness = lateness

    def on_receive(self, message: Any) -> None:
        punctual = Punctual(perf_counter() + PERIOD, self.lateness)
        end = perf_counter() + SECONDS
        while punctual.due < end:
            time.sleep(max(0.0, punctual.due - perf_counter()))
            punctual.beat(perf_counter())


def _pykka() -> list[float]:
    lateness: list[float] = []
    pacers = [PykkaPacer.start(lateness) for _ in range(PACERS)]
    done = [pacer.ask(Beat(), block=False) for pacer in pacers]
    for answer in done:
        answer.get()
    for pacer in pacers:
        pacer.stop()
    return lateness


# -- what else goes on in the process ------------------------------------------------------------


def spin_python(stop: threading.Event) -> None:
    """Never let go of the interpreter by itself."""
    total = 0
    while not stop.is_set():
        for n in range(1000):
            total += n * n


def write_sqlite(stop: threading.Event) -> None:
    """Commit ten rows a time, as durable as the store's."""
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(Path(folder) / "bench.db")
        database.execute("pragma journal_mode = wal")
        database.execute("create table event (id integer primary key, body blob)")
        body = os.urandom(500)
        while not stop.is_set():
            with database:
                database.executemany("insert into event (body) values (?)", [(body,)] * 10)
        database.close()


def run_onnx(stop: threading.Event) -> None:
    """Run a model without a pause."""
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        matmul_model(layers=20, size=256), options, providers=["CPUExecutionProvider"]
    )
    window = np.full((32, 256), 0.5, np.float32)
    while not stop.is_set():
        session.run(None, {"x0": window})


LOADS: dict[str, Sequence[Callable[[threading.Event], None]]] = {
    "nothing": (),
    "python": (spin_python, spin_python),
    "sqlite": (write_sqlite,),
    "onnx": (run_onnx,),
    "all": (spin_python, spin_python, write_sqlite, run_onnx),
}


@contextmanager
def beside(load: Sequence[Callable[[threading.Event], None]]) -> Iterator[None]:
    """Keep threads busy with these until the block ends."""
    stop = threading.Event()
    threads = [threading.Thread(target=work, args=(stop,), daemon=True) for work in load]
    for thread in threads:
        thread.start()
    time.sleep(0.5 if load else 0.0)  # until what they import is imported
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def switch_interval(seconds: float) -> Iterator[None]:
    """How long a thread may keep the interpreter when others want it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


# -- a model without the onnx package: its file format is protobuf, and needs few of its fields ----


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def matmul_model(*, layers: int, size: int) -> bytes:
    """An ONNX model that multiplies `x0` (rows × size) by the same matrix, `layers` times."""
    float32 = 1
    weight = struct.pack("<f", 1.0 / size) * (size * size)
    # TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9
    tensor = _field(1, size) + _field(1, size) + _field(2, float32)
    tensor += _field(8, "w") + _field(9, weight)
    graph = b""
    for layer in range(layers):
        # NodeProto: input = 1, output = 2, op_type = 4
        node = _field(1, f"x{layer}") + _field(1, "w") + _field(2, f"x{layer + 1}")
        graph += _field(1, node + _field(4, "MatMul"))
    # GraphProto: node = 1, name = 2, initializer = 5, input = 11, output = 12
    graph += _field(2, "bench") + _field(5, tensor)
    graph += _field(11, _value_info("x0", size)) + _field(12, _value_info(f"x{layers}", size))
    # ModelProto: ir_version = 1, graph = 7, opset_import = 8 (OperatorSetIdProto: version = 2)
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 13))


def _value_info(name: str, size: int) -> bytes:
    # TensorShapeProto.Dimension: dim_value = 1, dim_param = 2
    shape = _field(1, _field(2, "rows")) + _field(1, _field(1, size))
    tensor_type = _field(1, 1) + _field(2, shape)
    return _field(1, name) + _field(2, _field(1, tensor_type))


# -- figures -----------------------------------------------------------------------------------


def figures() -> Iterator[Figure]:
    """`lateness_p99_ms`, and the same with `_<load>` and at `_5ms` switch interval."""
    pin(ALL_CORES)
    for interval in INTERVALS:
        for name, load in LOADS.items():
            with ExitStack() as stack:
                stack.enter_context(switch_interval(interval))
                stack.enter_context(beside(load))
                ours = trio.run(_ours)
                threads = _pykka()
            suffix = ("" if name == "all" else f"_{name}") + ("_5ms" if interval == 0.005 else "")
            p50, p99, worst = (percentile(ours, share) * 1e3 for share in (0.5, 0.99, 1.0))
            yield Figure(
                f"lateness_p99_ms{suffix}",
                p99,
                "ms",
                PYKKA,
                percentile(threads, 0.99) * 1e3,
                {},
                f"p50 {p50:.2f} ms, worst {worst:.1f} ms of {len(ours)}",
            )
