"""What crosses the sandbox's wall: numbers, text, containers and arrays, written as JSON. Never pickles.

Both sides use this file: outside to write the inputs and read the answers, inside the other way round. It imports
nothing of the grader, and inside it takes hold of what it needs before a student's code runs. A container is an
object of one key, such as {"tuple": [...]}.
"""

import base64
import json
import math
import sys
from typing import Any, NamedTuple

import numpy as np

DTYPES = {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)} | {
    "bool",
    "float16",
    "float32",
    "float64",
}
MAX_DEPTH = 16  # containers in containers
MAX_NODES = 50_000  # values in one answer
MAX_BYTES = 4_000_000  # of one answer's arrays and texts
MAX_TEXT = 100_000  # characters of one text
MAX_FRAME = 8_000_000  # bytes of one answer as JSON
MAX_AXES = 8

_dumps, _loads, _b64, _unb64 = json.dumps, json.loads, base64.b64encode, base64.b64decode
_ndarray, _generic, _frombuffer = np.ndarray, np.generic, np.frombuffer
_modules = sys.modules


class NotPlain(Exception):
    """A value that may not cross, with the reason in words."""


class Named(NamedTuple):
    """A NamedTuple or dataclass that crossed: its fields' names and values."""

    names: tuple[str, ...]
    items: tuple[Any, ...]


class Budget:
    """What one answer may still use."""

    def __init__(self) -> None:
        self.nodes, self.bytes = MAX_NODES, MAX_BYTES

    def take(self, size: int, depth: int) -> None:
        """Count one value of `size` bytes at this depth."""
        self.nodes -= 1
        self.bytes -= size
        if depth > MAX_DEPTH:
            raise NotPlain(f"more than {MAX_DEPTH} containers inside one another")
        if self.nodes < 0:
            raise NotPlain(f"more than {MAX_NODES:,} values")
        if self.bytes < 0:
            raise NotPlain(f"more than {MAX_BYTES // 1_000_000} MB")


def encode(value: Any, special: Any = None) -> Any:
    """A value as JSON data. Types are compared exactly: a subclass's own methods are never called.

    Args:
        special: `special(value, encode_inner)` may write what is not plain (an expression); returns None to decline.
    """
    return _encode(value, Budget(), 0, special)


def _encode(value: Any, budget: Budget, depth: int, special: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is float:
        budget.take(8, depth)
        return value
    if kind is int:
        budget.take(8, depth)
        if not -(2**63) <= value < 2**64:
            raise NotPlain("a whole number of more than 64 bits")
        return value
    if kind is str:
        budget.take(len(value), depth)
        if len(value) > MAX_TEXT:
            raise NotPlain(f"a text of {len(value):,} characters")
        return value
    if kind is _ndarray:
        return {"array": _array(value, budget, depth)}
    if kind is list or kind is tuple:
        budget.take(8, depth)
        items = [_encode(item, budget, depth + 1, special) for item in value]
        return {"list" if kind is list else "tuple": items}
    if kind is dict:
        budget.take(8, depth)
        return {"dict": [[_key(k), _encode(v, budget, depth + 1, special)] for k, v in value.items()]}
    if special is not None:
        written = special(value, lambda inner: _encode(inner, budget, depth + 1, special))
        if written is not None:
            return written
    if issubclass(kind, _generic):  # a number of numpy's: a subclass can hold nothing else
        return {
            "array": _array(_ndarray.__new__(_ndarray, (), np.dtype(kind), value.tobytes()), budget, depth)
        }
    return _other(value, kind, budget, depth, special)


def _key(key: Any) -> str | int:
    if type(key) is not str and type(key) is not int:
        raise NotPlain(f"a dict with a key of type {_name(type(key))}")
    return key


def _array(value: Any, budget: Budget, depth: int) -> list[Any]:
    if value.dtype.name not in DTYPES:
        raise NotPlain(f"an array of {value.dtype.name[:40]}")
    if value.ndim > MAX_AXES:
        raise NotPlain(f"an array of {value.ndim} axes")
    budget.take(value.nbytes, depth)
    raw = value.astype(value.dtype.newbyteorder("="), copy=False).tobytes()  # in row order
    return [value.dtype.name, list(value.shape), _b64(raw).decode("ascii")]


def _other(value: Any, kind: type, budget: Budget, depth: int, special: Any) -> Any:
    torch = _modules.get("torch")
    if torch is not None and kind in (torch.Tensor, torch.nn.Parameter):
        tensor = value.detach().cpu()
        if tensor.dtype == torch.bfloat16:
            tensor = tensor.float()
        array = tensor.resolve_conj().resolve_neg().numpy()
        if type(array) is not _ndarray:
            raise NotPlain(f"a tensor that turns into {_name(type(array))}")
        return {"array": _array(array, budget, depth)}
    if torch is not None and kind is torch.Size:
        return _encode(tuple(value), budget, depth, special)
    names = _fields(kind)
    if names is None:
        if value is ...:
            raise NotPlain("an ellipsis (...): not answered yet")
        raise NotPlain(f"a value of type {_name(kind)}")
    budget.take(8, depth)
    items = list(tuple.__iter__(value)) if issubclass(kind, tuple) else [value.__dict__[n] for n in names]
    if len(items) != len(names):
        raise NotPlain(f"a {_name(kind)} of {len(items)} values for {len(names)} fields")
    return {"named": [names, [_encode(item, budget, depth + 1, special) for item in items]]}


def _fields(kind: type) -> list[str] | None:
    """Field names of a NamedTuple or a dataclass, or None."""
    names = (
        kind.__dict__.get("_fields") if issubclass(kind, tuple) else kind.__dict__.get("__dataclass_fields__")
    )
    if names is None or len(names) > 100 or not all(type(name) is str for name in names):
        return None
    return list(names)


def _name(kind: type) -> str:
    return str(type.__dict__["__name__"].__get__(kind))[
        :60
    ]  # the class's own name, whatever its metaclass says


def decode(data: Any, special: Any = None, depth: int = 0, budget: Budget | None = None) -> Any:
    """What `encode` wrote; raises NotPlain for anything else, however it is wrong.

    Args:
        special: `special(key, body, decode_inner)` reads containers that are not plain.
    """
    budget = budget or Budget()
    budget.take(0, depth)
    if type(data) is int and not -(2**63) <= data < 2**64:
        raise NotPlain("a whole number of more than 64 bits")
    if data is None or type(data) in (bool, int, float, str):
        return data
    if type(data) is not dict or len(data) != 1:
        raise NotPlain("not as encode writes it")
    (key, body), inner = next(iter(data.items())), lambda item: decode(item, special, depth + 1, budget)
    if key == "array":
        return _read_array(body)
    if key in ("list", "tuple") and type(body) is list:
        items = [inner(item) for item in body]
        return items if key == "list" else tuple(items)
    if key == "dict" and type(body) is list:
        if not all(type(pair) is list and len(pair) == 2 and type(pair[0]) in (str, int) for pair in body):
            raise NotPlain("a dict that is not pairs")
        return {k: inner(v) for k, v in body}
    if key == "named" and type(body) is list and len(body) == 2 and all(type(part) is list for part in body):
        names, items = body
        if len(names) == len(items) and all(type(name) is str for name in names):
            return Named(tuple(names), tuple(inner(item) for item in items))
    if special is not None:
        return special(key, body, inner)
    raise NotPlain(f"unknown container {key[:40]!r}")


def _read_array(body: Any) -> np.ndarray:
    if type(body) is not list or len(body) != 3:
        raise NotPlain("an array that is not [dtype, shape, bytes]")
    dtype, shape, raw = body
    if type(dtype) is not str or dtype not in DTYPES or type(raw) is not str:
        raise NotPlain("an array of an unknown kind")
    if type(shape) is not list or len(shape) > MAX_AXES:
        raise NotPlain("an array of an impossible shape")
    if not all(type(n) is int and 0 <= n <= MAX_BYTES for n in shape):
        raise NotPlain("an array of an impossible shape")
    if math.prod(n or 1 for n in shape) > MAX_BYTES:  # an empty array's other axes
        raise NotPlain("an array of an impossible shape")
    size = np.dtype(dtype).itemsize * math.prod(shape)
    try:
        data = _unb64(raw, validate=True)
    except ValueError:
        raise NotPlain("an array whose bytes are not base64") from None
    if len(data) != size:
        raise NotPlain("an array whose bytes do not fill its shape")
    return _frombuffer(data, dtype).reshape(shape).copy()


def dump(data: Any) -> bytes:
    """JSON data as one frame: its length in eight bytes, then the text."""
    text = _dumps(data).encode("ascii")
    return len(text).to_bytes(8, "big") + text


def load(text: bytes) -> Any:
    """A frame's text as JSON data; raises NotPlain where it is none."""
    try:
        return _loads(text.decode("ascii"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotPlain(f"not JSON: {type(error).__name__}") from None
