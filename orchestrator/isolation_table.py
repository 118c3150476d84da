"""`isolation` of `[mcpServers.NAME]`: what a server that is a command may reach. Says it, and isolates nothing."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from orchestrator.sizes import Size


class IsolationTable(BaseModel):
    """What a server is granted besides its own folder, and its limits. Left out: no network, and nothing else to write.

    Paths begin at the folder of `mdl.toml`; grants of the network and of paths hold where bubblewrap is in force.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bubblewrap: Literal["auto", "require", "off"] = "auto"
    """`auto`: where it is usable; `require`: without it the server is down; `off`: the server is let be."""
    network: StrictBool = False
    """The machine's own network, loopback and all."""
    read: tuple[str, ...] = ()
    """What is hidden without it, such as `~/.aws` or something below `/tmp`."""
    write: tuple[str, ...] = ()
    """Folders; one that is missing is made."""
    memory: Annotated[Size, Field(gt=0)] = 4_000_000_000
    """Bytes that each of its processes may hold."""
    file: Annotated[Size, Field(gt=0)] = 4_000_000_000
    """Bytes of the largest file it may write."""
    processes: int = Field(default=512, gt=0)
    """Processes and threads at once; only where bubblewrap is in force, since the system counts them by user."""
