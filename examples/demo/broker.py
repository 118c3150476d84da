"""A paper broker: it keeps positions in a file and fills every hedge at once. Each @action becomes an MCP tool."""

import json
from pathlib import Path

from orchestrator import action

BOOK = Path("positions.json").absolute()  # in the folder of mdl.toml, where modules are loaded
OPENING = {"ACME": 6000.0, "GLOBEX": 14000.0, "INITECH": 3000.0}


@action(read_only=True, idempotent=True)
async def exposure(symbol: str) -> dict[str, float]:
    """What is still open in a symbol, in USD."""
    return {"open": _open(symbol)}


@action(cost=0.01)
async def hedge(symbol: str, notional: float) -> dict[str, float]:
    """Sell short against an open position.

    Args:
        symbol: what to hedge.
        notional: for how much, in USD.
    """
    left = max(_open(symbol) - notional, 0.0)
    BOOK.write_text(json.dumps({**_positions(), symbol: left}), encoding="utf-8")
    return {"open": left}


def _open(symbol: str) -> float:
    return _positions().get(symbol, OPENING.get(symbol, 0.0))


def _positions() -> dict[str, float]:
    return json.loads(BOOK.read_text(encoding="utf-8")) if BOOK.exists() else {}
