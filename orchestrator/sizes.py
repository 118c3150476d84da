"""Sizes as people write them: `1MB`. Knows nothing of what they are sizes of."""

import re
from typing import Annotated, Any

from pydantic import PlainValidator

_SIZES = {"": 1, "B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


def size(value: Any) -> int:
    """Bytes.

    Raises:
        ValueError: it is no size.
    """
    match = re.fullmatch(r"(\d+)\s*(B|kB|MB|GB)?", str(value))
    if not match:
        raise ValueError("a size is a number of bytes, or a text such as `1MB`")
    return int(match[1]) * _SIZES[match[2] or ""]


Size = Annotated[int, PlainValidator(size, json_schema_input_type=str | int)]
