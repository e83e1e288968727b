"""`dataset info`, until 6.3: a name in a bucket, whose bytes lie in the stand-in's own store by their hashes."""

import argparse
import json

from osmo_stand_in.cli import session
from osmo_stand_in.cli.client import Client
from osmo_stand_in.cli.errors import OsmoError
from osmo_stand_in.datasets import Datasets
from osmo_stand_in.store import Store


def info(client: Client, args: argparse.Namespace) -> None:
    """Whether there is one, and of how many objects."""
    session.check()
    try:
        found = Datasets(Store(client.state.folder.parent / "store")).files(args.name)
    except ValueError:
        raise OsmoError(f"Invalid dataset name {args.name}.") from None
    if not found:
        bucket, _, name = args.name.rpartition("/")
        told = f"Could not find dataset or collection {name.partition(':')[0]} in bucket {bucket}"
        raise OsmoError(told, status=400)
    told = {"name": args.name, "objects": len(found)}
    print(json.dumps(told, indent=2) if args.format_type == "json" else told)
