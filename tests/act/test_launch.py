"""The moment before a server is itself, by itself."""

import resource
import subprocess
import sys

from orchestrator.act import launch


def launched(*words: str, before: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    command = [*before, sys.executable, "-I", "-S", launch.__file__, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)


def python(code: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-I", "-S", "-c", code)


def test_a_server_hears_sigterm_also_where_bubblewrap_was_made_deaf_to_it() -> None:
    deaf = ("/bin/sh", "-c", 'trap "" TERM; exec "$@"', "sh")
    done = launched(*python("import signal; print(signal.getsignal(signal.SIGTERM).name)"), before=deaf)
    assert done.stdout == "SIG_DFL\n"


def test_a_limit_above_the_one_in_force_changes_nothing() -> None:
    lower = ("/bin/sh", "-c", 'ulimit -n 50; exec "$@"', "sh")
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    assert launched("open=60", *python(code), before=lower).stdout == "(50, 50)\n"
    assert launched("open=40", *python(code), before=lower).stdout == "(40, 40)\n"
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 60


def test_a_command_that_is_not_there_is_said_in_one_line() -> None:
    done = launched("core=0", "--", "no-such-command-anywhere")
    assert done.returncode == 1
    assert done.stderr.startswith("`no-such-command-anywhere` cannot be started where this server runs: ")
    assert done.stderr.count("\n") == 1
