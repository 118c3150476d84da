"""Grants for any tool, and the servers of `servers/` and `modules/` as settings."""

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from orchestrator.act.servers import Servers
from orchestrator.settings import ServerSettings
from orchestrator.types import Action, Event, Grant, Json

HERE = Path(__file__).parent
EVENT = Event(id="1", source="test:act", type="shop.order.paid", time=datetime(2026, 11, 1, tzinfo=UTC))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def grant() -> Callable[..., Grant]:
    def make(tool: str, *, traceparent: str | None = None, **arguments: Json) -> Grant:
        action = Action.of(EVENT, "goal@1", step="0", tool=tool, arguments=arguments)
        return Grant(action=action, traceparent=traceparent)

    return make


@pytest.fixture
def chance() -> Random:
    return Random(1)  # noqa: S311  jitter, the same in every run


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractAsyncContextManager[Servers]]:
    """A toolbox of these servers: `running({"shop": settings}, patience=2)`."""

    somewhere = tmp_path_factory.mktemp("running")

    def make(
        settings: dict[str, ServerSettings],
        *,
        folder: Path = somewhere,
        private: tuple[Path, ...] = (),
        patience: float = 15,
        max_result: int = 256_000,
    ) -> Servers:
        seeded = Random(1)  # noqa: S311  jitter, the same in every run
        return Servers(
            settings, folder=folder, random=seeded, private=private, patience=patience, max_result=max_result
        )

    return make


@pytest.fixture(scope="session")
def script() -> Callable[..., ServerSettings]:
    """Settings of a server in `servers/`: `script("raw.py", "many", ledger=file, timeout="5s")`.

    It writes its ledger wherever the test wants it, and the machine's own process ids into it.
    """

    def make(name: str, *args: str, ledger: Path | None = None, **more: Json) -> ServerSettings:
        env = {} if ledger is None else {"LEDGER": str(ledger)}
        command = (str(HERE / "servers" / name), *args)
        bare: Json = {"isolation": {"bubblewrap": "off"}}
        return ServerSettings(command=sys.executable, args=command, env=env | more.pop("env", {}), **(bare | more))

    return make


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules in `modules/` can be imported, each time anew."""
    folder = HERE / "modules"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    for file in folder.glob("*.py"):
        monkeypatch.delitem(sys.modules, file.stem, raising=False)
