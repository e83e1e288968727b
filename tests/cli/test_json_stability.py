"""Hold the JSON, the options and the exit codes of the command line to those of before the refactoring.

`json_before/` holds what `robotrain` answered then to every command line of `COMMANDS`, and in `on_disk.json` the runs
that it was asked about, in the format of that time. A key may be added; none may disappear, and no value may change.
Sentences for people are not compared, only whether there is one.

    python -P tests/cli/test_json_stability.py --write .venv/bin/robotrain

makes the folder anew with the answers of that executable.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import http.server
import importlib
import importlib.metadata
import io
import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

BEFORE = Path(__file__).parent / "json_before"
RUNS_FILE = BEFORE / "on_disk.json"
ROOT = "@ROOT@"
"""Stands for the temporary folder of one comparison, in files and in answers."""

# What is asked.

PLATFORMS = ("azureml", "local", "osmo")
WORKLOADS = ("lerobot-train", "lerobot-eval")
SHA = {"dataset": "a" * 40, "policy": "b" * 40}
DATASET = f"-d lerobot/pusht@{SHA['dataset']}"
POLICY = f"--policy-repo-id lerobot/act_pusht@{SHA['policy']}"
WORKSPACE = ("00000000-0000-0000-0000-000000000001", "rg-robots", "robots-ml")
NEEDED = {
    "azureml": "--compute gpu --subscription-id {} --resource-group {} --workspace-name {}".format(*WORKSPACE),
    "local": "",
    "osmo": "--pool default --tracking-uri none",
}
"""The options that a submission to each platform needs."""
JOBS = {
    "lerobot-train": f"{DATASET} --training-steps 400 --save-freq 200",
    "lerobot-eval": f"{POLICY} --env pusht --eval-episodes 4",
}
RUNS = {
    "local-train": "succeeded",
    "local-train-failed": "failed",
    "local-train-waiting": "pending",
    "local-eval": "succeeded",
    "osmo-train": "succeeded",
    "osmo-train-waiting": "pending",
    "osmo-train-gone": "gone",
    "osmo-eval": "failed",
    "azureml-train": "succeeded",
    "azureml-train-running": "running",
    "azureml-eval": "succeeded",
}
"""How the runs of `on_disk.json` ended, oldest first. A name begins with the platform and the kind of job."""

OTHER_COMMANDS = ("render", "explain", "runs", "status", "logs", "watch", "wait", "cancel", "outputs", "report")
OTHER_COMMANDS += ("resubmit", "resume", "register", "platforms", "image", "schema", "plugins", "doctor", "cache")
SUBMIT = f"submit lerobot-train {DATASET} --dry-run --json"
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "schema": ("schema", "schema lerobot-train --platform osmo", "schema lerobot-eval --platform azureml"),
    "plugins": ("plugins --json", "--no-plugins plugins --json"),
    "platforms": ("platforms --json", *(f"platforms {name} --json" for name in PLATFORMS)),
    "explain": (
        *(f"explain {one} --platform {where} {NEEDED[where]} {JOBS[one]} --json" for one in JOBS for where in NEEDED),
        f"explain --platform local {DATASET} --batch-size 3 --set learning_rate=0.5 --json -- --policy.chunk_size=100",
    ),
    "status": tuple(f"status {{{run}}} --json" for run in RUNS),
    "outputs": tuple(f"outputs {{{run}}} --json" for run in RUNS),
    "runs": ("runs --json", "runs --platform osmo --state failed -n 1 --json"),
    "report": (
        "report {local-train} --to one.html --json",
        "report {local-eval} --to two.html --json",
        "report {local-train} {osmo-train} {azureml-train} --to three.html --json",
        "report {local-eval} {osmo-eval} --to four.html --json",
    ),
    "options": (
        "--help",
        *(f"submit {one} --platform {where} --help" for one in WORKLOADS for where in PLATFORMS),
        *(f"{name} --help" for name in OTHER_COMMANDS),
    ),
    "exit_codes": (
        "status --json",
        "status nosuch --json",
        "nosuch --json",
        "--nosuch status --json",
        "submit nosuch --platform local --json",
        "submit lerobot-train --platform nosuch --json",
        "submit lerobot-train --platform local --json",
        f"submit lerobot-train {DATASET} --json",
        f"{SUBMIT} --platform local --training-steps many",
        f"{SUBMIT} --platform local --batch-size 0",
        f"{SUBMIT} --platform local --batch-sise 3",
        f"{SUBMIT} --platform local --dataset-path missing",
        "submit lerobot-train --platform local --dataset-path missing --environment missing --dry-run --json",
        "submit lerobot-train --platform local --dataset-asset azureml:episodes:3 --dry-run --json",
        f"{SUBMIT} --platform local --pool default",
        f"{SUBMIT} --platform local --mlflow-enable",
        f"{SUBMIT} --platform osmo",
        f"{SUBMIT} --platform osmo {NEEDED['osmo']}",
        f"{SUBMIT} --platform azureml",
        f"{SUBMIT} --platform azureml {NEEDED['azureml']} --num-gpus 8",
        "submit missing.yaml --platform local --json",
        "submit --plan missing --json",
        "runs --state sleeping --json",
        "runs --keep 1 --json",
        "platforms --json --markdown",
        "platforms nosuch --json",
        "schema nosuch --json",
        "outputs {local-train} --to . --json",
        "wait {local-train} --json",
        "wait {local-train-failed} --json",
        "wait {local-train} {osmo-eval} --json",
        "cancel {local-train} --json",
        "status {osmo-train-gone} --json",
        "--without platform.local status {local-train} --json",
    ),
}
"""The command lines, by the file that holds their answers; `{…}` stands for the name of a run."""

# The test.

PROSE = {"apart", "description", "examples", "help", "instead", "means", "module", "reason", "remark", "remarks"}
PROSE |= {"text", "title", "why"}
"""Keys whose values are sentences for people, or names of modules."""
IDENTITY = ("claim", "name", "what", "run", "code")
"""Keys that name an entry of a list."""


def test_json_options_and_exit_codes_are_those_of_before():
    now = collect_answers(Path(sys.executable))
    differences = [
        f"{group}: robotrain {command}{difference}"
        for group in COMMANDS
        for command, before in json.loads((BEFORE / f"{group}.json").read_text()).items()
        for difference in find_differences(before, now[group].get(command, {}))
    ]
    assert not differences, "\n".join([f"{len(differences)} differences", *differences[:60]])


with contextlib.suppress(ImportError):  # another robotrain's Python, which answers with this file, may have no pytest
    import pytest

    pytest.mark.slow(test_json_options_and_exit_codes_are_those_of_before)


def test_additions_are_no_differences_and_everything_else_is():
    x, y, z = {"name": "x", "v": 1}, {"name": "y"}, {"name": "z"}
    for before, now, found in (
        ({"a": 1}, {"b": 2, "a": 1}, []),
        ({"a": 1}, {"b": 2}, [" a: is missing"]),
        ({"a": 1}, {"a": True}, [" a: 1 became True"]),
        ({"a": {}}, {"a": None}, [" a: {} became None"]),
        ({"a": [1]}, {"a": [1, 2]}, [" a: [1] became [1, 2]"]),
        ([x, y], [z, x, y], []),
        ([x, y], [y, x], []),
        ([{"run": "a"}, {"run": "b"}], [{"run": "b"}, {"run": "a"}], [" b: is missing"]),
        ([x], [{**x, "v": 2}], [" x v: 1 became 2"]),
        ({"enum": ["x", "y"]}, {"enum": ["z", "y", "x"]}, []),
        ({"enum": ["x", "y"]}, {"enum": ["x", "z"]}, [" enum: 'y' is missing"]),
        ([{"if": x, "then": 1}], [{"if": y, "then": 2}, {"if": x, "then": 1}], []),
        ([{"if": x, "then": 1}], [{"if": y, "then": 1}], [f" {json.dumps(x)}: is missing"]),
    ):
        assert list(find_differences(before, now)) == found


def find_differences(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield what disappeared or changed; additional keys and additional named entries of a list do not count."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key, value in before.items():
            if key in now:
                yield from find_differences(value, now[key], f"{path} {key}")
            else:
                yield f"{path} {key}: is missing"
    elif isinstance(before, list) and isinstance(now, list) and all(map(identify, [*before, *now])):
        rest = iter(now)  # runs stay in their order; declared names follow the order of their classes
        for entry in before:
            name = identify(entry)
            rest = rest if "run" in entry else iter(now)
            found = next((one for one in rest if identify(one) == name), None)
            if found is None:
                yield f"{path} {name}: is missing"
            else:
                yield from find_differences(entry, found, f"{path} {name}")
    elif isinstance(before, list) and isinstance(now, list) and path.endswith(" enum"):  # the values of a schema
        yield from (f"{path}: {value!r} is missing" for value in before if value not in now)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (entry, other) in enumerate(zip(before, now, strict=True)):
            yield from find_differences(entry, other, f"{path} {index}")
    elif type(before) is not type(now) or before != now:
        yield f"{path}: {before!r} became {now!r}"


def identify(entry: object) -> str:
    """Return what names an entry of a list; an empty text for one that nothing names."""
    if not isinstance(entry, dict):
        return ""
    if "if" in entry:  # a part of a schema: what it applies to
        return json.dumps(entry["if"], sort_keys=True)
    return next((str(entry[key]) for key in IDENTITY if key in entry), "")


def collect_answers(python: Path) -> dict[str, dict[str, Any]]:
    """Return the answers of the `robotrain` that is installed for `python`, by group and command line."""
    done = subprocess.run([python, "-P", __file__, "--answer"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# The answers: forks of one process, which has imported most modules already, run the command lines.

FORKS = 3
"""How many processes answer, each a part of the command lines."""
LIBRARIES = ("azure.identity", "azure.core.rest", "azure.storage.blob", "yaml", "pydantic", "zipfile")


def answer_all(root: Path) -> dict[str, dict[str, Any]]:
    """Answer every command line about the runs of `on_disk.json`, which are written below `root`."""
    names = write_runs(root)
    os.environ.clear()
    os.environ.update(clean_environment(root))
    os.chdir(root / "here")
    with contextlib.ExitStack() as stack:
        stack.callback(os.kill, start_cloud(root), 9)
        for library in LIBRARIES:
            with contextlib.suppress(ImportError):
                importlib.import_module(library)
        every = [(group, command) for group, commands in COMMANDS.items() for command in commands]
        for command in ("schema", "explain --platform local -d a/b", "submit --platform azureml --help"):
            invoke(command)  # imports modules that the forks need
        found = in_forks([command.format_map(names) for _, command in every], root)
    answers: dict[str, dict[str, Any]] = {group: {} for group in COMMANDS}
    for (group, command), (code, out) in zip(every, found, strict=True):
        options = group == "options"
        output = {"options": read_options(out)} if options else {"json": normalise(read_json(out), root)}
        answers[group][command] = {"exit_code": code, **output}
    return answers


def clean_environment(root: Path) -> dict[str, str]:
    """Return an environment without any setting of whoever runs this."""
    folders = {"HOME": "home", "TMPDIR": "tmp", "ROBOTRAIN_STATE": "state", "ROBOTRAIN_CACHE": "cache"}
    for folder in (*folders.values(), "here"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    paths = {name: str(root / folder) for name, folder in folders.items()}
    return {
        **paths,
        "PATH": f"{root / 'bin'}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "COLUMNS": "100",
        "TZ": "UTC",
        "ROBOTRAIN_HOOK_SECONDS": "60",
    }


def in_forks(commands: list[str], root: Path) -> list[tuple[int | str, str]]:
    """Return the exit code and the output of each command line; each fork answers some, one after the other."""
    size = -(-len(commands) // FORKS)
    batches = [commands[at : at + size] for at in range(0, len(commands), size)]
    forks = []
    for number, batch in enumerate(batches):
        if not (fork := os.fork()):
            try:
                (root / f"answers-{number}").write_text(json.dumps([*map(invoke, batch)]))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        forks.append(fork)
    for fork in forks:
        os.waitpid(fork, 0)
    found = [json.loads((root / f"answers-{number}").read_text()) for number in range(len(batches))]
    return [tuple(answer) for batch in found for answer in batch]


def invoke(command: str) -> tuple[int | str, str]:
    """Run the installed console script in this process; return its exit code and its standard output."""
    script, *_ = importlib.metadata.entry_points(group="console_scripts", name="robotrain")
    sys.argv = ["robotrain", *shlex.split(command)]
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    code: int | str = 0
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            script.load()()
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            traceback.print_exc()
            code = "crashed"
    return code, streams[0].buffer.getvalue().decode()


def read_json(out: str) -> Any:
    """Return the JSON that was printed; None where something else was."""
    try:
        return json.loads(out)
    except ValueError:
        return None


def read_options(out: str) -> dict[str, Any]:
    """Return every option of a help text by each of its names: its first long name, and its environment names."""
    found = {}
    name = r"--?[A-Za-z][\w-]*"
    for block in re.findall(r"^  (-.*(?:\n {20,}.*)*)", out, re.MULTILINE):
        names = re.findall(name, re.match(rf"{name}(?:(?:, | ?/ ?){name})*", block)[0])
        variables = ", ".join(re.findall(r"env:\s+([A-Z0-9_]+(?:,\s+[A-Z0-9_]+)*)", block))
        first = next((one for one in names if one.startswith("--")), names[0])
        entry = {"option": first, "environment": re.findall(r"\w+", variables)}
        found.update(dict.fromkeys(names, entry))
    return found


def normalise(value: Any, root: Path, key: str = "") -> Any:
    """Return `value` without what differs between machines and versions, and without sentences for people."""
    if key in PROSE and value:
        return "<text>"
    if isinstance(value, dict):
        found = {name: normalise(part, root, name) for name, part in value.items()}
        if value.get("kind") == "file" and value.get("size") is not None:
            found["size"] = "<size>"  # the file may contain the path of the temporary folder
        return found
    if isinstance(value, list):
        return [normalise(part, root) for part in value]
    if isinstance(value, str):
        value = value.replace(str(root), ROOT)
        value = "<digest>" if key == "job" else value  # changes with every additional parameter
        value = re.sub(r" \d+\.\d+\.\d+\S*$", " <version>", value) if key == "distribution" else value
        return re.sub(r"^platform .*", "platform <text>", value) if key == "origin" else value
    return value


def write_runs(root: Path) -> dict[str, str]:
    """Write the files of `on_disk.json` below `root`; return the name of each run by its label."""
    runs = json.loads(RUNS_FILE.read_text())
    for name, text in runs["files"].items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace(ROOT, str(root)))
        file.chmod(0o755 if file.parent.name == "bin" else 0o644)
    for plan in root.glob("state/runs/*/plan/robotrain-plan.json"):
        body = json.loads(plan.read_text())  # the files contain the path of the temporary folder
        body["files"] = {name: sha256((plan.parent / name).read_bytes()) for name in body["files"]}
        plan.write_text(json.dumps(body))
    for age, run in enumerate(runs["runs"].values()):
        claimed = root / "state/runs" / run / "claimed"
        claimed.touch()
        os.utime(claimed, (TIME + age, TIME + age))
    return runs["runs"]


def sha256(content: bytes) -> str:
    """Return the digest of `content` as hex digits."""
    return hashlib.sha256(content).hexdigest()


# A stand-in for Azure: a proxy that answers for every host with the files of `azure/`, and issues tokens.

HOSTS = ("management.azure.com", "westeurope.api.azureml.ms", "rtstore.blob.core.windows.net")


def start_cloud(root: Path) -> int:
    """Start the proxy in a process of its own, point this process at it, and return its process id."""
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    request = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    request += ["-keyout", root / "key.pem", "-out", root / "cert.pem", "-subj", "/CN=test", "-days", "2"]
    subprocess.run([*request, "-addext", f"subjectAltName={names}"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "cert.pem", root / "key.pem")
    handler = type("Handler", (Cloud,), {"context": context, "folder": root / "azure"})
    server = type("Server", (http.server.ThreadingHTTPServer,), {"request_queue_size": 64})(("127.0.0.1", 0), handler)
    address = f"http://127.0.0.1:{server.server_port}"
    process = os.fork()
    if not process:
        try:
            server.serve_forever()
        finally:
            os._exit(1)
    server.socket.close()
    certificates = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(root / "cert.pem"))
    identity = {"IDENTITY_ENDPOINT": f"{address}/token", "IDENTITY_HEADER": "header", "NO_PROXY": "127.0.0.1"}
    os.environ.update({"HTTPS_PROXY": address, **certificates, **identity})
    return process


class Cloud(http.server.BaseHTTPRequestHandler):
    """One connection to the proxy; `host` is empty until the client asks for a tunnel."""

    context: ssl.SSLContext
    folder: Path
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.partition(":")[0]
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.wfile.flush()
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
        self.close_connection = False

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query, file = parse_qs(address.query), self.folder / quote(f"{self.host}{address.path}", safe="")
        if not self.host:
            token = {"access_token": "token", "expires_on": "4102444800", "token_type": "Bearer", "resource": "any"}
            self.send(200, json.dumps(token).encode())
        elif query.get("comp") == ["list"]:
            self.send(200, self.list_blobs(file.name, query["prefix"][0]))
        elif not file.exists():
            self.send(404, b'{"error": {"code": "UserError", "message": "it was not found"}}')
        elif part := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or self.headers["x-ms-range"] or ""):
            content = file.read_bytes()
            start, end = int(part[1]), min(int(part[2] or len(content)), len(content) - 1)
            headers = {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
            self.send(206 if start <= end else 416, content[start : end + 1], headers)
        else:
            self.send(200, file.read_bytes())

    do_HEAD = do_GET

    def list_blobs(self, container: str, prefix: str) -> bytes:
        """Return the blobs of a container as Azure lists them."""
        below = f"{container}{quote('/' + prefix, safe='')}"
        blobs = "".join(
            f"<Blob><Name>{unquote(file.name).partition(unquote(container) + '/')[2]}</Name><Properties>"
            f"<Content-Length>{file.stat().st_size}</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
            for file in sorted(self.folder.glob(f"{below}*"))
        )
        return f"<?xml version='1.0'?><EnumerationResults><Blobs>{blobs}</Blobs></EnumerationResults>".encode()

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send an answer; to HEAD without the body."""
        kind = "application/xml" if body.startswith(b"<?xml") else "application/json"
        self.send_response(status)
        fixed = {"Content-Type": kind, "Content-Length": str(len(body)), "ETag": '"1"', "x-ms-blob-type": "BlockBlob"}
        for name, value in {**fixed, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


# The script: `--write` makes the runs, with plans of the given executable, and collects its answers.

TIME = 1763622000.0
START, END = "2025-11-20T07:00:10", "2025-11-20T07:10:10"
OSMO = """\
#!/bin/sh
case "$1 $2" in
"workflow query") [ -f "@ROOT@/osmo/$3.json" ] && exec cat "@ROOT@/osmo/$3.json" ;;
"workflow logs") [ -f "@ROOT@/osmo/$3.log" ] && exec cat "@ROOT@/osmo/$3.log" ;;
*) echo "Must login first" && exit 2 ;;
esac
echo "Workflow $3 not found"
exit 2
"""
CONTAINER = "rtstore.blob.core.windows.net/workspaces"
RESOURCE = "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces/{}".format(
    *WORKSPACE
)


@dataclasses.dataclass
class Run:
    """A run to write. label, state: of RUNS. name, job: the run's and the digest of its job. plan: its files."""

    label: str
    state: str
    name: str
    job: str
    plan: Mapping[str, str]

    @property
    def platform(self) -> str:
        return self.label.split("-")[0]

    @property
    def evaluates(self) -> bool:
        return self.label.split("-")[1] == "eval"

    @property
    def native(self) -> str:
        """The run's name on the platform."""
        return {"azureml": f"{self.name}-0a1b2c", "osmo": f"{self.name}-1", "local": self.name}[self.platform]

    @property
    def place(self) -> str:
        """The folder of the outputs, as the log names it."""
        return f"{ROOT}/state/local/{self.name}/outputs" if self.platform == "local" else "/tmp/robotrain/outputs"

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what the run reported."""
        if self.state in ("pending", "gone"):
            return
        yield {"event": "stage", "name": "data", "state": "started"}
        yield {"event": "download", "done": 50, "total": 100, "rate": 10.0}
        yield {"event": "stage", "name": "data", "state": "done", "seconds": 3.5}
        yield {"event": "stage", "name": "work", "state": "started"}
        yield {"event": "track", "experiment": "lerobot", "params": {"steps": 400}, "tags": {"a": "b"}}
        address = "https://mlflow.example"
        yield {"event": "tracking", "uri": address, "experiment_id": "1", "run_id": "r1", "ui": f"{address}/#/r1"}
        yield {"event": "note", "level": "warning", "text": "the loss was not finite at step 3"}
        yield from self._evaluation_events() if self.evaluates else self._training_events()
        if self.state == "running":
            return
        failed = self.state == "failed"
        outcome = {"reason": "CUDA out of memory" if failed else "", "fault": "out_of_memory" if failed else ""}
        yield {"event": "stage", "name": "work", "state": "failed" if failed else "done", "seconds": 590.0}
        yield {"event": "outcome", "state": self.state, "exit_code": int(failed), **outcome}

    def _training_events(self) -> Iterator[dict[str, Any]]:
        for step in (200, 400):
            values = {"train/loss": 100 / step, "val/loss": 120 / step, "train/grad_norm": "nan"}
            yield {"event": "metrics", "values": values, "step": step, "total": 400, "unit": "step"}
            yield {"event": "metrics", "values": {"system/gpu": 0.9}, "step": None, "total": None, "unit": "step"}
            path = f"{self.place}/checkpoints/{step:06}"
            yield {"event": "checkpoint", "step": step, "path": path, "model": "pretrained_model"}
            if self.platform != "local":
                to = f"https://{CONTAINER}/published/{self.name}/{step:06}"
                yield {"event": "published", "step": step, "to": to, "seconds": 1.5}
        yield {"event": "registered", "name": "act", "version": "3", "step": 400, "uri": "models:/act/3", "new": True}

    def _evaluation_events(self) -> Iterator[dict[str, Any]]:
        for episode in range(1, 5):
            values = {f"rollout_ep{episode}_success": float(episode > 1)}
            yield {"event": "metrics", "values": values, "step": episode, "total": 4, "unit": "episode"}
        low, high = 0.3, 0.95
        scores = {"rollout/success_rate": 0.75, "rollout/success_rate_low": low, "rollout/success_rate_high": high}
        result = {"scores": {**scores, "rollout/episodes": 4}, "passed": self.state != "failed", "conditions": "pusht"}
        yield {"event": "evaluated", "episodes": 4, **result, "results": f"{self.place}/eval_results", "step": 400}
        if self.platform != "local":
            yield {"event": "delivered", "to": f"https://{CONTAINER}/published/{self.name}/eval_results"}

    def log_lines(self) -> list[str]:
        """Return the run's log."""
        events = [json.dumps({**one, "time": TIME + 10 * at}) for at, one in enumerate(self.events())]
        lines = ["starting", *(f"::robotrain:: {event}" for event in events)] if events else []
        return [*lines, "Traceback (most recent call last):", "RuntimeError: no"] if self.state == "failed" else lines

    def output_files(self) -> dict[str, str]:
        """Return the output files, by their paths in the output folder."""
        if self.state in ("pending", "running", "gone"):
            return {}
        if self.evaluates:
            return {"eval_results/eval_results.json": json.dumps({"rollout": {"env": "pusht", "avg_length": 143.0}})}
        found = {}
        for step in (200, 400):
            files = {"pretrained_model/model.safetensors": f"weights{step}", "training_state/step.json": str(step)}
            digests = {name: sha256(text.encode()) for name, text in files.items()}
            seal = {"schema": 1, "step": step, "run": self.name, "job": self.job, "files": digests}
            files["robotrain-checkpoint.json"] = json.dumps({**seal, "model": "pretrained_model"})
            found |= {f"checkpoints/{step:06}/{name}": text for name, text in files.items()}
        return found

    def all_files(self) -> Iterator[tuple[str, str]]:
        """Yield every file on disk and in the cloud, with its text."""
        folder = f"state/runs/{self.name}"
        reference = {"local": self._local_reference, "osmo": self._osmo_reference, "azureml": self._azureml_reference}
        record = {
            "schema": 1,
            "run": self.name,
            "platform": self.platform,
            "phase": "sent",
            "job": self.job,
            "plan": "c" * 64,
            "created": TIME,
            "workload": "lerobot-eval" if self.evaluates else "lerobot-train",
            "settings": {},
            "reference": reference[self.platform](),
            "host": "laptop",
            "notes": ["it was submitted twice"] if self.state == "failed" else [],
            "makes": "results" if self.evaluates else "checkpoints",
            **declared_fields("lerobot-eval" if self.evaluates else "lerobot-train"),
        }
        yield f"{folder}/record.json", json.dumps(record, indent=1)
        yield from ((f"{folder}/plan/{name}", text) for name, text in self.plan.items())
        yield from {"local": self._local, "osmo": self._osmo, "azureml": self._azureml}[self.platform]()

    def _local_reference(self) -> dict[str, str]:
        return {"folder": f"{ROOT}/state/local/{self.name}"}

    def _local(self) -> Iterator[tuple[str, str]]:
        folder, lines = f"state/local/{self.name}", self.log_lines()
        yield f"{folder}/process.json", self.plan["process.json"]
        yield f"{folder}/job.json", self.plan["job.json"]
        if self.state == "pending":
            return
        yield f"{folder}/log.txt", "".join(f"{line}\n" for line in lines)
        yield f"{folder}/events.jsonl", "".join(f"{line}\n" for line in lines if line.startswith("::"))
        supervisor = {"pid": 4194305, "birth": "1@before", "started": TIME + 10, "host": {}}
        yield f"{folder}/supervisor.json", json.dumps(supervisor)
        *_, outcome = self.events()
        yield f"{folder}/outcome.json", json.dumps({key: outcome[key] for key in outcome if key != "event"})
        yield f"{folder}/exit.json", json.dumps({"exit_code": outcome["exit_code"], "ended": TIME + 610, "reason": ""})
        yield from ((f"{folder}/outputs/{name}", text) for name, text in self.output_files().items())

    def _osmo_reference(self) -> dict[str, str]:
        fixed = {"cli": "osmo", "task": "work", "server": "6.4", "publishes": "", "run": self.name}
        return {"workflow": self.native, **fixed}

    def _osmo(self) -> Iterator[tuple[str, str]]:
        if self.state == "gone":
            return
        word = {"succeeded": "COMPLETED", "failed": "FAILED", "pending": "PENDING"}[self.state]
        times = (
            dict.fromkeys(("start_time", "end_time")) if word == "PENDING" else {"start_time": START, "end_time": END}
        )
        task = {"name": "work", "retry_id": 0, "status": "WAITING" if word == "PENDING" else word, **times}
        task |= {"exit_code": {"COMPLETED": 0, "FAILED": 1}.get(word), "failure_message": None}
        group = {"name": "work", "status": task["status"], "failure_message": None, "tasks": [task]}
        answer = {"name": self.native, "status": word, **times, "queued_time": 5.0, "groups": [group]}
        yield f"osmo/{self.native}.json", json.dumps({**answer, "overview": f"https://osmo.example/{self.native}"})
        log = "".join(f"2025/11/20 07:00:{at:02} [work] {line}\n" for at, line in enumerate(self.log_lines()))
        yield f"osmo/{self.native}.log", f"Workflow {self.native} has logs:\n{log}"

    def _azureml_reference(self) -> dict[str, str]:
        workspace = dict(zip(("subscription", "group", "workspace"), WORKSPACE, strict=True))
        fixed = {"datastore": "workspaceblobstore", "publishes": "", "code": "", "run": self.name}
        return {"job": self.native, "output": self._output, **workspace, **fixed}

    @property
    def _output(self) -> str:
        return f"azureml/{self.native}/{'eval_results' if self.evaluates else 'checkpoints'}"

    def _azureml(self) -> Iterator[tuple[str, str]]:
        word = {"succeeded": "Completed", "running": "Running"}[self.state]
        log = f"rtstore.blob.core.windows.net/azureml/ExperimentRun/dcid.{self.native}/user_logs/std_log.txt"
        tracking = {"Tracking": {"endpoint": f"azureml://{HOSTS[1]}/mlflow/v1.0{RESOURCE}"}}
        job = {"jobType": "Command", "status": word, "services": tracking, "computeId": f"{RESOURCE}/computes/gpu"}
        times = {"startTimeUtc": f"{START}Z", "endTimeUtc": f"{END}Z" if word == "Completed" else None}
        files = {"user_logs/std_log.txt": f"https://{log}?sig=x"}
        details = {"runId": self.native, "status": word, **times, "error": None, "warnings": [], "logFiles": files}
        yield cloud_file(f"{HOSTS[0]}{RESOURCE}/jobs/{self.native}", {"name": self.native, "properties": job})
        yield cloud_file(f"{HOSTS[1]}/history/v1.0{RESOURCE}/runs/{self.native}/details", details)
        yield cloud_file(log, "".join(f"{line}\n" for line in self.log_lines()))
        blobs = {f"{self._output}/{name.partition('/')[2]}": text for name, text in self.output_files().items()}
        yield from (cloud_file(f"{CONTAINER}/{name}", text) for name, text in blobs.items())


def declared_fields(workload: str) -> dict[str, Any]:
    """Return the fields of a run's record that hold what its workload declares."""
    module = importlib.import_module(f"robotrain_workloads.{workload.replace('-', '_')}.workload")
    profile = dataclasses.asdict(getattr(module, workload.replace("-", "_").upper()).profile)
    return {"outputs": profile["outputs"], "metrics": profile["metrics"]}


def cloud_file(address: str, content: object) -> tuple[str, str]:
    """Return the file that the cloud answers with at an address, and its text."""
    return f"azure/{quote(address, safe='')}", content if isinstance(content, str) else json.dumps(content)


def make_runs(command: Path) -> dict[str, Any]:
    """Return the content of `on_disk.json`, with plans that `command` rendered."""
    runs = [render_run(command, label, state, seed) for seed, (label, state) in enumerate(RUNS.items())]
    account = {"accountName": "rtstore", "containerName": "workspaces", "datastoreType": "AzureBlob"}
    files = {"bin/osmo": OSMO, **dict(file for run in runs for file in run.all_files())}
    workspace = {"properties": {"discoveryUrl": f"https://{HOSTS[1]}/discovery"}}
    files.update([cloud_file(f"{HOSTS[0]}{RESOURCE}", workspace)])
    for name, container in {"workspaceblobstore": "workspaces", "workspaceartifactstore": "azureml"}.items():
        store = {**account, "containerName": container, "credentials": {"credentialsType": "None"}}
        files.update([cloud_file(f"{HOSTS[0]}{RESOURCE}/datastores/{name}", {"properties": store})])
    return {"runs": {run.label: run.name for run in runs}, "files": files}


def render_run(command: Path, label: str, state: str, seed: int) -> Run:
    """Return a run whose plan `command` rendered, without the packed modules."""
    platform, kind, *_ = label.split("-")
    workload = f"lerobot-{kind}"
    words = f"render {workload} --platform {platform} {NEEDED[platform]} {JOBS[workload]} --seed {seed} --to plan"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        environment = clean_environment(root)
        subprocess.run([command, *words.split()], cwd=root, env=environment, check=True, capture_output=True)
        plan = {
            str(file.relative_to(root / "plan")): shorten(file.read_bytes()).replace(str(root), ROOT)
            for file in (root / "plan").rglob("*")
            if file.is_file()
        }
    manifest = json.loads(plan["robotrain-plan.json"])
    manifest["payload_digest"] = sha256(plan[manifest["payload"]].encode())
    (document,) = (text for name, text in plan.items() if Path(name).name == "job.json")
    plan["robotrain-plan.json"] = json.dumps(manifest)
    return Run(label, state, manifest["run"], json.loads(document)["job"], plan)


def shorten(content: bytes) -> str:
    """Return a file of a plan as text, without the packed modules."""
    text = "packed modules" if content.startswith(b"PK") else content.decode()
    return re.sub(r"[A-Za-z0-9+/=]{1000,}", "cGFja2Vk", text)


def write_before(command: Path) -> None:
    """Make the folder anew with the runs that `command` plans, and its answers."""
    shutil.rmtree(BEFORE, ignore_errors=True)
    BEFORE.mkdir()
    write_json(RUNS_FILE, make_runs(command))
    for group, answers in collect_answers(command.parent / "python").items():
        write_json(BEFORE / f"{group}.json", answers)


def write_json(file: Path, content: object) -> None:
    """Write JSON that is easy to compare by lines."""
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    """Parse the command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="COMMAND", help="make json_before/ with this robotrain")
    parser.add_argument("--answer", action="store_true", help="print the answers of the robotrain of this Python")
    arguments = parser.parse_args()
    if arguments.answer:
        with tempfile.TemporaryDirectory(prefix="robotrain-", ignore_cleanup_errors=True) as folder:
            print(json.dumps(answer_all(Path(folder).resolve())))
    elif arguments.write:
        write_before(arguments.write.absolute())
    else:
        parser.error("say --write COMMAND or --answer")


if __name__ == "__main__":
    main()
