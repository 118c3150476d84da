"""A tool of this process called past the SDK's wire text: its argument model, its function, its output model.

`MCPServer.call_tool` also writes every result as text blocks: most of its time, and nobody here reads them. Values and
errors are those of `call_tool`; where that is not plain from the result, the SDK's own conversion has the word.
"""

from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ToolError, UnexpectedResourceError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.types import Audio, Image
from mcp.types import CallToolResult, InputRequiredResult
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from orchestrator.types import Json

_SPREAD = (list, tuple, Image, Audio)
"""What the SDK turns into more than one text, item by item, or into something else than text."""


class Direct:
    """One tool, awaited with its arguments."""

    def __init__(self, tool: Tool) -> None:
        """Take from the tool what every call needs."""
        metadata = tool.fn_metadata
        self._name, self._function, self._metadata = tool.name, tool.fn, metadata
        fields = metadata.arg_model.model_fields
        self._validate = metadata.arg_model.__pydantic_validator__.validate_python
        self._names = {name: field.alias or name for name, field in fields.items()}
        self._renamed = any(name != told for name, told in self._names.items())
        others = [name for name, field in fields.items() if field.annotation is not str]
        self._no_strings = frozenset(others) | {self._names[name] for name in others}
        self._wrapped = metadata.wrap_output
        self._output = None
        if metadata.output_model is not None and metadata.output_schema is not None:
            self._output = metadata._output_adapter(metadata.output_model)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  no public way

    async def __call__(self, arguments: dict[str, Json]) -> Json | CallToolResult | InputRequiredResult:
        """The structured value, or what the SDK makes of a result that has none.

        Raises:
            ToolError, UnexpectedToolError, MCPError: as `MCPServer.call_tool` does.
        """
        try:
            given = self._given(arguments)
        except ValidationError as error:
            raise ToolError(f"Error executing tool {self._name}: {error}") from error
        except MCPError:
            raise
        except Exception as error:
            raise UnexpectedToolError(f"Error executing tool {self._name}") from error
        try:
            return self._value(await self._function(**given))
        except MCPError:
            raise
        except (UnexpectedToolError, UnexpectedResourceError) as error:
            raise UnexpectedToolError(f"Error executing tool {self._name}: {error}") from error
        except (ToolError, ResourceError) as error:
            raise ToolError(f"Error executing tool {self._name}: {error}") from error
        except Exception as error:
            raise UnexpectedToolError(f"Error executing tool {self._name}") from error

    def _given(self, arguments: dict[str, Json]) -> dict[str, Any]:
        for name, value in arguments.items():
            if isinstance(value, str) and name in self._no_strings:
                return self._metadata.validate_arguments(arguments)  # the SDK may take such a text for JSON
        given = self._validate(arguments).__dict__
        if self._renamed:
            return {self._names[name]: value for name, value in given.items()}
        return given

    def _value(self, result: object) -> Json | CallToolResult | InputRequiredResult:
        if self._output is not None and not isinstance(result, CallToolResult | InputRequiredResult):
            try:
                structured = self._structured(result)
            except Exception:  # noqa: BLE001  the SDK's conversion meets it again, and has the words for it
                structured = None
            if structured is not None:
                return structured
        return self._metadata.convert_result(result)

    def _structured(self, result: object) -> Json:
        """The value as the output model gives it; None where the SDK might not be able to write it as text."""
        assert self._output is not None  # noqa: S101  asked for above
        value = {"result": result} if self._wrapped else result
        validated = self._output.validator.validate_python(value, by_alias=True, by_name=True)
        if isinstance(validated, BaseModel):
            structured = validated.model_dump(mode="json", by_alias=True)
        else:
            structured = self._output.serializer.to_python(validated, mode="json", by_alias=True)
        if isinstance(result, _SPREAD) and structured != value:
            return None
        to_json(result, fallback=str)  # or a text that is no Unicode would pass here and fail behind a wire
        return structured


def direct(server: MCPServer[Any], tool: Tool) -> Direct | None:
    """The tool to be called directly, unless it needs a request or a thread, or its server calls in its own way."""
    own = type(server).call_tool is MCPServer.call_tool and "call_tool" not in vars(server) and type(tool) is Tool
    plain = tool.is_async and tool.context_kwarg is None and not tool.resolved_params
    return Direct(tool) if own and plain else None
