"""Writes a model file of two nodes, so that no test needs a real one, nor the `onnx` package.

An ONNX file is one protobuf message: fields of a number and a kind (0: a number, 2: bytes), the
numbers of which are in onnx.proto.
"""

from __future__ import annotations

from pathlib import Path

FLOAT = 1
INT = 2
"""`AttributeProto.type` of a whole number."""


def _number(value: int) -> bytes:
    more, out = value, b""
    while more > 127:
        out += bytes([more & 127 | 128])
        more >>= 7
    return out + bytes([more])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    data = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | 2) + _number(len(data)) + data


def _node(operator: str, takes: str, gives: str, *attributes: bytes) -> bytes:
    node = _field(1, takes) + _field(2, gives) + _field(4, operator)
    return node + b"".join(_field(5, attribute) for attribute in attributes)


def _tensor(name: str, *shape: int) -> bytes:
    dimensions = b"".join(_field(1, _field(1, size)) for size in shape)
    tensor = _field(1, FLOAT) + _field(2, dimensions)
    return _field(1, name) + _field(2, _field(1, tensor))


def write_mean_model(file: Path, input_name: str = "input_features") -> Path:
    """A model whose answer is sigmoid(mean of all of its input), in shape (1, 1, 1)."""
    keep = _field(1, "keepdims") + _field(3, 1) + _field(20, INT)
    graph = (
        _field(1, _node("ReduceMean", input_name, "mean", keep))
        + _field(1, _node("Sigmoid", "mean", "probability"))
        + _field(2, "mean")
        + _field(11, _tensor(input_name, 1, 80, 800))
        + _field(12, _tensor("probability", 1, 1, 1))
    )
    file.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(2, 13)))
    return file
