"""Backbones of a run on this machine: fetched beside the policy that names them, from the commits of the submit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn

pytestmark = pytest.mark.slow  # builds the environment that data is fetched in

PLUGIN_FOLDER = Path(__file__).parent / "container_plugins"
WORKLOAD = """
from dataclasses import dataclass
from robotrain.plugin import Role, Workload, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
    pass

@hook
def robotrain_workloads():
    roles = {"policy": Role(), "backbone": Role(many=True)}
    return [Workload(name="arm", summary="", parameters=Parameters, roles=roles, container_plugin="arm_work.container",
                     implies_sources=lambda job: True)]
"""
WEIGHTS = os.urandom(5000)
VLM = {"config.json": b"{}", "tokenizer.model": b"words" * 500, "model.safetensors": WEIGHTS}


def test_a_run_fetches_the_files_that_it_needs_of_each_backbone(install, command, tmp_path):
    site = install("acme-arm", {"workload.arm": "acme_arm"}, acme_arm=WORKLOAD)
    with HubStandIn() as hub:
        hub.repository("lab/arm", {"config.json": json.dumps({"names": ["org/vlm", "org/bart"]}).encode()})
        commit = hub.repository("org/vlm", VLM)
        hub.repository("org/bart", {"config.json": b"{}", "tokenizer.json": b"{}", "notes.txt": b"x"})
        environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(PLUGIN_FOLDER)])}
        environ |= {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1,localhost"}

        def submit(*words: str) -> dict[str, list[str]]:
            line = (*command, "submit", "arm", "--platform", "local", "--environment", sys.prefix, "--new", "--wait")
            line += ("--tracking-uri", "none", "--policy-repo-id", "lab/arm", *words)
            done = subprocess.run(line, env=environ, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            logs = (*command, "logs", done.stdout.splitlines()[0])
            log = subprocess.run(logs, env=environ, capture_output=True, text=True, check=True).stdout
            (received,) = (line.partition("given: ")[2] for line in log.splitlines() if "given: " in line)
            return json.loads(received)

        assert submit() == {
            "lab/arm": ["config.json"],
            "org/vlm": ["config.json", "tokenizer.model"],
            "org/bart": ["config.json", "tokenizer.json"],
        }
        assert not [request for request in hub.requests if "model.safetensors" in request or "notes.txt" in request]
        hub.repositories["models/org/vlm"].branches["main"] = commit
        hub.requests.clear()
        assert submit()["org/vlm"] == ["config.json", "tokenizer.model"]
        assert not [request for request in hub.requests if "/org/" in request and "/resolve/" in request], "cached"
        copy = tmp_path / "org/vlm"
        copy.mkdir(parents=True)
        for name, content in VLM.items():
            (copy / name).write_bytes(content)
        assert submit("--backbone-path", str(copy))[str(copy)] == sorted(VLM), "a folder is read in place"
