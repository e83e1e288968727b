"""The commands about the service itself: `version`, `pool`, `resource`, `profile`, `credential` and `config`."""

import argparse
import json
from typing import Any

from osmo_stand_in.cli.client import Client, print_answer
from osmo_stand_in.cli.errors import CredentialError, OsmoError, ServerError, SubmissionError, Unreachable

CONFIGS = (
    *("BACKEND", "BACKEND_TEST", "GROUP_TEMPLATE", "POD_TEMPLATE", "POOL", "RESOURCE_VALIDATION", "ROLE", "SERVICE"),
    "WORKFLOW",
)


def version(client: Client, args: argparse.Namespace) -> None:
    """Print the versions, without the service's if it cannot be had."""
    result: dict[str, str] = {}
    try:
        result = client.request("GET", "api/version", versioned=False)
    except (CredentialError, ServerError, SubmissionError):
        raise
    except (Unreachable, OsmoError):
        pass
    major, minor, revision = client.version.split(".")
    own = {"major": major, "minor": minor, "revision": revision, "hash": ""}
    print_answer(args, {"client": own, **({"service": result} if result else {})})


def pools(client: Client, args: argparse.Namespace) -> None:
    """Print the pools with their use."""
    print_answer(args, client.request("GET", "api/pool_quota"))


def resources(client: Client, args: argparse.Namespace) -> None:
    """Print the machines of pools, which must exist."""
    there = client.request("GET", "api/pool")["pools"]
    for name in args.pool:
        if name not in there:
            raise OsmoError(f"Pool {name} does not exist!")
    print_answer(args, client.request("GET", "api/resources", {"pools": args.pool}))


def profile(client: Client, args: argparse.Namespace) -> None:
    """Print the profile; JSON in either format."""
    print(json.dumps(client.request("GET", "api/profile/settings"), indent=2))


def credentials(client: Client, args: argparse.Namespace) -> None:
    """Print the names of credentials, never their values."""
    print_answer(args, client.request("GET", "api/credentials"))


def config(client: Client, args: argparse.Namespace) -> None:
    """Print a configuration, as administrators see it, or what lies under the names; JSON in either format."""
    if args.config not in CONFIGS:
        raise OsmoError(f'Invalid config type "{args.config}". Available types: {", ".join(CONFIGS)}')
    data: Any = client.request("GET", f"api/configs/{args.config.lower()}")
    for name in args.names:
        if not isinstance(data, dict) or name not in data:
            raise OsmoError(f'Cannot index into {type(data).__name__} with "{name}"')
        data = data[name]
    print(json.dumps(data, indent=2))
