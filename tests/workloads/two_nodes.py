"""Two nodes on this machine: a command that starts a program twice, as srun does, and ends all when one fails."""

import sys

LAUNCHER = """
import subprocess, sys
nodes = [subprocess.Popen(sys.argv[1:]) for _ in range(2)]
while all(node.poll() is None for node in nodes):
    try:
        nodes[0].wait(0.1)
    except subprocess.TimeoutExpired:
        pass
for node in nodes:
    if any(one.poll() for one in nodes):
        node.terminate()
    node.wait()
sys.exit(max(abs(node.returncode) for node in nodes))
"""
NODE_LAUNCHER = (sys.executable, "-c", LAUNCHER)
