"""A definition as JSON Schema, for MCP tools and OpenAPI alike. Describes only; `slots.py` checks."""

from typing import Any

from mcp_servers.formula.bounds import KEY, WINDOW
from mcp_servers.formula.definition import Definition, Parameter
from mcp_servers.formula.limits import TEXT
from mcp_servers.formula.slots import told
from mcp_servers.formula.stream import NAMES

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}


def _said(kind: str, about: str, **more: Any) -> Schema:
    return {"type": kind, "description": about, **more}


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_FORMULA = _said("string", "such as `black_scholes`, its latest version, or `black_scholes@1`")
_EXPRESSION = _said("string", "such as `(price - mean(recent)) / std(recent)`", maxLength=TEXT)
_NUMBERS: Schema = {"anyOf": [{"type": "number"}, {"type": "array", "items": {}}]}

NOTHING = _object()
COMPUTE = _object(
    ("formula",),
    formula=_FORMULA,
    arguments=_said("object", "values by the names of its parameters; `formulas` lists them"),
)
EVALUATE = _object(
    ("expression",),
    expression=_EXPRESSION,
    variables=_said("object", "name and number or list of numbers", additionalProperties=_NUMBERS),
)
BATCH = _object(
    formula=_FORMULA,
    expression=_EXPRESSION,
    points=_said("array", "arguments or variables, an object for each row; or columns", items={"type": "object"}),
    columns=_said("object", "lists of equal length by name; a plain number counts for all rows"),
)
STREAM: Schema = {
    "type": "object",
    "properties": {
        "key": _said("string", "whose values these are, such as a symbol", minLength=1, maxLength=KEY),
        "value": _said("number", "the newest value; for volatility a price, above 0"),
        "figure": _said("string", "what to tell of the window", enum=list(NAMES)),
        "window": _said(
            "integer",
            "how many values count; volatility takes that many returns, so one price more",
            minimum=1,
            maximum=WINDOW,
        ),
        "alpha": _said("number", "weight of the newest value, for ewm_*", exclusiveMinimum=0, maximum=1),
        "q": _said("number", "share, for quantile", minimum=0, maximum=1),
        "at": _said("number", "when, in POSIX seconds; the same push at the same time counts once"),
    },
    "required": ["key", "value", "figure"],
    "additionalProperties": False,
}
"""A push to a stream."""

DEFINITION: Schema = {
    "type": "object",
    "properties": {
        "name": _said("string", "a-z, 0-9 and `_`, a letter first"),
        "about": _said("string", "what it gives, in a sentence"),
        "expression": _said("string", "over its parameters, such as `(price - cost) / price`", maxLength=TEXT),
        "parameters": {
            "type": "object",
            "description": "by name",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "unit": _said("string", "what a number counts, such as USD"),
                    "about": _said("string", "what it is"),
                    **{end: _said("number", f"{end} of the range") for end in ("min", "max", "above", "below")},
                    "default": {"description": "what counts where none is given"},
                    "choices": _said("object", "words, and the number for each"),
                    "list": _said("boolean", "whether it is a list of numbers"),
                    "least": _said("integer", "how many numbers such a list has at least"),
                },
                "additionalProperties": False,
            },
        },
        "where": _said("object", "names for parts of the expression, and their texts", additionalProperties=_TEXT),
        "unit": _said("string", "of what it gives"),
        "source": _said("string", "where it is from"),
        "examples": {
            "type": "array",
            "description": "arguments, and the value that they give",
            "items": {"type": "object", "properties": {"arguments": {"type": "object"}, "value": {}}},
        },
    },
    "required": ["name", "about", "expression", "parameters"],
    "additionalProperties": False,
}
"""A formula to define."""


def arguments(definition: Definition) -> Schema:
    """The schema of an object of arguments."""
    properties = {name: of(parameter) for name, parameter in definition.parameters.items()}
    required = [name for name, parameter in definition.parameters.items() if parameter.default is None]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def of(parameter: Parameter) -> Schema:
    """The schema of one argument."""
    about = ": ".join(filter(None, (parameter.about, told(parameter))))
    schema: Schema = {"description": about}
    if parameter.choices:
        schema |= {"type": "string", "enum": list(parameter.choices)}
    elif parameter.series:
        schema |= {"type": "array", "items": _number(parameter)}
        if parameter.least:
            schema["minItems"] = parameter.least
    else:
        schema |= _number(parameter)
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema


def _number(parameter: Parameter) -> Schema:
    ends = {
        "minimum": parameter.min,
        "maximum": parameter.max,
        "exclusiveMinimum": parameter.above,
        "exclusiveMaximum": parameter.below,
    }
    return {"type": "number", **{name: end for name, end in ends.items() if end is not None}}
