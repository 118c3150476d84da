"""The frozen cases of the formula engine, and the values that they only describe."""

import array
import datetime as dt
import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np

_FOLDER = Path(__file__).parents[2] / "cases"


def cases(name: str) -> dict[str, Any]:
    return json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [
        f"{number}: {case.get('name') or case['class']}".encode("ascii", "replace").decode()
        for number, case in enumerate(found)
    ]


def text(case: dict[str, Any]) -> str:
    return case["text"] if "text" in case else _repeated(case["text_repeat"])


def value(given: Any) -> Any:
    if isinstance(given, list):
        return [value(inner) for inner in cast("list[Any]", given)]
    if not isinstance(given, dict):
        return given
    described = cast("dict[str, Any]", given)
    if len(described) == 1 and (kind := next(iter(described))) in _MADE:
        return _MADE[kind](described[kind])
    return {name: value(inner) for name, inner in described.items()}


def _repeated(parts: dict[str, Any]) -> str:
    return (
        parts["prefix"]
        + parts["unit"] * parts["times"]
        + parts.get("suffix", "")
        + (parts.get("then_unit", "") * parts.get("then_times", 0))
    )


def _series(of: dict[str, Any]) -> list[float]:
    return [of["offset"] + of["scale"] * ((of["a"] * i + of["c"]) % of["m"]) for i in range(of["n"])]


def _nested(depth: int) -> Any:
    inner: Any = 1.0
    for _ in range(depth):
        inner = [inner]
    return inner


def _names(of: dict[str, Any]) -> dict[str, float]:
    stem = of["prefix"] + of["unit"] * of["times"]
    return {stem: 2.0} if of["count"] == 1 else {f"{stem}{number}": 2.0 for number in range(of["count"])}


class _LyingList(list[float]):
    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[float]:
        return iter([1.0] * 1000)  # enough to be seen


class _LyingFloat:
    def __float__(self) -> float:
        return 1.0


class _BadArray:
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt


def _python(kind: str) -> Any:
    selves: list[Any] = []
    selves.append(selves)
    one_to_three = np.array([1.0, 2.0, 3.0])
    readonly = one_to_three.copy()
    readonly.flags.writeable = False
    kinds: dict[str, Any] = {
        "object": object(), "object_array": np.array([object()]), "text_array": np.array(["1"]), "bytes": b"1",
        "bytearray": bytearray(b"1"), "complex": 1j, "numpy_complex": np.complex128(1), "set": {1.0},
        "complex_array": np.array([1j]), "generator": (one for one in [1.0]), "range": range(3), "function": _zeros,
        "lying_list": _LyingList(), "lying_float": _LyingFloat(), "bad_array": _BadArray(),
        "bool_array": np.array([True]), "date": dt.date(2024, 1, 1),
        "datetime64_array": np.array(["2024-01-01"], dtype="M8[D]"), "timedelta": dt.timedelta(1),
        "masked_array": np.ma.array([1.0], mask=[True]), "structured_array": np.array([(1.0,)], dtype=[("a", "f8")]),
        "memoryview": memoryview(array.array("d", [1.0])), "infinite_iterator": itertools.count(), "self_list": selves,
        "decimal": Decimal("0.1"), "fraction": Fraction(1, 3), "numpy_bool": np.True_, "numpy_float64": np.float64(2.5),
        "numpy_int64": np.int64(2), "float32_array": one_to_three.astype(np.float32),
        "int8_array": one_to_three.astype(np.int8), "view_array": np.array([1.0, 0, 2, 0, 3, 0])[::2],
        "readonly_array": readonly, "reversed_array": one_to_three[::-1].copy()[::-1],
        "fortran_array": np.asfortranarray([[1.0, 2.0, 3.0]]), "bigendian_array": one_to_three.astype(">f8"),
        "object_floats": np.array([1.0, 2.0, 3.0], dtype=object),
    }  # fmt: skip
    return kinds[kind]


def _power(pair: list[int]) -> int:
    return pair[0] ** pair[1]


def _zeros(shape: list[int]) -> Any:
    return np.zeros(shape).tolist()


def _list(of: dict[str, Any]) -> list[Any]:
    return [value(of["of"])] * of["times"]


_MADE: dict[str, Any] = {
    "$float": float, "$power": _power, "$repeat": _repeated, "$series": _series,
    "$shape": _zeros, "$list": _list,
    "$nested": _nested, "$names": _names, "$python": _python,
}  # fmt: skip
