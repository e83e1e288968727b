"""The keys of `--json`, the options of each help, and the exit codes of the command line: only added to.

`json_keys.json` lists them for every command line of `COMMANDS`. Commands that read runs are asked about those of
`runs_on_disk.json`.

    ROBOTRAIN_TEST_WRITE=1 pytest -m slow tests/cli/test_json_keys.py

adds what is new. What is no more is taken out by hand: a user's script may read it.
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

TABLE = Path(__file__).with_name("json_keys.json")
RUNS_FILE = Path(__file__).with_name("runs_on_disk.json")
ROOT = "@ROOT@"
"""Stands for the temporary folder, in the files of the runs."""

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
"""The runs of `runs_on_disk.json`, oldest first: the platform, the kind of job, and how it is unless it succeeded."""

OTHER_COMMANDS = ("render", "explain", "runs", "status", "logs", "watch", "wait", "cancel", "outputs", "report")
OTHER_COMMANDS += (
    "scores",
    "resubmit",
    "resume",
    "register",
    "platforms",
    "image",
    "schema",
    "plugins",
    "doctor",
)
JOB_COMMANDS = ("render", "explain")
SUBMIT = f"submit lerobot-train {DATASET} --dry-run --json"
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "schema": ("schema", "schema lerobot-train --platform osmo", "schema lerobot-eval --platform azureml"),
    "plugins": ("plugins --json", "--no-plugins plugins --json"),
    "platforms": ("platforms --json", *(f"platforms {name} --json" for name in PLATFORMS)),
    "explain": (
        *(f"explain {job} --platform {where} {NEEDED[where]} {JOBS[job]} --json" for job in JOBS for where in NEEDED),
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
    "compare": (
        "scores --json",
        "compare --scores episodes.csv --json",
        "compare --scores episodes.csv a --not-worse-than b --margin 0.1 --json",
        "compare --scores trainings.csv --json",
    ),
    "options": (
        "--help-all",
        *(f"submit {workload} --platform {where} --help-all" for workload in WORKLOADS for where in PLATFORMS),
        *(f"{name} {'--help-all' if name in JOB_COMMANDS else '--help'}" for name in OTHER_COMMANDS),
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


@pytest.mark.slow
@pytest.mark.parametrize("group", COMMANDS)
def test_keys_options_and_exit_codes_are_only_added_to(group, robotrain, root):
    names, lost = write_runs(root), []
    write_scores()
    table = json.loads(TABLE.read_text())
    for command in COMMANDS[group]:
        answer = robotrain(*shlex.split(command.format_map(names)))
        now = read_options(answer.stdout) if group == "options" else sorted(set(find_keys(read_json(answer.stdout))))
        if os.environ.get("ROBOTRAIN_TEST_WRITE"):
            keys = table.get(command, {"has": []})["has"]
            table[command] = {"exit_code": answer.exit_code, "has": sorted({*keys, *now})}
        before = table[command]
        lost += [f"robotrain {command}: no {key}" for key in before["has"] if key not in now]
        if answer.exit_code != before["exit_code"]:
            lost.append(f"robotrain {command}: exit code {answer.exit_code}, not {before['exit_code']}")
    if os.environ.get("ROBOTRAIN_TEST_WRITE"):
        lines = [f"{json.dumps(command)}: {json.dumps(row)}" for command, row in sorted(table.items())]
        TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    assert not lost, "\n".join(lost)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The temporary folder, in an environment without any setting of whoever runs this."""
    for name in [name for name in os.environ if not name.startswith(("ROBOTRAIN_TEST_", "PYTEST_", "COV_"))]:
        monkeypatch.delenv(name)
    for name, folder in {"HOME": "home", "ROBOTRAIN_STATE": "state", "ROBOTRAIN_CACHE": "cache"}.items():
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.setenv(name, str(tmp_path / folder))
    fixed = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "LANG": "C.UTF-8", "COLUMNS": "100", "TZ": "UTC"}
    for name, value in {**fixed, "ROBOTRAIN_NETWORK_SECONDS": "60"}.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


def find_keys(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each key, down to three keys: `runs[].state`."""
    if isinstance(value, list):
        for part in value:
            yield from find_keys(part, f"{path}[]")
    elif isinstance(value, dict):
        for key, part in value.items():
            yield (at := f"{path}.{key}".lstrip("."))
            if at.count(".") < 2:
                yield from find_keys(part, at)


def read_json(out: str) -> Any:
    """Return the JSON that was printed; None where something else was."""
    try:
        return json.loads(out)
    except ValueError:
        return None


def read_options(out: str) -> list[str]:
    """Return the options of a help text, and the environment variables that set them."""
    options: set[str] = set()
    name = r"--?[A-Za-z][\w-]*"
    for block in re.findall(r"^  (-.*(?:\n {20,}.*)*)", out, re.MULTILINE):
        names = re.findall(name, re.match(rf"{name}(?:(?:, | ?/ ?){name})*", block)[0])
        variables = ", ".join(re.findall(r"env:\s+([A-Z0-9_]+(?:,\s+[A-Z0-9_]+)*)", block))
        options.update(names, re.findall(r"\w+", variables))
    return sorted(options)


def write_scores() -> None:
    """Write files of episodes: of two policies, and of two trainings of each."""
    rows = [f"{policy},{start},1,{training}" for policy in "ab" for training in "12" for start in range(3)]
    Path("trainings.csv").write_text("\n".join(["policy,start,success,training", *rows]))
    once = [row for row in rows if row.endswith(",1")]
    Path("episodes.csv").write_text("\n".join(["policy,start,success,note", *once]))


def write_runs(root: Path) -> dict[str, str]:
    """Write the files of `runs_on_disk.json` below `root`; return the name of each run by its label."""
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
