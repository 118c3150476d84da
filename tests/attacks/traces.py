"""Where a text lies that should lie nowhere: the files MDL keeps, and all it shows. Bytes are looked for, not told."""

import json
from collections.abc import Sequence
from pathlib import Path

from tests.attacks.life import Life
from tests.attacks.shell import mdl
from tests.attacks.words import records

_EXPLAINED = 10
"""Events, the first ones, that `mdl why` is asked about."""


class Traces:
    """What one world has left, by place. Gathered while MDL runs (`show`), and after it (`keep`)."""

    def __init__(self, life: Life, answers: Sequence[str]) -> None:
        """Nothing is gathered yet."""
        self._life, self._answers, self._left = life, answers, dict[str, list[bytes]]()

    async def show(self) -> None:
        """Have MDL show and copy all it can."""
        config, copy = self._life.place.config, self._life.place.folder / "copy.db"
        asked = [["tail", "-n", "1000"], ["status"], ["pending"]]
        events = [record.position for record in records(self._life.place.journal) if record.kind == "event"]
        asked += [["why", f"#{position}"] for position in events[:_EXPLAINED]]
        said = [await mdl(config, [*words, *form]) for words in asked for form in ([], ["--json"])]
        self._left["show"] = [(one.out + one.errors).encode() for one in said]
        await mdl(config, ["journal", "backup", str(copy)])
        exported = await mdl(config, ["journal", "export", "-"])
        bodies = [record.body for record in records(copy)] if copy.exists() else []
        self._left["backup"] = [*_files(self._life.place.folder, "copy.db*"), *bodies, exported.out.encode()]

    def keep(self) -> None:
        """Gather what lies there once MDL has stopped."""
        place = self._life.place
        self._left |= {
            "journal": [*_files(place.home / ".mdl", "**/*"), *(record.body for record in records(place.journal))],
            "prompts": _files(place.folder / "ledgers", "planner.jsonl"),
            "log": [place.log.read_bytes()],
            "trace": [],  # MDL exports no span
            "ledgers": _files(place.folder / "ledgers", "*.jsonl"),
            "answers": [answer.encode() for answer in self._answers],
        }

    def found(self, text: str, places: Sequence[str]) -> bool:
        """Whether a text lies in any of these places, as it is or JSON-escaped."""
        forms = {text.encode()} | {json.dumps(text, ensure_ascii=ascii_)[1:-1].encode() for ascii_ in (True, False)}
        return any(form in left for place in places for left in self._left[place] for form in forms)


def _files(folder: Path, glob: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob(glob)) if path.is_file()]
