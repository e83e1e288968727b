"""`workflow submit`: the client side, before the service has the workflow."""

import argparse
from pathlib import Path
from typing import Any

from osmo_stand_in.cli.client import Client, print_answer
from osmo_stand_in.cli.errors import CredentialError, OsmoError, SubmissionError
from osmo_stand_in.service import submission as service
from osmo_stand_in.service import template

NO_POOL = (
    'No default pool set. Set a default pool using "osmo profile set pool <profile_name>" '
    "or specify a pool using --pool or -p."
)


def submit(client: Client, args: argparse.Namespace) -> None:
    """Post the workflow: once, or twice if it is a template, which is rendered by the first request."""
    import yaml

    if not (pool := args.pool):
        raise OsmoError(NO_POOL)
    params: dict[str, Any] = {"priority": args.priority} if args.priority else {}
    text = Path(args.workflow_file).read_text(encoding="utf-8")
    body: dict[str, Any] = {"file": text, "uploaded_templated_spec": None}
    if template.templated(text, client.numbers):
        rendered = client.request("POST", f"api/pool/{pool}/workflow", {**params, "dry_run": True}, body)
        body |= {"file": rendered["spec"], "uploaded_templated_spec": text}
    body["file"] = service.written(yaml.load(body["file"], Loader=service.loader()))
    try:
        print_answer(args, client.request("POST", f"api/pool/{pool}/workflow", params, body))
    except (CredentialError, SubmissionError) as error:
        whose = f"{error.workflow} " if error.workflow is not None else ""
        raise SubmissionError(f"Workflow {whose}submit failed:\n{error.message}", error.workflow) from error
