"""`credential set`, `list` and `delete`."""

import argparse
import json
from pathlib import Path

from osmo_stand_in.cli import session
from osmo_stand_in.cli.client import Client
from osmo_stand_in.cli.errors import OsmoError

KEYS = ("access_key_id", "access_key", "endpoint", "region", "override_url", "addressing_style")
CONFIG = "config.yaml"


def put(client: Client, args: argparse.Namespace) -> int:
    """Set one. Values come from the command line, or from files."""
    payload: dict[str, str] = {}
    for item in args.payload or args.payload_file:
        name, separator, value = item.partition("=")
        if not separator:
            print("Error: Invalid payload format. Please use key=value pairs.")
            return 1
        if not name or not value:
            print("Error: Please provide non-empty keys and values.")
            return 1
        if not args.payload:
            if not Path(value).exists():
                print(f"File {value} cannot be found.")
                return 1
            value = Path(value).read_text().rstrip("\r\n")
        payload[name] = value
    if args.type == "DATA" and (payload.keys() - KEYS or not payload.keys() >= set(KEYS[:3])):
        raise OsmoError(f"Invalid DATA credential: wrong keys: {', '.join(payload)}")
    body = {f"{args.type.lower()}_credential": {"credential": payload} if args.type == "GENERIC" else payload}
    result = client.request("POST", f"api/credentials/{args.name}", body=body)
    print(json.dumps(result, indent=2) if args.format_type == "json" else f"Set {args.type} credential {args.name}.")
    if args.type == "DATA":
        _keep_here(payload)
    return 0


def many(client: Client, args: argparse.Namespace) -> None:
    """Their names, never their values."""
    result = client.request("GET", "api/credentials")
    if args.format_type == "json":
        print(json.dumps(result, indent=2))
        return
    for one in result["credentials"]:
        print(f"{one['cred_name']}  {one['cred_type']}  {one['profile'] or '-'}")


def delete(client: Client, args: argparse.Namespace) -> None:
    """Forget one."""
    client.request("DELETE", f"api/credentials/{args.name}")
    print(f"Deleted credential {args.name}.")


def _keep_here(payload: dict[str, str]) -> None:
    """In plain text, in the user's own folder: as the command does."""
    file = session.folder() / CONFIG
    there = json.loads(file.read_text()) if file.exists() else {"auth": {"data": {}}}
    there["auth"]["data"][payload["endpoint"].rstrip("/")] = {**payload, "endpoint": payload["endpoint"].rstrip("/")}
    file.write_text(json.dumps(there))
    file.chmod(0o600)
