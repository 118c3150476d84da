"""Makes `.venv` hold what one lock names, and this checkout (editable), for the Makefile. Standard library only.

    python3 .ci/environment.py requirements-dev.lock
    python3 .ci/environment.py requirements-peers.lock .venv-peers

A folder other than `.venv` holds its lock alone, without this checkout.

It is not a package manager: it asks pip once. A run that finds everything in place changes nothing. An install that was
cut off, by Ctrl-C or by `kill -9`, leaves its mark behind, and the next run starts the environment afresh.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  this file is what tells an older Python, so all of it must parse there
    sys.exit(
        f"error: MDL needs Python 3.11 or newer, but `{sys.executable}` is {sys.version_info[0]}.{sys.version_info[1]};"
        " name a newer one, as in `make demo PYTHON=python3.12`"
    )

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OWN = ROOT / ".venv"
VENV = ROOT / (sys.argv[2:] or [OWN.name])[0]
PYTHON = VENV / "bin" / "python"
INSTALLED = VENV / "installed.json"  # written last, so what it says is whole
UNFINISHED = VENV / "unfinished"
PIP_SAYS = VENV / "pip.txt"
PIN = re.compile(r"^([\w.-]+)(==[^\\\n]+?) *\\?$", re.MULTILINE)
FETCHED = re.compile(r"^(?:Collecting|Processing|Requirement already satisfied:) ", re.MULTILINE)
COLLECTED = re.compile(r"^Installing collected packages: (.+)$", re.MULTILINE)


class InstallError(Exception):
    """What stops an install: what, where, and how to mend it."""


def main(lock: str | None) -> None:
    """Returns at once if `.venv` holds `lock` already; without a lock, as soon as `.venv` can run pip."""
    pins = ["".join(pin) for pin in PIN.findall((ROOT / lock).read_text("utf-8"))] if lock else []
    if is_ready(pins):
        return
    with alone() as held:
        if is_ready(pins):  # another run has done it while this one waited
            return
        began = time.monotonic()
        if not is_ours_and_whole():
            create(held)
        if lock:
            UNFINISHED.touch()
            install(lock, len(pins), held)
            write_installed([*installed()["pins"], *pins])
            UNFINISHED.unlink()
            print(f"environment: {VENV.name} holds {lock} ({time.monotonic() - began:.0f} s)", flush=True)


def identity() -> dict[str, str]:
    """What `.venv` was made for: another Python, a moved checkout or a changed project asks for work."""
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "root": str(ROOT),
        "project": hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest(),
    }


def installed() -> dict[str, list[str]]:
    """What the last whole install has left: the identity it was for, and every pin that is installed."""
    with suppress(FileNotFoundError, ValueError):
        return json.loads(INSTALLED.read_text("utf-8"))
    return {}


def write_installed(pins: list[str]) -> None:
    """Keeps the last version of each name, since a newer lock replaces what an older one has installed."""
    last = {re.sub(r"==[^ ]+", "", pin): pin for pin in pins}
    fresh = INSTALLED.with_suffix(".new")
    fresh.write_text(json.dumps({**identity(), "pins": sorted(last.values())}), "utf-8")
    fresh.replace(INSTALLED)


def is_ready(pins: list[str]) -> bool:
    """Whether nothing is to be done."""
    have = installed()
    same = all(have.get(key) == value for key, value in identity().items())
    return same and PYTHON.exists() and not UNFINISHED.exists() and set(pins) <= set(have["pins"])


def is_ours_and_whole() -> bool:
    """Whether `.venv` can be installed into. What somebody else has put there is refused, not deleted.

    Raises:
        InstallError: `.venv` was not made here.
    """
    if not VENV.exists() or not any(VENV.iterdir()):
        return False
    if not INSTALLED.exists() and not UNFINISHED.exists():
        raise InstallError(
            f"`{VENV.name}` was not made by this Makefile; remove it (`make clean` does), then run again"
        )
    have, want = installed(), identity()
    return PYTHON.exists() and not UNFINISHED.exists() and all(have.get(key) == want[key] for key in ("python", "root"))


def create(held: int) -> None:
    """Makes `.venv` anew, with nothing in it but pip.

    Raises:
        InstallError: this Python cannot make environments.
    """
    try:
        import ensurepip  # noqa: F401, PLC0415  Debian ships Python without it
        import venv  # noqa: F401, PLC0415
    except ImportError:
        raise InstallError(
            f"`{sys.executable}` cannot make an environment (no `ensurepip`); run `apt-get install python3-venv` "
            f"(python{identity()['python']}-venv for a Python that is not the system's), then again"
        ) from None
    print(f"environment: making {VENV.name}", flush=True)
    VENV.mkdir(exist_ok=True)
    UNFINISHED.touch()
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != UNFINISHED:
            entry.unlink()
    base = getattr(sys, "_base_executable", sys.executable)  # where .venv is active, its own python has just gone
    run([base, "-m", "venv", str(VENV)], held)
    write_installed([])
    UNFINISHED.unlink()


def install(lock: str, total: int, held: int) -> None:
    """Installs exactly the lock, wheels only, each checked by its hash; into `.venv` also the checkout, offline."""
    pip = [str(PYTHON), "-Iu", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-deps"]
    exact = ["--require-hashes", "--only-binary=:all:", "--progress-bar=off", "-r", str(ROOT / lock)]
    try:
        run([*pip, *exact], held, Progress(total))
    except InstallError:
        if not COLLECTED.search(PIP_SAYS.read_text("utf-8", "replace")):
            UNFINISHED.unlink()  # nothing was fetched whole and nothing touched: what is in `.venv` still works
        raise
    if VENV == OWN:
        run([*pip, "--no-index", "--no-build-isolation", "--editable", str(ROOT)], held)


class Progress:
    """One line on what pip does: rewritten in place on a terminal, a new one every five seconds elsewhere."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.terminal = sys.stdout.isatty()
        self.began = time.monotonic()
        self.due = self.began + 0.5  # where all is installed already there is nothing to show
        self.there = self.count_installed()

    def count_installed(self) -> int:
        """Counts the packages in `.venv`; pip itself is silent while it installs."""
        return sum(1 for _ in VENV.glob("lib/python*/site-packages/*.dist-info"))

    def show(self) -> None:
        """Tells how far pip has come, if it is time to."""
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + (0.2 if self.terminal else 5)
        said = PIP_SAYS.read_text("utf-8", "replace")
        names = COLLECTED.search(said)
        if names:
            text = f"installed {self.count_installed() - self.there} of {names[1].count(',') + 1}"
        else:
            text = f"fetched {len(FETCHED.findall(said))} of {self.total}"
        text = f"environment: {text} packages ({now - self.began:.0f} s)"
        print(f"\r\x1b[K{text}" if self.terminal else text, end="" if self.terminal else "\n", flush=True)

    def end(self) -> None:
        """Leaves the terminal's line free for what comes next."""
        if self.terminal:
            print("\r\x1b[K", end="", flush=True)


def run(command: list[str], held: int, progress: Progress | None = None) -> None:
    """Runs one command; it inherits `held`, so an orphan of a killed run keeps others out until it has ended.

    Raises:
        InstallError: the command failed; its last lines are part of the error.
    """
    with PIP_SAYS.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, pass_fds=[held], cwd=ROOT)
    try:
        while process.poll() is None:
            if progress:
                progress.show()
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait()
        if progress:
            progress.end()
    if process.returncode:
        last = "\n".join(PIP_SAYS.read_text("utf-8", "replace").splitlines()[-12:])
        raise InstallError(f"an install step failed; see below, check the network and the disk, run again\n{last}")


@contextmanager
def alone() -> Iterator[int]:
    """Locks the checkout's folder, so that two runs of make do not install into one `.venv`."""
    held = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("environment: another install is running here; waiting for it", flush=True)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield held
    finally:
        os.close(held)


def interrupt(*_: object) -> None:
    """Makes SIGTERM stop pip and say so, as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else None)
    except InstallError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nerror: the install was interrupted; the next run starts it afresh")
