"""Lets atheris loose on one target, in this process: `python -m tests.fuzz.one NAME --seconds 60`. `run.py` starts it.

A finding ends it; its input is kept in `.fuzz/`, and `python -m tests.fuzz.one NAME FILE` tries it again.
"""

import argparse
import logging
import sys
from pathlib import Path

import atheris

from tests.fuzz.targets import TARGETS

KEPT = Path(".fuzz")


def main() -> None:
    """Run for so many seconds from what earlier runs have kept, or try one input again."""
    parser = argparse.ArgumentParser(description="Fuzz one target.")
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("input", nargs="?", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    target = TARGETS[options.target]
    logging.disable()  # what is told of bad input, a million times
    with atheris.instrument_imports(include=list(target.modules)):
        one = target.load()
    if options.input is not None:
        one(options.input.read_bytes())
        return
    corpus = KEPT / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    limits = [
        f"-max_total_time={options.seconds}",
        "-max_len=1024",
        "-len_control=0",
        "-timeout=30",
        "-rss_limit_mb=2048",
    ]
    said = [f"-artifact_prefix={KEPT}/{target.name}-", "-print_final_stats=1", "-verbosity=1", str(corpus)]
    atheris.Setup([sys.argv[0], *limits, *said], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
