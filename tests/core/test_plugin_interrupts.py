"""Ctrl-C while a plugin hangs: the command ends at once."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from plugin_sources import make_platform

pytestmark = pytest.mark.slow
ON_PLAIN = ("submit", "--platform", "plain", "--dataset-path", "x")


@pytest.mark.parametrize(
    "source",
    [
        make_platform("preflight", "open('on', 'w').close()\ntime.sleep(600)\nreturn ()"),
        "import time\nopen('on', 'w').close()\ntime.sleep(600)\n",
    ],
    ids=["preflight", "import"],
)
def test_ctrl_c_while_a_plugin_hangs(command, install, source):
    site = install("acme-plain", {"platform.plain": "acme_plain"}, version="0.3", acme_plain=source)
    process = subprocess.Popen(
        [*command, *ON_PLAIN], env=os.environ | {"PYTHONPATH": str(site)}, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while not Path("on").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "interrupted"
    assert "Traceback" not in stderr
