"""Settings for `robotrain init`: what OSMO and the Azure CLI of this machine are configured with."""

import os
from pathlib import Path

from robotrain.cluster.answers import as_mapping
from robotrain.cluster.settings import read_configured_settings
from robotrain.model.platform import PlatformDefault
from robotrain_azure.settings import suggest_workspace_settings

from robotrain_osmo.client import service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.settings import OsmoSettings

SUGGEST_SECONDS = 10.0
"""For each of at most two queries."""
LOGIN_FILE = "login.yaml"


def suggest_settings() -> dict[str, PlatformDefault]:
    """Return the pool and its platform, if one is the default or the only one, and a workspace that is complete."""
    defaults = {"pool": PlatformDefault("", ""), "gpu_platform": PlatformDefault("", "")}
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    config = os.environ.get("OSMO_CONFIG_FILE_DIR") or Path(config, "osmo")  # where `osmo` keeps the sign-in
    if Path(config, LOGIN_FILE).is_file():
        defaults |= _query_pool(read_configured_settings(OsmoSettings, "osmo").osmo_cli)
    of_workspace = suggest_workspace_settings()
    return defaults | (of_workspace if all(setting.value for setting in of_workspace.values()) else {})


def _query_pool(cli: str) -> dict[str, PlatformDefault]:
    """Return the user's pool from the service; empty values if it does not answer or several pools are possible."""
    try:
        pools = {pool.name: pool for pool in service.list_pools(cli, SUGGEST_SECONDS)}
        answer = service.query_json(cli, "profile", "list", "-t", "json", seconds=SUGGEST_SECONDS)
    except CommandFailed as error:
        return {"pool": PlatformDefault("", f"OSMO does not answer: {error.failure.title}")}
    default = as_mapping(as_mapping(answer).get("profile")).get("pool")
    name = default if default in pools else next(iter(pools)) if len(pools) == 1 else None
    if name is None:
        return {"pool": PlatformDefault("", f"one of {', '.join(sorted(pools)) or 'none: you have access to no pool'}")}
    machines = sorted(pools[name].platforms)
    reason = "the default pool of your OSMO profile" if default else "your only pool"
    platform = PlatformDefault("", f"one of {', '.join(machines)}" if machines else "")
    if len(machines) == 1:
        platform = PlatformDefault(machines[0], "its only platform")
    return {"pool": PlatformDefault(name, reason), "gpu_platform": platform}
