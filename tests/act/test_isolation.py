"""What a hostile server reaches, by what it got hold of and by what is on the disk afterwards."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from orchestrator.act import launch
from orchestrator.act.bubblewrap import Inside, wrapped
from orchestrator.act.hint import hint
from orchestrator.act.isolation import KEPT
from orchestrator.act.servers import Servers
from orchestrator.act.toolbox import InForce
from orchestrator.isolation_table import IsolationTable
from orchestrator.settings import ServerSettings
from orchestrator.types import Grant, Json

HERE = Path(__file__).parent
SECRET = "no-real-secret-" * 2
PLANTED = f"planted-by-a-server-{os.getpid()}"
MARK = f"60.{os.getpid()}"
"""An argument of processes that a test starts: seconds to sleep, and a mark."""
PATTERN = Path("/proc/sys/kernel/core_pattern")
"""What the kernel runs where a process dumps core: who writes it is root."""
INSIDE = pytest.param("require", marks=pytest.mark.requires("bwrap"))
Granting = Callable[..., Grant]
Running = Callable[..., AbstractAsyncContextManager[Servers]]
Hostile = Callable[..., AbstractAsyncContextManager["Attacker"]]


def pattern() -> str:
    return PATTERN.read_text(encoding="ascii")


class Attacker:
    """A hostile server at work, below a folder as a person has it."""

    def __init__(self, servers: Servers, grant: Granting, folder: Path) -> None:
        self._servers, self._grant, self.folder = servers, grant, folder
        self.home = folder / ".mdl" / "servers" / "hostile" / "home"

    async def does(self, code: str) -> Json:
        """What came of it, which it has also noted in its own folder."""
        outcome = await self._servers.act(self._grant("hostile.do", code=code))
        assert outcome.status == "succeeded", outcome.error
        return outcome.result["found"]

    @property
    def in_force(self) -> InForce:
        found = self._servers.servers()[0].in_force
        assert found is not None
        return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MDL's folder, in somebody's home, with a journal, settings, keys and other things."""
    made = tmp_path / "mine"
    for name in (".mdl/journal.db", ".mdl/checkpoint.key", "mdl.toml", "mdl.toml~", "notes.txt", ".ssh/id", ".netrc"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(SECRET, encoding="utf-8")
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.setenv("MDL_TEST_SECRET", SECRET)
    return made


@pytest.fixture
def hostile(running: Running, grant: Granting, folder: Path) -> Hostile:
    """`hostile(isolation={...}, **settings)`: a hostile server, up."""

    @asynccontextmanager
    async def make(
        *args: str, isolation: dict[str, Json] | None = None, private: tuple[Path, ...] = (), **more: Json
    ) -> AsyncGenerator[Attacker]:
        words = (str(HERE / "servers" / "hostile.py"), *args)
        table: dict[str, Json] = {"bubblewrap": "require", **(isolation or {})}
        settings = ServerSettings.model_validate(
            {"command": sys.executable, "args": words, "isolation": table, "timeout": "30s", **more}
        )
        own = (folder / "mdl.toml", folder / ".mdl" / "journal.db", *private)
        async with running({"hostile": settings}, folder=folder, private=own) as servers:
            assert await servers.ready(timeout=15), servers.servers()
            yield Attacker(servers, grant, folder)

    return make


READING = """
from pathlib import Path
found = []
for root in {roots!r}:
    for file in [*Path(root).rglob('*'), *Path(root).rglob('.*')]:
        try:
            if file.is_file() and {secret!r} in file.read_text(errors='ignore'): found.append(file.name)
        except OSError: pass
found = sorted(set(found))
"""


def reading(*roots: Path) -> str:
    return READING.format(roots=[str(root) for root in roots], secret=SECRET)


@pytest.mark.parametrize("bubblewrap", [INSIDE, "off"])
async def test_a_server_has_its_own_env_and_none_of_the_secrets_around_it(hostile: Hostile, bubblewrap: str) -> None:
    async with hostile(isolation={"bubblewrap": bubblewrap}, env={"TOKEN": "for it"}) as it:
        env = await it.does("import os; found = dict(os.environ)")
        assert env.items() >= {"TOKEN": "for it", "HOME": str(it.home), "PATH": os.environ["PATH"]}.items()
        assert set(env) <= {*KEPT, "HOME", "TMPDIR", "TOKEN", "PWD"}  # bubblewrap sets PWD, Python LC_CTYPE
        assert SECRET not in str(env)
        assert {"HOME", "PATH", "TMPDIR", "TOKEN"} <= set(it.in_force.environment) <= set(env)
        assert it.home.stat().st_mode & 0o777 == 0o700
        assert "for it" not in str(it.in_force)


@pytest.mark.parametrize("bubblewrap", [INSIDE, "off"])
async def test_home_and_temporary_files_are_its_own(hostile: Hostile, bubblewrap: str) -> None:
    async with hostile(isolation={"bubblewrap": bubblewrap}) as it:
        code = "import os, tempfile; found = [os.path.expanduser('~'), tempfile.gettempdir(), tempfile.mkdtemp()]"
        home, temporary, made = await it.does(code)
    assert (home, temporary) == (str(it.home), str(it.home.with_name("tmp")))
    assert made.startswith(temporary)


@pytest.mark.requires("bwrap")
async def test_inside_no_other_process_can_be_seen(hostile: Hostile) -> None:
    async with hostile() as it:
        seen = await it.does(
            "from pathlib import Path\n"
            "found = [[], '']\n"
            "for process in Path('/proc').glob('[0-9]*'):\n"
            "    found[0].append((process / 'comm').read_text().strip())\n"
            "    found[1] += (process / 'environ').read_text()"
        )
        names, environments = seen
        assert (len(names), names.count("bwrap")) == (2, 1)
        assert SECRET not in environments
        assert await it.does(f"import os; found = os.kill({os.getpid()}, 0)") == (
            "ProcessLookupError: [Errno 3] No such process"
        )


@pytest.mark.promise("leave:isolation")
@pytest.mark.requires("bwrap")
async def test_inside_neither_the_journal_nor_the_settings_nor_keys_can_be_read(hostile: Hostile, folder: Path) -> None:
    async with hostile() as it:
        assert await it.does(reading(folder)) == ["notes.txt"]
        (folder / "new").write_text(SECRET, encoding="utf-8")
        (folder / "new").replace(folder / "mdl.toml")  # as an editor does
        (folder / ".mdl" / "journal.db-wal").write_text(SECRET, encoding="utf-8")
        assert await it.does(reading(folder)) == ["notes.txt"]
        assert await it.does(f"import os; found = os.listdir({str(folder / '.mdl')!r})") == ["servers"]


@pytest.mark.requires("bwrap")
async def test_inside_a_journal_that_lies_elsewhere_cannot_be_read(hostile: Hostile, folder: Path) -> None:
    kept = folder.parent / "kept"
    kept.mkdir()
    for name in ("journal.db", "journal.db-wal", "other.txt"):
        (kept / name).write_text(SECRET, encoding="utf-8")
    async with hostile(private=(kept / "journal.db", kept / "checkpoint.key")) as it:
        (kept / "checkpoint.key").write_text(SECRET, encoding="utf-8")  # made on first use
        assert await it.does(reading(kept)) == ["other.txt"]


@pytest.mark.requires("bwrap")
async def test_inside_settings_behind_a_link_cannot_be_read_where_they_really_lie(
    hostile: Hostile, folder: Path
) -> None:
    (folder / "..data").mkdir()  # as a Kubernetes volume has it
    (folder / "mdl.toml").rename(folder / "..data" / "real")
    (folder / "mdl.toml").symlink_to("..data/real")
    async with hostile() as it:
        assert await it.does(reading(folder)) == ["notes.txt"]


@pytest.mark.requires("bwrap")
async def test_read_shows_what_is_hidden(hostile: Hostile, folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text(SECRET, encoding="utf-8")
    async with hostile() as it:
        assert await it.does(reading(outside, folder / ".ssh")) == []
    async with hostile(isolation={"read": [str(outside), "~/.ssh"]}) as it:
        assert await it.does(reading(outside, folder / ".ssh")) == ["file", "id"]
        assert "Read-only" in str(await it.does(f"open({str(outside / 'file')!r}, 'w')"))


@pytest.mark.promise("leave:isolation")
@pytest.mark.requires("bwrap")
async def test_inside_nothing_can_be_written_but_its_own_folder_and_what_is_granted(
    hostile: Hostile, folder: Path
) -> None:
    (folder / "beside").mkdir()
    places = [folder, folder / "beside", folder / ".mdl", Path("/etc"), Path("/run"), Path("/dev"), Path("/var"), HERE]
    shared = [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]  # noqa: S108  private inside
    code = f"""
from pathlib import Path
found = []
for place in {[str(one) for one in [*places, *shared, folder / "data", Path()]]!r}:
    try:
        Path(place, {PLANTED!r}).write_text('x')
        found.append(place)
    except OSError: pass
"""
    async with hostile(isolation={"write": ["data"]}) as it:
        written = await it.does(code)
        planted = [one / PLANTED for one in [*places, *shared] if (one / PLANTED).exists()]
        for one in planted:
            one.unlink()
        assert not planted
        assert (folder / "data" / PLANTED).read_text(encoding="utf-8") == "x"
        assert written == [*map(str, shared), str(folder / "data")]  # the three are its own, as was just seen
        assert (it.home / "ledger").exists()
        assert "OSError" in str(await it.does(f"import os; os.rename({str(it.home)!r}, {f'{it.home}-away'!r})"))


@pytest.mark.requires("bwrap")
async def test_inside_there_are_no_powers_also_where_mdl_runs_as_root(hostile: Hostile) -> None:
    before = pattern()
    async with hostile() as it:
        status = await it.does("found = open('/proc/self/status').read()")
        assert "CapEff:\t0000000000000000" in status
        assert "CapBnd:\t0000000000000000" in status
        assert await it.does("import os; found = os.listdir('/proc/self/fd')") == ["0", "1", "2", "3"]  # 3 is the list
        assert "Error: " in str(await it.does(f"open('{PATTERN}', 'w').write('|/tmp/planted')"))
    assert pattern() == before


@pytest.mark.promise("leave:isolation")
@pytest.mark.requires("bwrap")
@pytest.mark.parametrize("network", [False, True])
async def test_the_network_is_reached_by_grant_only(hostile: Hostile, network: bool) -> None:  # noqa: FBT001  a parameter
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        port = listening.getsockname()[1]
        async with hostile(isolation={"network": network}) as it:
            said = await it.does(f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)")
            assert it.in_force.network is network
            if network:
                assert said is None
                listening.accept()[0].close()
            else:
                assert "Connection refused" in str(said)
                with pytest.raises(BlockingIOError):
                    listening.accept()


@pytest.mark.parametrize("bubblewrap", [INSIDE, "off"])
async def test_memory_and_files_end_at_their_limits(hostile: Hostile, bubblewrap: str) -> None:
    limits = {"bubblewrap": bubblewrap, "memory": "300MB", "file": "1MB"}
    async with hostile(isolation=limits) as it:
        if sys.platform == "linux":
            assert await it.does("a = bytearray(400_000_000)") == "MemoryError: "
        assert await it.does("a = bytearray(200_000_000)") is None
        said = await it.does("from pathlib import Path; (Path.home() / 'big').write_bytes(b'x' * 3_000_000)")
        assert said == "OSError: [Errno 27] File too large"
        assert (it.home / "big").stat().st_size == 1_000_000
        assert await it.does("import resource as r; found = r.getrlimit(r.RLIMIT_CORE)") == [0, 0]
        assert "ValueError" in str(await it.does("import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (-1, -1))")) or (
            bubblewrap == "off" and os.geteuid() == 0  # root may raise its limits; inside it has no such power
        )


@pytest.mark.requires("bwrap")
async def test_inside_a_server_may_tidy_up_before_it_is_killed_with_all_it_started(hostile: Hostile) -> None:
    async with hostile("deaf") as it:
        await it.does(f"import subprocess; subprocess.Popen(['sleep', '{MARK}'], start_new_session=True)")
        assert len(marked()) == 1
    assert (it.home / "ledger").read_text(encoding="utf-8").endswith("tidied up\n")
    await until(lambda: not marked())


MDL = """
import asyncio, sys
from pathlib import Path
from random import Random
from orchestrator.act.servers import Servers
from orchestrator.settings import ServerSettings
from orchestrator.types import Action, Event, Grant

async def main(server, folder, bubblewrap, mark):
    table = {"command": sys.executable, "args": [server, "deaf", mark], "isolation": {"bubblewrap": bubblewrap}}
    async with Servers({"it": ServerSettings.model_validate(table)}, folder=Path(folder), random=Random(1)) as servers:
        assert await servers.ready(timeout=15)
        print("up", flush=True)
        await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a server lives until it reads the end of its input")
@pytest.mark.parametrize("bubblewrap", [INSIDE, "off"])
async def test_when_mdl_is_killed_its_servers_are_gone(tmp_path: Path, bubblewrap: str) -> None:
    """Also one that neither reads its input nor hears SIGTERM."""
    words = [str(HERE / "servers" / "hostile.py"), str(tmp_path), bubblewrap, MARK]
    mdl = await asyncio.create_subprocess_exec(sys.executable, "-c", MDL, *words, stdout=PIPE)
    assert mdl.stdout is not None
    assert await mdl.stdout.readline() == b"up\n"
    assert len(marked()) > 1
    mdl.kill()
    await mdl.wait()
    try:
        await until(lambda: not marked())
    finally:
        for left in marked():
            left.kill()


FORKING = """
import os, time
children = 0
try:
    while children < 60:
        if not os.fork(): time.sleep(60)
        children += 1
except OSError: pass
print(children, flush=True)
"""


@pytest.mark.requires("bwrap", "setpriv")
@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")
async def test_inside_a_fork_bomb_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user without powers, since the system never holds root to it; with a Python that every user may run."""
    monkeypatch.setenv("HOME", "/")
    with TemporaryDirectory() as place:
        os.chmod(place, 0o777)  # noqa: PTH101, S103  for that user
        folder, python = Path(place), "/usr/bin/python3"
        inside = Inside(home=folder, tmp=folder, cwd=Path("/"), private=(), network=False)
        launched = [python, "-I", "-S", launch.__file__, "processes=20", "--", python, "-c", FORKING]
        command = [*wrapped(inside, program="bwrap"), *launched]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        said, _ = await process.communicate()
    assert 10 < int(said) < 20


async def test_processes_are_limited_where_they_are_counted_apart_and_nowhere_else(hostile: Hostile) -> None:
    async with hostile(isolation={"bubblewrap": "off"}) as it:
        assert "processes" not in it.in_force.limits


@pytest.mark.parametrize("bubblewrap", [INSIDE, "off"])
async def test_commands_arguments_and_modules_relative_to_mdl_toml_go_on_working(
    running: Running, folder: Path, bubblewrap: str
) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "mine.py").write_text((HERE / "servers" / "hostile.py").read_text(encoding="utf-8"), encoding="utf-8")
    ways = {"script": ["mine.py"], "module": ["-m", "mine"]}
    isolation = IsolationTable.model_validate({"bubblewrap": bubblewrap})
    settings = {
        name: ServerSettings(command="bin/python", args=tuple(args), isolation=isolation) for name, args in ways.items()
    }
    async with running(settings, folder=folder) as servers:
        assert await servers.ready(timeout=15), servers.servers()


@pytest.mark.requires("bwrap")
@pytest.mark.parametrize(
    ("grants", "reason"),
    [
        ({"write": ["."]}, "`isolation.write` names `.`, which holds MDL's own files; name a folder beside them"),
        ({"read": [".mdl/journal.db"]}, "`isolation.read` names `.mdl/journal.db`, which holds MDL's own files"),
        ({"write": ["mdl.toml"]}, "`isolation.write` names `mdl.toml`, which holds MDL's own files"),
        ({"read": ["/"]}, "`isolation.read` names `/`, which holds MDL's own files"),
        ({"write": ["link"]}, "`isolation.write` names `link`, a link to `"),
        ({"read": ["nowhere"]}, "`isolation.read` names `nowhere`, which is not there"),
        ({"write": ["notes.txt"]}, "`isolation.write` names `notes.txt`, which is no folder"),
    ],
)
async def test_grants_of_what_cannot_be_granted_are_refused(
    running: Running, folder: Path, grants: dict[str, Json], reason: str
) -> None:
    (folder / "link").symlink_to(folder / ".mdl")
    settings = ServerSettings.model_validate({"command": sys.executable, "isolation": grants})
    async with running({"it": settings}, folder=folder, private=(folder / "mdl.toml",)) as servers:
        assert not await servers.ready(timeout=15)
        assert (servers.servers()[0].reason or "").startswith(reason)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is never there")
@pytest.mark.parametrize("why_not", ["not installed; on Debian: `apt install bubblewrap`", "No permissions for this"])
async def test_where_bubblewrap_is_not_usable_the_rest_holds_and_the_reason_is_told(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why_not: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if "installed" not in why_not:
        (tmp_path / "bwrap").write_text(f"#!/bin/sh\necho 'bwrap: {why_not}' >&2\nexit 1\n", encoding="utf-8")
        (tmp_path / "bwrap").chmod(0o755)
    async with hostile(isolation={"bubblewrap": "auto", "file": "1MB"}) as it:
        assert (it.in_force.bubblewrap, it.in_force.network) == (None, True)
        assert (it.in_force.why_not or "").endswith(why_not)
        assert SECRET not in str(await it.does("import os; found = dict(os.environ)"))
        assert "File too large" in str(await it.does("open('big', 'wb').write(b'x' * 2_000_000)"))


async def test_where_bubblewrap_is_required_and_not_usable_nothing_is_started(
    running: Running, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    required = ServerSettings(command=sys.executable, isolation=IsolationTable(bubblewrap="require"))
    async with running({"it": required}, folder=folder) as servers:
        assert not await servers.ready(timeout=15)
        reason = servers.servers()[0].reason or ""
        assert reason.startswith("`isolation.bubblewrap` requires what is not to be had: bubblewrap is")


@pytest.mark.requires("bwrap")
async def test_a_link_that_a_server_put_in_place_of_its_own_folder_leads_nowhere(
    running: Running, folder: Path
) -> None:
    outside, own = folder.parent / "outside", folder / ".mdl" / "servers" / "it"
    for made in (outside, own):
        made.mkdir(parents=True)
    (own / "home").symlink_to(outside)
    async with running({"it": ServerSettings(command=sys.executable)}, folder=folder) as servers:
        assert not await servers.ready(timeout=15)
        assert servers.servers()[0].reason == f"its own folder `{own / 'home'}` is a link to elsewhere; take it away"


@pytest.mark.requires("bwrap")
async def test_a_server_that_misses_its_network_is_told_with_the_word_that_grants_it(hostile: Hostile) -> None:
    async with hostile() as it:
        in_force = it.in_force
    assert hint("getaddrinfo EAI_AGAIN registry", in_force) == "; it has no network unless `isolation.network = true`"
    assert "`isolation.write`" in hint("OSError: [Errno 30] Read-only file system: 'x'", in_force)
    assert "`isolation.read`" in hint("python: can't open file 'x.py': No such file or directory", in_force, ended=True)
    assert not hint("No such file or directory: 'asked-for.txt'", in_force)
    assert not hint("something else", in_force, ended=True)


def marked() -> list[psutil.Process]:
    """The processes that carry this run's mark."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if MARK in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


async def until(true: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  processes tell no event
            await asyncio.sleep(0.01)
