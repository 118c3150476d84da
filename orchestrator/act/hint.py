"""What a server's complaint may have to do with its isolation, for people who wonder why it no longer works."""

import re

from orchestrator.act.toolbox import InForce

_NO_NETWORK = re.compile(
    r"unreachable|name resolution|EAI_AGAIN|ENETUNREACH|ENOTFOUND|ECONNREFUSED|getaddrinfo|connection refused"
    r"|ConnectError",
    re.IGNORECASE,
)
_NO_WRITE = re.compile(r"read-only file system|EROFS|readonly database", re.IGNORECASE)
_NO_FILE = re.compile(r"no such file|ENOENT|cannot find module|No module named|not there", re.IGNORECASE)


def hint(words: str, in_force: InForce | None, *, ended: bool = False) -> str:
    """What to put behind the words of a tool, or of a server that has ended; nothing where they have no such reason."""
    if in_force is None or not in_force.bubblewrap:
        return ""
    if not in_force.network and _NO_NETWORK.search(words):
        return "; it has no network unless `isolation.network = true`"
    if _NO_WRITE.search(words):
        return "; it writes only its own folder and those that `isolation.write` names"
    if ended and _NO_FILE.search(words):
        return "; what lies below /tmp, or beside mdl.toml since it started, it sees if `isolation.read` names it"
    return ""
