"""What is put into a task's texts before it runs: OSMO's tokens, then Kubernetes' variables."""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

INPUTS, OUTPUT = "/osmo/data/input", "/osmo/data/output"
HOST = "pod.osmo.svc.cluster.local"
ALONE: Mapping[str, str] = MappingProxyType({})


def substituted(task: Mapping[str, Any], workflow: str, hosts: Mapping[str, str] = ALONE) -> dict[str, Any]:
    """The task with OSMO's own tokens in place: anywhere in its texts, but never inside base64.

    hosts: of the tasks of its group. The token of a task of another group stays.
    """
    values = {"workflow_id": workflow, "output": OUTPUT, f"host:{task['name']}": HOST}
    values |= {f"host:{name}": host for name, host in hosts.items()}
    for index, source in enumerate(task.get("inputs", [])):
        values[f"input:{index}"] = f"{INPUTS}/{index}"
        if "task" in source:
            values[f"input:{source['task'].rpartition(':')[2]}"] = f"{INPUTS}/{index}"
    text = json.dumps(task)
    for name, value in values.items():
        text = re.sub("{{[ ]*" + re.escape(name) + "[ ]*}}", value, text)
    made: dict[str, Any] = json.loads(text)
    return made


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """`$(NAME)` is the variable, when there is one; `$$` is a dollar."""

    def one(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return environment.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", one, text)


def environment(task: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The variables of the container. Each may name those before it."""
    made: dict[str, str] = {}
    for name, value in task.get("environment", {}).items():
        made[name] = expanded(value, made)
    for credential, keys in task.get("credentials", {}).items():
        if isinstance(keys, dict):
            made |= {name: secrets[credential][key] for name, key in keys.items()}
    made["OSMO_CONFIG_FILE_DIR"] = "/osmo/login/config"
    if not task.get("resources", {}).get("gpu"):
        made["NVIDIA_VISIBLE_DEVICES"] = ""
    return made
