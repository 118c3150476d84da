"""Two actions with one name."""

from orchestrator import action


@action
async def pay() -> dict[str, str]:
    return {}


@action(name="pay")
async def pay_later() -> dict[str, str]:
    return {}
