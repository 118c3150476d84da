"""What a start costs: `import orchestrator` loads the loop's words and no vendor."""

import subprocess
import sys

import pytest

VENDORS = {"chromadb", "httpx", "litellm", "mcp", "numpy", "openai", "prometheus_client"}


@pytest.mark.promise("light:import")
def test_importing_the_loop_loads_no_vendor() -> None:
    show = "import orchestrator, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "orchestrator" in loaded
    assert not VENDORS & loaded
