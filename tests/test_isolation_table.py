"""`isolation` of a server in `mdl.toml`: read, checked, and refused where it cannot be meant."""

from pathlib import Path

import pytest

from orchestrator.errors import SettingsError
from orchestrator.isolation_table import IsolationTable
from orchestrator.settings import parse

COMMAND = '[mcpServers.it]\ncommand = "x"\n'


def test_it_is_read_with_sizes_as_people_write_them(tmp_path: Path) -> None:
    text = (
        f'{COMMAND}isolation = {{ network = true, write = ["data"], read = ["~/.aws"], memory = "1GB", file = 2000 }}'
    )
    found = parse(text, folder=tmp_path).servers["it"].isolation
    assert found == IsolationTable(network=True, write=("data",), read=("~/.aws",), memory=1_000_000_000, file=2000)


def test_without_a_word_nothing_is_granted_and_bubblewrap_is_taken_where_it_is(tmp_path: Path) -> None:
    found = parse(COMMAND, folder=tmp_path).servers["it"].isolation
    assert (found.network, found.read, found.write, found.bubblewrap) == (False, (), (), "auto")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("netwrok = true", "unknown key `mcpServers.it.isolation.netwrok`"),
        ('network = "yes"', "`mcpServers.it.isolation.network`"),
        ('bubblewrap = "on"', "`mcpServers.it.isolation.bubblewrap` is 'on'; it must be 'auto', 'require' or 'off'"),
        ('memory = "lots"', "`mcpServers.it.isolation.memory`: a size is a number of bytes, or a text such as `1MB`"),
        ('memory = "0MB"', "`mcpServers.it.isolation.memory`: Input should be greater than 0"),
        ("processes = 0", "`mcpServers.it.isolation.processes`: Input should be greater than 0"),
        ('write = "data"', "`mcpServers.it.isolation.write`"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_place(words: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(f"{COMMAND}isolation = {{ {words} }}", folder=tmp_path)
    assert problem in str(refused.value)


def test_a_module_cannot_be_isolated(tmp_path: Path) -> None:
    text = '[mcpServers.it]\nmodule = "x"\nisolation = { bubblewrap = "require" }'
    with pytest.raises(SettingsError, match=r"`mcpServers.it`: a module runs in this process and cannot have"):
        parse(text, folder=tmp_path)


def test_a_file_of_another_name_is_known_by_it(tmp_path: Path) -> None:
    assert parse("", folder=tmp_path, name="/etc/mdl/shop.toml").file == "shop.toml"
