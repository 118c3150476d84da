"""Who somebody is: names as they are compared, and who sits at this machine's command line. Knows no tokens."""

import os
import pwd
import unicodedata


def known_as(name: str) -> str:
    """A name so that two spellings of one person are equal: NFKC, case folded, nothing invisible, single spaces."""
    seen = (sign for sign in unicodedata.normalize("NFKC", name) if unicodedata.category(sign) != "Cf")
    return " ".join("".join(seen).casefold().split())


def os_user() -> str:
    """The user of the operating system that this process runs as; never what the environment says of it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
