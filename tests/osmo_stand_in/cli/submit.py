"""`workflow submit`: the client side, before the service has the workflow."""

import argparse
import json
from pathlib import Path
from typing import Any

from osmo_stand_in.cli.client import Client
from osmo_stand_in.cli.errors import CredentialError, OsmoError, SubmissionError
from osmo_stand_in.service import raw
from osmo_stand_in.service import submission as service

NO_POOL = (
    'No default pool set. Set a default pool using "osmo profile set pool <profile_name>" '
    "or specify a pool using --pool or -p."
)


def submit(client: Client, args: argparse.Namespace) -> None:
    """Post the workflow: once, or twice if it is a template, which is rendered by the first request."""
    import yaml

    pool = args.pool or default_pool(client)
    params: dict[str, Any] = {"priority": args.priority} if args.priority else {}
    text = Path(args.workflow_file).read_text(encoding="utf-8")
    body: dict[str, Any] = {"file": text, "uploaded_templated_spec": None}
    if raw.templated(text, client.numbers):
        rendered = client.request("POST", f"api/pool/{pool}/workflow", {**params, "dry_run": True}, body)
        body |= {"file": rendered["spec"], "uploaded_templated_spec": text}
    body["file"] = service.written(yaml.load(body["file"], Loader=service.loader()))
    _tell(args, _posted(client, f"api/pool/{pool}/workflow", params, body))


def default_pool(client: Client) -> str:
    """The pool of the user's profile; never the only one, as the command means to."""
    pool: str | None = client.request("GET", "api/profile/settings")["profile"]["pool"]
    if not pool:
        raise OsmoError(NO_POOL)
    return pool


def _posted(client: Client, path: str, params: dict[str, Any], body: Any) -> Any:
    try:
        return client.request("POST", path, params, body)
    except (CredentialError, SubmissionError) as error:
        whose = f"{error.workflow} " if error.workflow is not None else ""
        raise SubmissionError(f"Workflow {whose}submit failed:\n{error.message}", error.workflow) from error


def _tell(args: argparse.Namespace, result: dict[str, Any]) -> None:
    if args.format_type == "json":
        print(json.dumps(result, indent=2))
        return
    print("Workflow submit successful.")
    print(f"Workflow ID        - {result['name']}\nWorkflow Overview  - {result['overview']}")
    if args.priority == "LOW":
        print("\nWARNING: LOW priority can be preempted during the run.")
