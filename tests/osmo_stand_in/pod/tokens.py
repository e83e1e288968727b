"""What is put into a task's texts before it runs: OSMO's tokens, then Kubernetes' variables."""

import json
import re
from collections.abc import Mapping
from typing import Any

INPUTS, OUTPUT = "/osmo/data/input", "/osmo/data/output"


def substituted(task: Mapping[str, Any], workflow: str, hosts: Mapping[str, str]) -> dict[str, Any]:
    """The task with OSMO's own tokens in place: anywhere in its texts, but never inside base64.

    hosts: of the tasks of its group. The token of a task of another group stays.
    """
    values = {"workflow_id": workflow, "output": OUTPUT, **{f"host:{name}": host for name, host in hosts.items()}}
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
    names = r"\$\$|\$\(([^)]*)\)"
    return re.sub(names, lambda match: "$" if match[0] == "$$" else environment.get(match[1], match[0]), text)


def environment(task: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The variables of the container. Each may name those before it."""
    made: dict[str, str] = {}
    for name, value in task.get("environment", {}).items():
        made[name] = expanded(value, made)
    for credential, keys in task.get("credentials", {}).items():
        if isinstance(keys, dict):
            made |= {name: secrets[credential][key] for name, key in keys.items()}
    made["OSMO_CONFIG_FILE_DIR"] = "/osmo/login/config"
    return made
