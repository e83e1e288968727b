"""Hold the JSON, the options and the exit codes of the command line to those of before the refactoring.

`json_before/` holds what `robotrain` answered then to every command line of `COMMANDS`, and in `on_disk.json` the runs
that it was asked about, in the format of that time. A key may be added; none may disappear, and no value may change.
Sentences for people are not compared, only whether there is one.

    ROBOTRAIN_TEST_WRITE=1 pytest -m slow tests/cli/test_json_stability.py

stores the answers of now instead; the runs stay those of before.
"""

import hashlib
import json
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

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
RUNS = ("local-train", "local-train-failed", "local-train-waiting", "local-eval", "osmo-train", "osmo-train-waiting")
RUNS += ("osmo-train-gone", "osmo-eval")
"""The runs of `on_disk.json`, oldest first: the platform, the kind of job, and how it is unless it succeeded."""

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
        "report {local-train} {osmo-train} --to three.html --json",
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


@pytest.mark.slow
@pytest.mark.parametrize("group", COMMANDS)
def test_json_options_and_exit_codes_are_those_of_before(group, robotrain, root):
    names, now = write_runs(root), {}
    for command in COMMANDS[group]:
        answer = robotrain(*shlex.split(command.format_map(names)))
        if group == "options":
            now[command] = {"exit_code": answer.exit_code, "options": read_options(answer.stdout)}
        else:
            now[command] = {"exit_code": answer.exit_code, "json": normalise(read_json(answer.stdout), root)}
    file = BEFORE / f"{group}.json"
    if os.environ.get("ROBOTRAIN_TEST_WRITE"):
        file.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n")
    differences = [
        f"robotrain {command}{difference}"
        for command, before in json.loads(file.read_text()).items()
        for difference in find_differences(before, now.get(command, {}))
    ]
    assert not differences, "\n".join([f"{len(differences)} differences", *differences[:60]])


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The temporary folder, in an environment without any setting of whoever runs this."""
    for name in [name for name in os.environ if not name.startswith(("ROBOTRAIN_TEST_", "PYTEST_", "COV_"))]:
        monkeypatch.delenv(name)
    for name, folder in {"HOME": "home", "ROBOTRAIN_STATE": "state", "ROBOTRAIN_CACHE": "cache"}.items():
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.setenv(name, str(tmp_path / folder))
    fixed = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "LANG": "C.UTF-8", "COLUMNS": "100", "TZ": "UTC"}
    for name, value in {**fixed, "ROBOTRAIN_HOOK_SECONDS": "60"}.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


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
        os.utime(claimed, (1763622000 + age, 1763622000 + age))
    return runs["runs"]


def sha256(content: bytes) -> str:
    """Return the digest of `content` as hex digits."""
    return hashlib.sha256(content).hexdigest()
