"""The actions of a module in `modules/` as a server on stdio: `actions.py doubtful`."""

import sys
from pathlib import Path

from orchestrator.act.modules import load
from orchestrator.settings import ServerSettings

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "modules"))
load(sys.argv[1], ServerSettings(module=sys.argv[1]), folder=HERE).run()
