"""The workspace that the Azure CLI of this machine is configured with, for `robotrain init`. Only files are read."""

import configparser
import contextlib
import os
from pathlib import Path

from robotrain.model.platform import PlatformDefault

from robotrain_azure import workspace

DEFAULTS = {"resource_group": "group", "workspace_name": "workspace"}
"""The setting, and its name in `az configure --defaults`."""


def suggest_workspace_settings() -> dict[str, PlatformDefault]:
    """Return the settings of the workspace; one that is not configured has no value."""
    file = Path(os.environ.get("AZURE_CONFIG_DIR") or Path.home() / ".azure") / "config"
    config = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(OSError, ValueError, configparser.Error):
        config.read(file, encoding="utf-8-sig")
    found = {"subscription_id": PlatformDefault(*(workspace.find_default_subscription() or ("", "")))}
    for setting, name in DEFAULTS.items():
        value = config.get("defaults", name, fallback="").strip()
        found[setting] = PlatformDefault(value, "az configure --defaults" if value else "")
    return found
