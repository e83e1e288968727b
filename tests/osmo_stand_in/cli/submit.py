"""`workflow submit`, `validate` and `restart`: the client side, before the service has the workflow."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from osmo_stand_in.cli.client import Client
from osmo_stand_in.cli.errors import CredentialError, OsmoError, SubmissionError
from osmo_stand_in.service import raw, rules
from osmo_stand_in.service import submission as service

NO_POOL = (
    'No default pool set. Set a default pool using "osmo profile set pool <profile_name>" '
    "or specify a pool using --pool or -p."
)


def submit(client: Client, args: argparse.Namespace) -> None:
    """Once, or twice when it is a template: the first time to have it rendered."""
    pool = args.pool or default_pool(client)
    params: dict[str, Any] = {"priority": args.priority} if args.priority else {}
    if args.labels:
        params["label"] = args.labels
    try:
        text = Path(args.workflow_file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        _by_id(client, args, pool, params, error)
        return
    body = _body(text, args)
    templated = raw.templated(text, client.numbers)
    rendered = None
    if templated or args.dry:
        rendered = client.request("POST", f"api/pool/{pool}/workflow", {**params, "dry_run": True}, body)
        if args.dry:
            print(rendered["spec"])
            return
    if args.set_env:
        params["env_vars"] = args.set_env
    if templated:
        body["uploaded_templated_spec"] = text
    body["file"] = _inlined(rendered["spec"] if templated and rendered else text, args.workflow_file)
    _tell(args, _posted(client, f"api/pool/{pool}/workflow", params, body), "Workflow submit successful.")


def validate(client: Client, args: argparse.Namespace) -> None:
    """The same, without submitting it: but a failure is kept as a failed submission."""
    pool = args.pool or default_pool(client)
    try:
        text = Path(args.workflow_file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SubmissionError(_missing(error, args.workflow_file)) from error
    params: dict[str, Any] = {"validation_only": True}
    if args.labels:
        params["label"] = args.labels
    body = _body(text, args)
    if raw.templated(text, client.numbers):
        text = client.request("POST", f"api/pool/{pool}/workflow", {**params, "dry_run": True}, body)["spec"]
    else:
        text = _section(text, client)
    body["file"] = _inlined(text, args.workflow_file)
    result = client.request("POST", f"api/pool/{pool}/workflow", params, body)
    print(result["logs"])
    for warning in result["warnings"]:
        print(f"WARNING: {warning}")


def restart(client: Client, args: argparse.Namespace) -> None:
    """From the text that the service kept."""
    name = args.workflow_id
    pool = args.pool or client.request("GET", f"api/workflow/{name}")["pool"] or default_pool(client)
    result = _posted(client, f"api/pool/{pool}/workflow/{name}/restart", {}, None)
    _tell(args, result, f"Workflow {name} restarted.")


def default_pool(client: Client) -> str:
    """The pool of the user's profile; never the only one, as the command means to."""
    pool: str | None = client.request("GET", "api/profile/settings")["profile"]["pool"]
    if not pool:
        raise OsmoError(NO_POOL)
    return pool


def _body(text: str, args: argparse.Namespace) -> dict[str, Any]:
    return {
        "file": text,
        "set_variables": args.set,
        "set_string_variables": args.set_string,
        "uploaded_templated_spec": None,
    }


def _missing(error: FileNotFoundError, path: str) -> str:
    return f"[Errno {error.errno}] {error.strerror}: {os.path.abspath(path)!r}"


def _by_id(client: Client, args: argparse.Namespace, pool: str, params: dict[str, Any], error: OSError) -> None:
    """What is no file may be a workflow that ran before."""
    if not rules.WORKFLOW_ID.search(args.workflow_file):
        assert isinstance(error, FileNotFoundError)
        raise SubmissionError(_missing(error, args.workflow_file))
    for flag, given in (("--dry-run", args.dry), ("--set", args.set)):
        if given:
            told = f"Please remove the {flag} flag when submitting a workflow using a workflow ID."
            print(told, file=sys.stderr)
            return
    result = _posted(client, f"api/pool/{pool}/workflow", {**params, "workflow_id": args.workflow_file}, None)
    _tell(args, result, "Workflow submit successful.")


def _posted(client: Client, path: str, params: dict[str, Any], body: Any) -> Any:
    try:
        return client.request("POST", path, params, body)
    except (CredentialError, SubmissionError) as error:
        whose = f"{error.workflow} " if error.workflow is not None else ""
        raise SubmissionError(f"Workflow {whose}submit failed:\n{error.message}", error.workflow) from error


def _section(text: str, client: Client) -> str:
    from osmo_stand_in.refusal import Refusal

    try:
        return raw.sections(text, client.numbers)[0]
    except Refusal as error:
        raise OsmoError(error.message) from error


def _inlined(text: str, path: str) -> str:
    """Read as YAML, with the files of this machine in it, and written again."""
    import yaml

    document = yaml.load(text, Loader=service.loader())
    workflow = document["workflow"]
    groups = workflow.get("groups", [])
    for task in (*workflow.get("tasks", []), *(task for group in groups for task in group.get("tasks", []))):
        for file in task.get("files", []):
            _read_local(file, path)
    return service.written(document)


def _read_local(file: dict[str, Any], path: str) -> None:
    if "localpath" not in file:
        return
    if "contents" in file:
        raise SubmissionError("Files tag dont support contents and localpath together")
    local = Path(os.path.normpath(Path(path).parent / file.pop("localpath")))
    if not local.exists():
        raise SubmissionError(f"The file/path {local} does not exist!")
    file["contents"] = local.read_text(encoding="utf-8")


def _tell(args: argparse.Namespace, result: dict[str, Any], title: str) -> None:
    if args.format_type == "json":
        print(json.dumps(result, indent=2))
        return
    print(title)
    print(f"Workflow ID        - {result['name']}\nWorkflow Overview  - {result['overview']}")
    if getattr(args, "priority", None) == "LOW":
        print("\nWARNING: LOW priority can be preempted during the run.")
