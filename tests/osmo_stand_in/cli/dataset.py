"""`dataset …`, until 6.3: a name in a bucket, whose bytes lie in the stand-in's own store by their hashes."""

import argparse
import json
from pathlib import Path

from osmo_stand_in.cli import session
from osmo_stand_in.cli.client import Client
from osmo_stand_in.cli.errors import OsmoError
from osmo_stand_in.datasets import Datasets
from osmo_stand_in.store import Store


def upload(client: Client, args: argparse.Namespace) -> None:
    """Its folders, under their own names, as a new version."""
    _datasets(client, args.name).upload(args.name, *args.path)
    print(f"Dataset {args.name} has been uploaded")


def info(client: Client, args: argparse.Namespace) -> None:
    """Whether there is one, and of how many objects."""
    found = _datasets(client, args.words[0]).files(args.words[0])
    if not found:
        bucket, _, name = args.words[0].rpartition("/")
        told = f"Could not find dataset or collection {name.partition(':')[0]} in bucket {bucket}"
        raise OsmoError(told, status=400)
    told = {"name": args.words[0], "objects": len(found)}
    print(json.dumps(told, indent=2) if args.format_type == "json" else told)


def list(client: Client, args: argparse.Namespace) -> None:
    """All of them."""
    print(json.dumps({"datasets": [{"name": name} for name in _datasets(client).names()]}, indent=2))


def download(client: Client, args: argparse.Namespace) -> None:
    """Into a folder."""
    _datasets(client, args.words[0]).download(args.words[0], Path(args.words[1]))


def delete(client: Client, args: argparse.Namespace) -> None:
    """Marked, not deleted."""
    print(f"Dataset {args.words[0]} is marked as PENDING_DELETE")


def _datasets(client: Client, name: str = "a") -> Datasets:
    """All of them. name: one that has to be a name."""
    session.check()
    found = Datasets(Store(client.state.folder.parent / "store"))
    try:
        found.url(name)
    except ValueError:
        raise OsmoError(f"Invalid dataset name {name}.") from None
    return found
