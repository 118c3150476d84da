"""An action whose argument no JSON can hold."""

from threading import Thread

from orchestrator import action


@action
async def pay(thread: Thread) -> dict[str, bool]:
    return {"alive": thread.is_alive()}
