"""`data …` and, until 6.3, `dataset info`: straight to the object store, with what this machine may do there."""

import argparse
import sys
from pathlib import Path

from osmo_stand_in import config
from osmo_stand_in.cli import session
from osmo_stand_in.cli.client import Client, print_answer
from osmo_stand_in.cli.errors import OsmoError
from osmo_stand_in.datasets import Datasets
from osmo_stand_in.store import Store

NOBODY = "Unable to locate credentials"
NO_LINE = "ServiceRequestError: Failed to establish a new connection: [Errno 111] Connection refused"


class NoCredentialsError(Exception):
    """Nobody may look."""


def upload(client: Client, args: argparse.Namespace) -> None:
    """What could not be uploaded is told on stderr, file by file, and is no failure: exit 0."""
    store, denied = _store(client), _denied(client)
    share = _share(client, denied)
    failed = [result for path in args.local_path for result in store.upload(args.remote_uri, path, args.regex, share)]
    _told("uploaded", "Upload Failed on files:", failed)


def download(client: Client, args: argparse.Namespace) -> None:
    """Nothing there is no failure; neither is a file that broke off."""
    store, denied = _store(client), _denied(client)
    if denied:
        raise OsmoError(f"Error downloading data: Error running multi-process job: {denied}")
    place = store.place(args.remote_uri)
    if not store.keys(place):
        print(f"No entries found for prefix {place.prefix}.", file=sys.stderr)
    failed = store.download(args.remote_uri, Path(args.local_path), args.regex, share=_share(client, denied))
    _told("downloaded", "Download Failed on files:", failed)


def listing(client: Client, args: argparse.Namespace) -> None:
    """Whole keys; those at one level, unless it is recursive."""
    store = _store(client)
    if denied := _denied(client):
        raise OsmoError(denied)
    place = store.place(args.remote_uri)
    found = store.keys(place)
    if not args.recursive and found != [place.prefix]:
        base = f"{place.prefix}/" if place.prefix else ""
        found = sorted({base + _level(key.removeprefix(base)) for key in found})
    if not found:
        print(f"No entries found for prefix {place.prefix}.", file=sys.stderr)
    sys.stdout.write("".join(f"{key}\n" for key in found))
    print(f"\nTotal {len(found)} objects found")


def info(client: Client, args: argparse.Namespace) -> None:
    """Print of how many objects a dataset of a bucket is."""
    session.check()
    try:
        found = Datasets(Store(client.state.folder.parent / "store")).files(args.name)
    except ValueError:
        raise OsmoError(f"Invalid dataset name {args.name}.") from None
    if not found:
        bucket, _, name = args.name.rpartition("/")
        text = f"Could not find dataset or collection {name.partition(':')[0]} in bucket {bucket}"
        raise OsmoError(text, status=400)
    print_answer(args, {"name": args.name, "objects": len(found)})


def _level(name: str) -> str:
    first, slash, _ = name.partition("/")
    return first + slash


def _store(client: Client) -> Store:
    """The store. Raises NoCredentialsError, which the command does not expect: a traceback, exit 2."""
    if not config.read(client.state)["data_access"]:
        raise NoCredentialsError(NOBODY)
    return Store(client.state.folder.parent / "store")


def _denied(client: Client) -> str:
    """Why the store refuses this user, or cannot be reached; empty when it does neither."""
    if client.fault and client.fault.form in ("refused", "server_error", "http", "too_many", "html"):
        return NO_LINE
    return str(config.read(client.state).get("data_denied", ""))


def _share(client: Client, denied: str) -> float:
    return 0.0 if denied else 0.5 if client.meets("broken") else 1.0


def _told(done: str, title: str, failed: list[str]) -> None:
    """A bar, with ANSI, as tqdm draws it; then the rest. All on stderr."""
    print("\x1b[A\r100%|██████████| 1.0/1.0 [00:00<00:00]\x1b[K", file=sys.stderr)
    print(f"Data has been {done}", file=sys.stderr)
    if failed:
        print("\n".join((title, *failed)), file=sys.stderr)
