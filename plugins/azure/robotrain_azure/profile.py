"""The Azure CLI's profile: which subscription is meant when nobody says one. Read where it lies; `az` is not run."""

import json
import os
from pathlib import Path
from typing import Any

FILE = "azureProfile.json"


def default_subscription() -> tuple[str, str] | None:
    """The id of the default subscription, and where it stood; None when nobody is signed in to the CLI."""
    said = os.environ.get("AZURE_CONFIG_DIR")
    file = (Path(said) if said else Path.home() / ".azure") / FILE
    found = next((one for one in _subscriptions(file) if one.get("isDefault") and one.get("state") == "Enabled"), {})
    name = found.get("id")
    return (name, f"az account ({_shown(file)})") if isinstance(name, str) and name else None


def _subscriptions(file: Path) -> list[dict[str, Any]]:
    """Those of the profile; none when it is not there or holds something else."""
    try:
        said = json.loads(file.read_text(encoding="utf-8-sig"))  # the CLI writes a byte order mark
    except (OSError, ValueError):
        return []
    listed = said.get("subscriptions") if isinstance(said, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _shown(file: Path) -> str:
    home = str(Path.home())
    return f"~{str(file)[len(home) :]}" if str(file).startswith(home + os.sep) else str(file)
