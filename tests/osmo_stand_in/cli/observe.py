"""`workflow query`, `list`, `logs`, `events`, `spec` and `cancel`."""

import argparse
from typing import Any

from osmo_stand_in.cli.client import Client, print_answer
from osmo_stand_in.cli.errors import CredentialError, OsmoError, SubmissionError
from osmo_stand_in.service import journal

BROKEN = "stream has timed out or failed. Please run the command again to continue viewing"


def query(client: Client, args: argparse.Namespace) -> None:
    """One workflow."""
    print_answer(args, client.request("GET", f"api/workflow/{args.workflow_id}", {"verbose": args.verbose}))


def many(client: Client, args: argparse.Namespace) -> None:
    """The last ones, the latest at the bottom; in pieces of a thousand."""
    params = {"order": "DESC", **({"name": args.name} if args.name else {})}
    found: list[dict[str, Any]] = []
    while len(found) < args.count:
        limit = min(args.count - len(found), 1000)
        page = client.request("GET", "api/workflow", {**params, "limit": limit, "offset": args.offset + len(found)})
        found += page["workflows"]
        if not page["more_entries"]:
            break
    if args.order == "asc":
        found.reverse()
    print_answer(args, {"workflows": found})


def logs(client: Client, args: argparse.Namespace) -> None:
    """To the end of the workflow, also with -n."""
    _stream(client, args, "logs")


def events(client: Client, args: argparse.Namespace) -> None:
    """What Kubernetes said about its pods."""
    _stream(client, args, "events")


def _stream(client: Client, args: argparse.Namespace, kind: str) -> None:
    given = {"task_name": args.task, "last_n_lines": getattr(args, "last_n_lines", None)}
    params = {name: value for name, value in given.items() if value}
    answer = client.request("GET", f"api/workflow/{args.workflow_id}/{kind}", params, streams=True)
    print(f"Workflow {args.workflow_id} has {kind}:", flush=True)
    if isinstance(answer, str):
        print(answer)
        return
    for line in journal.stream(client.state, answer["workflow"], params, kind):
        print(line, flush=True)
        if client.meets("broken"):
            break
    if client.meets("broken"):
        print(f"\n{'Event' if kind == 'events' else 'Log'} {BROKEN} {kind}.")


def spec(client: Client, args: argparse.Namespace) -> None:
    """The text that was kept."""
    print(client.request("GET", f"api/workflow/{args.workflow_id}/spec", streams=True))


def cancel(client: Client, args: argparse.Namespace) -> None:
    """One after the other; that one could not be cancelled is printed, and no failure."""
    params = {"force": args.force, **({"message": args.message} if args.message else {})}
    for name in args.workflow_ids:
        try:
            result = client.request("POST", f"api/workflow/{name}/cancel", params)
        except (SubmissionError, CredentialError):
            raise
        except OsmoError as error:
            print(f"Workflow cancelation failed for workflow {name}: {error.message}")
            continue
        print_answer(args, result)
