"""What the settings name that is not there, so that a limit does not hold for whom or what it was written."""

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches

from orchestrator.guard.globs import covers
from orchestrator.settings import Settings
from orchestrator.types import Goal


def ownerless(settings: Settings, goals: Iterable[Goal]) -> Iterator[tuple[str, str]]:
    """Owners of goals that no [owners] table limits, where there are such tables: each with what is wrong."""
    if not settings.owners:
        return
    for goal in goals:
        if goal.owner and goal.owner not in settings.owners:
            near = _near(goal.owner, settings.owners)
            text = f"its owner `{goal.owner}` has no [owners.{goal.owner}], so it may call anything{near}"
            yield f"owner of {goal.id}", text


def toolless(settings: Settings, *, tools: Collection[str], up: Collection[str]) -> Iterator[tuple[str, str]]:
    """Tables of tools, and shared budgets, that name no tool: each with what is wrong; asks servers that are `up`."""
    for server, one in settings.servers.items():
        for name in sorted(one.tools):
            if server in up and (full := f"{server}.{name}") not in tools:
                text = (
                    f"[mcpServers.{server}.tools.{name}] is of no tool that server `{server}` has{_near(full, tools)}"
                )
                yield f"tool {full}", text
    for number, budget in enumerate(settings.policy.budgets, 1):
        place, text = f"budget {number}", f'`tool = "{budget.tool}"` in [[policy.budgets]] names no tool there is'
        if not _may_name(budget.tool, settings, tools=tools, up=up):
            yield place, text + _near(budget.tool, tools)


def _may_name(glob: str, settings: Settings, *, tools: Collection[str], up: Collection[str]) -> bool:
    """Whether a glob covers a tool, or may cover one of a server that is not up."""
    if glob == "*" or any(covers(glob, tool) for tool in tools):
        return True
    of = glob.partition(".")[0]
    return any(server not in up and ("*" in of or of == server) for server in settings.servers)


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; is it `{near[0]}`?" if near else ""
