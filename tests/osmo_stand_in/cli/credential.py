"""`credential list`."""

import argparse
import json

from osmo_stand_in.cli.client import Client


def many(client: Client, args: argparse.Namespace) -> None:
    """Their names, never their values."""
    result = client.request("GET", "api/credentials")
    if args.format_type == "json":
        print(json.dumps(result, indent=2))
        return
    for one in result["credentials"]:
        print(f"{one['cred_name']}  {one['cred_type']}  {one['profile'] or '-'}")
