from orchestrator import action


@action(cost=0.002, latency="5ms", idempotent=True)
async def freeze(account: str, limit: float = 0.0) -> dict[str, str | float]:
    """Freeze an account."""
    return {"account": account, "limit": limit}
