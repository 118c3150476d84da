"""What a server inside bubblewrap does not see of the files that its user may read, as words for bwrap(1)."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from orchestrator.errors import ToolError

SECRETS = (
    ".aws", ".azure", ".bash_history", ".config/gcloud", ".config/gh", ".docker", ".git-credentials", ".gnupg", ".kube",
    ".local/share/keyrings", ".netrc", ".npmrc", ".password-store", ".pgpass", ".psql_history", ".pypirc", ".ssh",
    ".zsh_history",
)  # fmt: skip
"""What is hidden of the person's home."""

_ENTRIES = 1_000


def veiled(private: Iterable[Path]) -> list[Path]:
    """The folders that hold MDL's own, the outer ones first."""
    return sorted({path.parent for path in private if path.parent.is_dir()})


def veils(private: Sequence[Path]) -> Iterator[str]:
    """Such a folder made anew, of all that lies in it now but MDL's own and what is named after that, as `NAME-wal` is.

    Not a cover over the files themselves: it would be gone as soon as an editor puts a new file in their place.

    Raises:
        ToolError: a folder cannot be made anew.
    """
    for folder in veiled(private):
        if folder == Path("/"):
            raise ToolError("MDL's own files lie in `/`, where they cannot be hidden; move them to a folder of theirs")
        yield from ("--tmpfs", str(folder))
        yield from _entries(folder, [path.name for path in private if path.parent == folder])


def _entries(folder: Path, private: Sequence[str]) -> Iterator[str]:
    shown = [entry for entry in os.scandir(folder) if not any(name in entry.name for name in private)]
    if len(shown) > _ENTRIES:
        raise ToolError(
            f"`{folder}` holds MDL's own files among {len(shown)} others, too many to hide them there; move them to a"
            " folder of theirs"
        )
    for entry in sorted(shown, key=lambda one: one.name):
        if entry.is_symlink():
            yield from ("--symlink", os.readlink(entry.path), entry.path)  # noqa: PTH115  as it stands
        elif entry.is_dir() or entry.is_file():
            yield from ("--ro-bind-try", entry.path, entry.path)


def secrets() -> Iterator[str]:
    """Covers over what the person's programs keep secret in their home, by where it really lies."""
    home = os.path.expanduser("~")  # noqa: PTH111  Path.home() raises for a user without one
    if not os.access(home, os.X_OK):
        return
    for path in (Path(home, name).resolve() for name in SECRETS):
        if path.is_dir():
            yield from ("--tmpfs", str(path), "--remount-ro", str(path))
        elif path.exists():
            yield from ("--ro-bind", "/dev/null", str(path))
