"""The formula API of `peers_php/`, on an nginx, a PHP-FPM and a MariaDB of its own in a folder.

The services of the system are neither asked nor touched.
"""

import getpass
import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from glob import glob
from pathlib import Path
from typing import Any

import msgspec
import psutil
from msgspec import Struct
from processes import NotRunningError, running

PACKAGES = "php-fpm php-mysql php-apcu nginx mariadb-server wrk"
"""Debian's names of what is needed, with wrk."""

API_KEY = "k-0f1e2d3c4b5a69788796a5b4c3d2e1f0"
VARIANTS = ("conventional", "persistent", "apcu")

_SCRIPTS = Path(__file__).with_name("peers_php")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_COMMANDS = ("nginx", "mariadbd", "mariadb-install-db", "mariadb", "taskset", "wrk")
_MODULES = ("apcu", "pdo_mysql", "Zend OPcache")


class PhpStack(Struct, frozen=True):
    """Where it answers, and who serve."""

    url: str
    processes: list[psutil.Process]


def missing() -> list[str]:
    """Commands and PHP modules that are not installed."""
    found = [name for name in _COMMANDS if shutil.which(name, path=_PATH) is None]
    fpm = _fpm()
    if fpm is None:
        return [*found, "php-fpm"]
    modules = subprocess.run([fpm, "-m"], capture_output=True, text=True, check=True).stdout.splitlines()  # noqa: S603  found on the PATH
    return found + [name for name in _MODULES if name not in modules]


def versions() -> str:
    """Of PHP, nginx, MariaDB."""
    fpm = subprocess.run([_fpm() or "", "-v"], capture_output=True, text=True, check=True).stdout  # noqa: S603  likewise
    nginx = subprocess.run([_command("nginx"), "-v"], capture_output=True, text=True, check=True).stderr  # noqa: S603  likewise
    maria = subprocess.run([_command("mariadbd"), "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603  likewise
    return f"PHP {fpm.split()[1]}, nginx {nginx.split('/')[1].strip()}, MariaDB {maria.split()[2].partition('-')[0]}"


@contextmanager
def php_stack(folder: Path, formula: Mapping[str, Any], *, core: int) -> Generator[PhpStack]:
    """The API on a core, with one formula in its table, until the end of the `with`.

    Args:
        folder: theirs alone, with a short path, for it holds their sockets.
        formula: as `GET /v1/formulas/{name}` of ours shows it.
        core: of all of them.

    Raises:
        NotRunningError: one of them did not start.
    """
    port = _free_port()
    names = {"USER": getpass.getuser(), "FOLDER": str(folder), "SCRIPTS": str(_SCRIPTS), "PORT": str(port)}
    for name in ("nginx.conf", "php-fpm.conf"):
        (folder / name).write_text(_filled((_SCRIPTS / name).read_text(encoding="utf-8"), names), encoding="utf-8")
    _install_database(folder)

    def start(*command: str, ready: Callable[[], bool]) -> psutil.Process:
        log = folder / f"{Path(command[0]).name}.out"
        return stack.enter_context(running(command, log=log, core=core, ready=ready))

    with ExitStack() as stack:
        database = start(_command("mariadbd"), *_database(folder), ready=lambda: _listens(folder / "database.sock"))
        _fill_database(folder, formula)
        fpm = start(
            _fpm() or "", "--allow-to-run-as-root", "--fpm-config", str(folder / "php-fpm.conf"),
            ready=lambda: _listens(folder / "php.sock"),
        )  # fmt: skip
        nginx = start(
            _command("nginx"), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log", ready=lambda: _listens(port)
        )
        yield PhpStack(f"http://127.0.0.1:{port}", [nginx, fpm, database])


def _database(folder: Path) -> list[str]:
    return [
        "--no-defaults",
        f"--datadir={folder / 'database'}",
        f"--socket={folder / 'database.sock'}",
        f"--pid-file={folder / 'database.pid'}",
        f"--user={getpass.getuser()}",
        "--skip-networking",
    ]


def _install_database(folder: Path) -> None:
    _run(
        _command("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'database'}",
        f"--user={getpass.getuser()}", "--auth-root-authentication-method=normal", "--skip-test-db",
    )  # fmt: skip


def _fill_database(folder: Path, formula: Mapping[str, Any]) -> None:
    schema = (_SCRIPTS / "schema.sql").read_text(encoding="utf-8")
    key = _hex(hashlib.sha256(API_KEY.encode()).hexdigest())
    columns = (
        formula["name"],
        f"{formula['name']}@{formula['version']}",
        formula["expression"],
        msgspec.json.encode(list(formula["where"].items())).decode(),
        msgspec.json.encode(formula["parameters"]).decode(),
    )
    rows = f"INSERT INTO api_keys VALUES ({key}); INSERT INTO formulas VALUES ({', '.join(map(_hex, columns))});"  # noqa: S608  in hexadecimal
    client = (_command("mariadb"), "--no-defaults", f"--socket={folder / 'database.sock'}", "--user=root")
    _run(*client, text=f"{schema}\n{rows}\n")


def _hex(text: str) -> str:
    return f"CONVERT(X'{text.encode().hex()}' USING utf8mb4)"


def _run(*command: str, text: str = "") -> None:
    ended = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603  own commands
    if ended.returncode:
        raise NotRunningError(f"`{command[0]}` failed: {(ended.stderr or ended.stdout).strip()}")


def _filled(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"@{name}@", value)
    return text


def _listens(address: int | Path) -> bool:
    family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_STREAM) as trying:
        trying.connect(("127.0.0.1", address) if isinstance(address, int) else str(address))
    return True


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def _fpm() -> str | None:
    """`php-fpm`, or Debian's with its version in its name."""
    folders = [folder for folder in _PATH.split(":") if folder]
    versioned = sorted(one for folder in folders for one in glob(f"{folder}/php-fpm[0-9]*"))  # noqa: PTH207  passes over folders it may not read
    return shutil.which("php-fpm", path=_PATH) or (versioned[-1] if versioned else None)


def _command(name: str) -> str:
    return shutil.which(name, path=_PATH) or name
