"""The command `osmo`, as far as robotrain uses it: what it takes, what it prints, how it ends."""

import argparse
import json
import os
import select
import shlex
import subprocess
import sys
import termios
import time
import traceback
import tty
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from osmo_stand_in import config
from osmo_stand_in.config import Fault, Version
from osmo_stand_in.service import logs, rows, submission
from osmo_stand_in.service.refusal import Refusal
from osmo_stand_in.service.spec import PLACES
from osmo_stand_in.state import State
from osmo_stand_in.store import Store

SIGNED_OUT = 'Must login first with "login" command'
LOGIN_FILE = "login.yaml"
"""In the command's folder of settings; without it nobody is signed in."""
UPDATE = "WARNING: New client {} available.\nCurrent version: {}.\nPlease update by running the install command."
CONNECTION = "\nCannot connect to OSMO service, with error:\n{}\n"
REFUSED = CONNECTION.format(
    "HTTPSConnectionPool(host='osmo.example.com', port=443): Max retries exceeded with url: /api (Caused by "
    "NewConnectionError('<urllib3.connection.HTTPSConnection object at 0x7f0000000000>: Failed to establish a new "
    "connection: [Errno 111] Connection refused'))"
)
LOST = CONNECTION.format("('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))")
DATABASE = "Error: server closed the connection unexpectedly"
PAGE = '<!DOCTYPE html><html><head><title>Sign in to OSMO</title></head><body id="keycloak-bg"></body></html>'
NOT_JSON = "\nError decoding JSON: Expecting value: line 1 column 1 (char 0)\nOriginal text: {}\nTraceback: …\n\n"
FROM_SERVER = "Status Code: {}\nHeader:\n  server: uvicorn\n  content-type: application/json\nBody:\n{}"
NO_LINE = "ServiceRequestError: Failed to establish a new connection: [Errno 111] Connection refused"
NO_POOL = (
    'No default pool set. Set a default pool using "osmo profile set pool <profile_name>" '
    "or specify a pool using --pool or -p."
)
SERVED = {
    "refused": (REFUSED, 1),
    "html": (NOT_JSON.format(PAGE), 1),
    "server_error": (FROM_SERVER.format(500, "no healthy upstream"), 500),
}
"""What a call that meets such a fault prints, with its code; its exit status is 10."""


class Failed(Exception):
    """How a call fails. number: the HTTP status, or 1. code: the exit status."""

    def __init__(self, message: str, number: int = 1, code: int = 2) -> None:
        super().__init__(message)
        self.message, self.number, self.code = message, number, code


class Call:
    """One call of the command, with the fault that it meets. Each command is a method, named as the words are."""

    def __init__(self, state: State, args: argparse.Namespace, fault: Fault | None) -> None:
        self.state, self.args, self.fault = state, args, fault
        self.store = Store(state.folder.parent / "store")
        self.there = config.read(state)

    def meets(self, form: str) -> bool:
        return self.fault is not None and self.fault.form == form

    def ask(self, answer: Callable[..., Any], *args: Any, writes: bool = False) -> Any:
        """Ask the service; return what it answers. Raises Failed."""
        if not Path(os.environ["OSMO_CONFIG_FILE_DIR"], LOGIN_FILE).exists():
            raise Failed(SIGNED_OUT)
        if self.fault and self.fault.form in SERVED:
            raise Failed(*SERVED[self.fault.form], code=10)
        if self.fault and self.meets("slow"):
            time.sleep(self.fault.seconds)
        client, service = self.there["client"], self.there["service"]
        if config.numbers(client) < config.numbers(service):
            print(UPDATE.format(service, client), file=sys.stderr)
        try:
            result = answer(*args)
        except Refusal as refusal:
            print(f"Server responded with status code {refusal.status}", file=sys.stderr)
            if refusal.status == 500:
                body = json.dumps({"message": f"Internal server error: {refusal.message}"})
                raise Failed(FROM_SERVER.format(500, body), 500, 10) from refusal
            if writes and refusal.kind in ("USAGE", "RESOURCE", "CREDENTIAL"):
                whose = f"{refusal.workflow} " if refusal.workflow else ""
                raise Failed(f"Workflow {whose}submit failed:\n{refusal.message}", 400, 1) from refusal
            raise Failed(refusal.message, refusal.status) from refusal
        if writes and self.meets("lost"):
            raise Failed(LOST, code=10)
        if writes and self.meets("database"):
            raise Failed(DATABASE, 400)
        return result

    def show(self, answer: Any) -> None:
        """Print an answer in the wanted format; the text of the real command is for people and is not imitated."""
        print(json.dumps(answer, indent=2) if self.args.format_type == "json" else answer)

    def version(self) -> None:
        """Without the service's if nobody is signed in, or it cannot be reached."""
        names = ("major", "minor", "revision")
        client, service = (dict(zip(names, self.there[side].split("."), strict=True)) for side in ("client", "service"))
        try:
            self.show({"client": client, "service": self.ask(lambda: service)})
        except Failed as failed:
            if failed.message not in (SIGNED_OUT, REFUSED):
                raise
            self.show({"client": client})

    def profile_list(self) -> None:
        """JSON in either format."""
        named = {"username": self.there["user"], "pool": self.there["profile_pool"]}
        print(json.dumps(self.ask(lambda: {"profile": named, "roles": [], "pools": [], "token": None}), indent=2))

    def pool_list(self) -> None:
        """Without their use."""
        pools = [{"name": name, **pool} for name, pool in self.there["pools"].items()]
        self.show(self.ask(lambda: {"node_sets": [{"pools": pools}]}))

    def resource_list(self) -> None:
        """The machines of a pool, which must exist."""
        name = self.args.pool
        if name not in self.there["pools"]:
            raise Failed(f"Pool {name} does not exist!")
        nodes = {
            kind: platform["node"]
            for kind, platform in self.there["pools"][name]["platforms"].items()
            if platform["node"]
        }
        machines = [
            {"exposed_fields": config.expose_machine(name, kind, node), "pool_platform_labels": {name: [kind]}}
            for kind, node in nodes.items()
        ]
        self.show(self.ask(lambda: {"resources": machines}))

    def credential_list(self) -> None:
        """Their names, never their values."""
        held = {
            name: "DATA" if "endpoint" in credential else "GENERIC"
            for name, credential in self.there["credentials"].items()
        }
        rows = [{"cred_name": name, "cred_type": kind, "profile": None} for name, kind in held.items()]
        self.show(self.ask(lambda: {"credentials": rows}))

    def dataset_info(self) -> None:
        """Of how many objects a dataset of a bucket is."""
        name = self.args.name
        self.ask(lambda: None)
        if not (keys := self.store.keys(self.store.dataset(name))):
            bucket, _, own = name.rpartition("/")
            text = f"Could not find dataset or collection {own.partition(':')[0]} in bucket {bucket}"
            raise Failed(text, 400)
        self.show({"name": name, "objects": len(keys)})

    def workflow_submit(self) -> None:
        """Post the workflow: once, or twice if it is a template, which is rendered by the first request."""
        if not self.args.pool:
            raise Failed(NO_POOL)
        text = Path(self.args.workflow_file).read_text(encoding="utf-8")
        priority = (self.args.priority or "NORMAL",)
        if any(marker in text for marker in submission.MARKERS):
            text = self.ask(submission.submit, self.state, self.args.pool, text, *priority, True)["spec"]
        if self.args.dry_run:
            print(self.ask(submission.submit, self.state, self.args.pool, text, *priority, True)["spec"])
            return
        text = submission.dump_yaml(yaml.load(text, Loader=submission.LOADER))
        variables = self.args.set_env
        self.show(
            self.ask(submission.submit, self.state, self.args.pool, text, *priority, False, variables, writes=True)
        )

    def workflow_query(self) -> None:
        """One workflow."""
        self.show(self.ask(lambda: rows.query(rows.fetch(self.state, self.args.workflow_id))))

    def workflow_list(self) -> None:
        """The last ones after the offset, the latest at the bottom."""
        workflows = self.ask(lambda: [rows.describe(row) for row in rows.every(self.state) if self._is_listed(row)])
        self.show({"workflows": workflows[: len(workflows) - self.args.offset][-self.args.count :]})

    def _is_listed(self, row: rows.Row) -> bool:
        is_asked = self.args.all_users or row["submitted_by"] == self.there["user"]
        return is_asked and (self.args.name or "") in row["name"] and row["status"] != "FAILED_SUBMISSION"

    def workflow_logs(self) -> None:
        """To the end of the workflow, also with -n."""
        self._stream("logs", self.args.last_n_lines)

    def workflow_events(self) -> None:
        """What Kubernetes said about its pods."""
        self._stream("events", None)

    def _stream(self, kind: str, last: int | None) -> None:
        workflow = self.args.workflow_id
        lines = self.ask(logs.stream, self.state, workflow, kind, self.args.task, last)
        print(f"Workflow {workflow} has {kind}:", flush=True)
        for line in lines:
            print(line, flush=True)
            if self.meets("broken"):
                text = "Log stream has timed out or failed. Please run the command again to continue viewing logs."
                print(f"\n{text}")
                return

    def workflow_spec(self) -> None:
        """The text that was kept."""
        name = self.args.workflow_id
        print(self.ask(lambda: self.state.read(f"texts/{rows.fetch(self.state, name)['name']}")))

    def workflow_cancel(self) -> None:
        """That it could not be cancelled is printed, and no failure."""
        name = self.args.workflow_id
        try:
            self.show(self.ask(rows.cancel, self.state, name, self.there["cancelling"], self.args.message))
        except Failed as failed:
            if failed.code == 10:
                raise
            print(f"Workflow cancelation failed for workflow {name}: {failed.message}")

    def workflow_exec(self) -> None:
        """At a terminal only, as the real one; it exits with 0 whatever became of the program."""
        self._check_running()
        former = termios.tcgetattr(0)
        tty.setraw(0)
        here, there = os.openpty()
        with subprocess.Popen(shlex.split(self.args.entry), stdin=there, stdout=there, stderr=there) as program:
            os.close(there)
            while True:
                readable = select.select([0, here], [], [])[0]
                try:
                    if 0 in readable:
                        os.write(here, os.read(0, 1 << 16))
                    if here in readable:
                        os.write(1, os.read(here, 1 << 16))
                except OSError:  # the program has ended
                    break
            program.wait()
        termios.tcsetattr(0, termios.TCSADRAIN, former)

    def _check_running(self) -> None:
        name = self.args.workflow_id
        status = self.ask(lambda: rows.fetch(self.state, name))["status"]
        if status != "RUNNING":
            is_over = status == "COMPLETED" or status.startswith("FAILED")
            raise Failed(f"Workflow {name} is not running{'!' if is_over else ' yet...'}", 410 if is_over else 425)

    def _check_access(self) -> None:
        """Raises Failed if the store cannot be reached, or knows nobody."""
        if self.fault and self.fault.form in SERVED:
            raise Failed(NO_LINE)
        if not self.there["data_access"]:
            raise Failed("NoCredentialsError: Unable to locate credentials\nTraceback …\n")

    def data_upload(self) -> None:
        """What could not be uploaded is told on stderr, file by file, and is no failure: exit 0."""
        self._check_access()
        share = 0.5 if self.meets("broken") else 1.0
        _finish("uploaded", self.store.upload(self.args.remote_uri, self.args.local_path, self.args.regex, share))

    def data_download(self) -> None:
        """Nothing there is no failure."""
        self._check_access()
        if not self.store.keys(self.args.remote_uri):
            self._tell_nothing()
        self.store.download(self.args.remote_uri, Path(self.args.local_path), self.args.regex)
        _finish("downloaded", [])

    def data_list(self) -> None:
        """Whole keys; those at one level, unless it is recursive."""
        self._check_access()
        keys, place = self.store.keys(self.args.remote_uri), self.store.place(self.args.remote_uri)
        if not self.args.recursive and keys != [place.prefix]:
            base = f"{place.prefix}/" if place.prefix else ""
            keys = sorted({base + "".join(key.removeprefix(base).partition("/")[:2]) for key in keys})
        if not keys:
            self._tell_nothing()
        print("".join(f"{key}\n" for key in keys), f"\nTotal {len(keys)} objects found", sep="")

    def _tell_nothing(self) -> None:
        print(f"No entries found for prefix {self.store.place(self.args.remote_uri).prefix}.", file=sys.stderr)


def _finish(done: str, failed: list[str]) -> None:
    """A bar, with ANSI, as tqdm draws it; then the rest. All on stderr."""
    print("\x1b[A\r100%|██████████| 1.0/1.0 [00:00<00:00]\x1b[K", file=sys.stderr)
    lines = [f"Data has been {done}", *(("Upload Failed on files:", *failed) if failed else ())]
    print("\n".join(lines), file=sys.stderr)


FORMAT = (("--format-type", "-t"), {"choices": ("json", "text"), "default": "text"})
STREAM = ((("workflow_id",), {}), (("--task", "-t"), {}))
PRIORITY = (("--priority",), {"type": str.upper, "choices": ("HIGH", "NORMAL", "LOW")})
Options = Sequence[tuple[Sequence[str], dict[str, Any]]]


@cache
def make_parser(version: Version) -> argparse.ArgumentParser:
    """The commands that robotrain uses, with their options, by the version of the command. Others are usage errors."""
    place, workflow = (("remote_uri",), {"type": _parse_place}), (("workflow_id",), {})
    regex, switch = (("--regex", "-x"), {}), {"action": "store_true"}
    commands: dict[str, Options] = {
        "version": [FORMAT],
        "workflow submit": [
            (("workflow_file",), {}),
            FORMAT,
            (("--pool", "-p"), {}),
            PRIORITY,
            (("--dry-run",), switch),
            (("--set-env",), {"nargs": "+", "default": [], "action": "extend" if version >= (6, 4, 0) else "store"}),
        ],
        "workflow query": [workflow, FORMAT],
        "workflow list": [
            (("--count", "-c"), {"default": 20, "type": int}),
            (("--offset", "-f"), {"default": 0, "type": int}),
            (("--all-users", "-a"), switch),
            (("--name", "-n"), {}),
            FORMAT,
        ],
        "workflow logs": [*STREAM, (("--last-n-lines", "-n"), {"type": int})],
        **({"workflow events": STREAM} if version >= (6, 2, 0) else {}),
        "workflow spec": [workflow],
        "workflow cancel": [workflow, (("--message", "-m"), {}), FORMAT],
        "workflow exec": [workflow, (("task",), {}), (("--entry",), {"default": "/bin/bash"})],
        "data upload": [place, (("local_path",), {}), regex],
        "data download": [place, (("local_path",), {"type": _parse_existing}), regex],
        "data list": [place, (("--recursive", "-r"), switch), (("--no-pager",), switch)],
        **({"dataset info": [(("name",), {}), FORMAT]} if version < (6, 4, 0) else {}),
        "credential list": [],
        "profile list": [FORMAT],
        "pool list": [FORMAT],
        "resource list": [FORMAT, (("--pool", "-p"), {"required": True})],
    }
    top = argparse.ArgumentParser(prog="osmo")
    modules = top.add_subparsers(required=True)
    groups: dict[str, Any] = {}
    for words, options in commands.items():
        module, _, name = words.partition(" ")
        if name and module not in groups:
            parser = modules.add_parser(module)
            if module == "credential":
                parser.add_argument("--format-type", choices=("json", "text"), default="text")
            groups[module] = parser.add_subparsers(required=True)
        parser = groups[module].add_parser(name) if name else modules.add_parser(module)
        parser.set_defaults(run=words.replace(" ", "_").replace("-", "_"))
        for names, how in options:
            parser.add_argument(*names, **how)
    return top


def _parse_place(text: str) -> str:
    if not any(place.fullmatch(text) for place in PLACES.values()):
        raise argparse.ArgumentTypeError(f"Invalid storage path: {text}")
    return text


def _parse_existing(path: str) -> str:
    if not os.path.exists(path):
        raise argparse.ArgumentTypeError(f"{os.path.abspath(path)} is not a valid path")
    return path


def main(folder: Path, argv: Sequence[str]) -> int:
    """The exit status of a call. folder: of the stand-in."""
    state = State(folder / "state")
    state.append("calls.jsonl", json.dumps(list(argv)) + "\n")
    fault = config.take_fault(state, argv)
    if fault and fault.form == "hang":
        time.sleep(fault.seconds or 86400.0)
    if fault and fault.form == "answer":
        sys.stdout.write(fault.stdout)
        return fault.code
    args = make_parser(config.numbers(config.read(state)["client"])).parse_args(list(argv))
    try:
        getattr(Call(state, args, fault), args.run)()
        return 0
    except Failed as failed:
        return _tell(args, failed.message, failed.number, failed.code)
    except KeyboardInterrupt:
        return 3
    except Exception as error:
        return _tell(args, f"{error}\n{traceback.format_exc()}", 1, 2)


def _tell(args: argparse.Namespace, message: str, number: int, code: int) -> int:
    """Errors go to stdout, in the form that was asked for."""
    if getattr(args, "format_type", "") == "json":
        print(json.dumps({"message": message, "code": number}, indent=2))
    else:
        print(f"Error message: {message}\nError code: {number}")
    return code
