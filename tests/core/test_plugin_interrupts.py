"""Ctrl-C while a plugin hangs: the command ends at once and names the plugin."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from broken_plugins import mars

pytestmark = pytest.mark.slow
ON_MARS = ("submit", "--platform", "mars", "--dataset-path", "x")


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (mars("preflight", "open('on', 'w').close()\ntime.sleep(600)\nreturn ()"), "preflight"),
        ("import time\nopen('on', 'w').close()\ntime.sleep(600)\n", "loading"),
    ],
    ids=["preflight", "import"],
)
def test_ctrl_c_while_a_plugin_hangs(command, install, source, what):
    site = install("acme-mars", {"platform.mars": "acme_mars"}, version="0.3", acme_mars=source)
    process = subprocess.Popen(
        [*command, *ON_MARS], env=os.environ | {"PYTHONPATH": str(site)}, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while not Path("on").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.strip() == f"interrupted while {what} of platform mars (acme-mars 0.3) was waited for"
