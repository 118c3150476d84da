"""No MCP server at all: it reads nothing, says nothing, and stays."""

import sys
import time

sys.stderr.write("still thinking\n")
sys.stderr.flush()
while True:
    time.sleep(1)
