"""Fixtures of the command-line tests: scripted runs, delayed actions, cache entries."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
from local_server import serve_webhook
from robotrain_runtime.comparison.rates import compute_success_interval
from robotrain_runtime.contract.event import Evaluated
from scripted_runs import ScriptedRuns


@pytest.fixture
def scripted(tmp_path, install):
    """Make runs on scripted platforms: `scripted.run("train-1", "a line", Metrics(…), state="failed")`."""
    made = ScriptedRuns(tmp_path / "scripted", install)
    yield made
    made.end()


@pytest.fixture
def record_evaluation(scripted, tmp_path):
    """Create an evaluation with the outcome of each episode: `record_evaluation("eval-1", [True, False])`.

    `rows`: further fields of each episode. `policy`, `rollout`: fields of both. `first`: the number of the first start.
    """

    def make(
        name, outcomes, conditions="pusht, easy starts", *, first=1000, rows=None, policy=None, rollout=None, called=""
    ):
        (folder := tmp_path / name / "eval_results").mkdir(parents=True)
        more = rows or [{}] * len(outcomes)
        episodes = [{"trial": first + at, "success": outcome, **more[at]} for at, outcome in enumerate(outcomes)]
        content = {"rollout": {**(rollout or {}), "per_episode": episodes}, "policy": policy or {}}
        (folder / "eval_results.json").write_text(json.dumps(content))
        successes = sum(map(bool, outcomes))
        low, high = compute_success_interval(successes, len(outcomes))
        rates = {"success_rate": successes / len(outcomes), "success_rate_low": low, "success_rate_high": high}
        scores = {f"rollout/{key}": value for key, value in {**rates, "episodes": len(outcomes)}.items()}
        result = Evaluated(
            episodes=len(outcomes),
            scores=scores,
            results="/x/eval_results",
            conditions=conditions,
            digest=(policy or {}).get("sha256", ""),
        )
        run = scripted.run(name, result, state="succeeded", called=called)
        run.add_output("outputs/eval_results", kind="file", uri=str(folder))
        return run

    return make


@pytest.fixture
def write_scores(tmp_path):
    """Write a file of episodes; return its path: `write_scores("policy,start,success", "act,1,1")`."""

    def write(*lines, encoding="utf-8"):
        file = tmp_path / "episodes.csv"
        file.write_bytes("\n".join(lines).encode(encoding))
        return file

    return write


@pytest.fixture
def run_later():
    """Do things one after the other while the test goes on: `run_later(lambda: run.log("a line"), …)`."""
    threads = []

    def later(*deeds):
        def work():
            for deed in deeds:
                time.sleep(0.1)
                deed()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield later
    for thread in threads:
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache folder of the test's own; it does not exist yet."""
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def make_cache_entry(cache):
    """Make something in the cache, as the runtime and the source kinds make it."""

    def make(name: str, *, days: float = 0.0, megabytes: int = 1, complete: bool = True) -> Path:
        folder = cache / name
        folder.mkdir(parents=True)
        (folder / "content").write_bytes(os.urandom(1000 * 1000 * megabytes))
        if complete and name.startswith("environments"):
            (folder / "robotrain-complete.json").write_text("{}")
        lock = Path(f"{folder}.lock")
        lock.touch()
        moment = time.time() - days * 24 * 3600
        os.utime(lock, (moment, moment))
        return folder

    return make


@pytest.fixture
def job_words(pusht) -> tuple[object, ...]:
    """The words of a small training on the fake platform."""
    return ("--platform", "fake", "--dataset-path", pusht, "--training-steps", "7")


@pytest.fixture
def sent_run(robotrain, fake_platform, job_words) -> str:
    """The name of a training that was submitted to the fake platform."""
    return robotrain("submit", *job_words, "--no-pin").stdout.strip()


@pytest.fixture
def submit_plain(robotrain, plain_platform):
    """Submit a small training to the plain platform: `submit_plain("--seed", "7")` returns the run."""

    def submit(*words: str, data: str = "lerobot/pusht") -> str:
        line = ("submit", "--platform", "plain", "--dataset-repo-id", data, "--json", "--no-pin")
        answer = robotrain(*line, *words)
        assert answer.exit_code == 0, answer.stderr
        return str(answer.json["run"])

    return submit


@pytest.fixture
def served():
    with serve_webhook() as served:
        yield served


@pytest.fixture
def webhook(served):
    """The address of a webhook."""
    return served.address


@pytest.fixture
def taken(served):
    """What the webhook was sent, each with its path and type."""
    return served.taken


@pytest.fixture
def set_webhook(tmp_path):
    """Write the webhook of the user's configuration; return the file with its address.

    secrets: where platforms have it, by their names.
    """
    configuration = Path(os.environ["XDG_CONFIG_HOME"], "robotrain/config.toml")
    configuration.parent.mkdir(parents=True, exist_ok=True)

    def write(address: str, mode: int = 0o600, **secrets: str) -> Path:
        file = tmp_path / "webhook.secret"
        file.write_text(f"{address}\n")
        file.chmod(mode)
        lines = [f"{key} = {json.dumps(place)}" for key, place in {"file": str(file), **secrets}.items()]
        configuration.write_text("\n".join(["[notify]", *lines]))
        return file

    return write
