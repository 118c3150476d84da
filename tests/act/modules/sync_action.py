"""An action that is none."""

from orchestrator import action


@action  # pyright: ignore[reportArgumentType, reportUntypedFunctionDecorator]  what the test is about
def late() -> dict[str, str]:
    return {}
