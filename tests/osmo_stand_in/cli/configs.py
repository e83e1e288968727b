"""The service's configuration, as its administrators see it: of workflows."""

import argparse
import json
from typing import Any

from osmo_stand_in.cli.client import Client
from osmo_stand_in.cli.errors import OsmoError

TYPES = ("BACKEND", "BACKEND_TEST", "GROUP_TEMPLATE", "POD_TEMPLATE", "POOL", "RESOURCE_VALIDATION", "ROLE", "SERVICE")


def show(client: Client, args: argparse.Namespace) -> None:
    """All of it, or what lies under the names; JSON either way."""
    if args.config not in ("WORKFLOW", *TYPES):
        raise OsmoError(f'Invalid config type "{args.config}". Available types: {", ".join(TYPES)}, WORKFLOW')
    data: Any = client.request("GET", f"api/configs/{args.config.lower()}")
    for name in args.names:
        if not isinstance(data, dict) or name not in data:
            raise OsmoError(f'Cannot index into {type(data).__name__} with "{name}"')
        data = data[name]
    print(json.dumps(data, indent=2))
