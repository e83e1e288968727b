"""The commands `version`, `pool`, `resource` and `profile`."""

import argparse
import json
from typing import Any

from osmo_stand_in.cli.client import Client
from osmo_stand_in.cli.errors import CredentialError, OsmoError, ServerError, SubmissionError, Unreachable


def version(client: Client, args: argparse.Namespace) -> None:
    """Without the service's when it cannot be had."""
    result: dict[str, str] = {}
    try:
        result = client.request("GET", "api/version", versioned=False)
    except (CredentialError, ServerError, SubmissionError):
        raise
    except (Unreachable, OsmoError):
        pass
    major, minor, revision = client.version.split(".")
    own = {"major": major, "minor": minor, "revision": revision, "hash": ""}
    if args.format_type == "json":
        print(json.dumps({"client": own, **({"service": result} if result else {})}, indent=2))
        return
    print(f"OSMO client version:  {client.version}")
    if result:
        print(f"OSMO service version: {result['major']}.{result['minor']}.{result['revision']}")


def pools(client: Client, args: argparse.Namespace) -> None:
    """With their use; those that do not exist are left out, silently."""
    params: dict[str, Any] = {"pools": args.pool, "all_pools": not args.pool}
    result = client.request("GET", "api/pool_quota", params)
    if args.format_type == "json":
        print(json.dumps(result, indent=2))
        return
    found = [pool for one in result["node_sets"] for pool in one["pools"]]
    if not found:
        print(f"Pools {', '.join(args.pool)} not found" if args.pool else "No pools available")
    for pool in found:
        print(f"{pool['name']}  {pool['description']}  {pool['status']}  {pool['resource_usage']['quota_used']}")


def resources(client: Client, args: argparse.Namespace) -> None:
    """The machines of pools, which must exist."""
    from osmo_stand_in.cli.submit import default_pool

    pools = args.pool or [default_pool(client)]
    there = client.request("GET", "api/pool", {"all_pools": True})["pools"]
    for name in pools:
        if name not in there:
            raise OsmoError(f"Pool {name} does not exist!")
    params: dict[str, Any] = {"pools": pools, "all_pools": args.all}
    result = client.request(
        "GET", "api/resources", {**params, **({"platforms": args.platform} if args.platform else {})}
    )
    if args.format_type == "json":
        print(json.dumps(result, indent=2))
        return
    for one in result["resources"]:
        print("  ".join(str(value) for value in one["exposed_fields"].values()))
    if not result["resources"]:
        print("There are no available resources.")


def profile(client: Client, args: argparse.Namespace) -> None:
    """As the service has it."""
    print(json.dumps(client.request("GET", "api/profile/settings"), indent=2))


def undone(client: Client, args: argparse.Namespace) -> int:
    """A module that exists, and that the stand-in does not stand in for."""
    raise NotImplementedError(f"the stand-in for osmo has no `osmo {args.module}`")
