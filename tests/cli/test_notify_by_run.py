"""`submit --notify`: the run itself tells the webhook, by a reference to a secret of its platform."""

import dataclasses
import json

import pytest
from problem_assertions import check_rejected
from robotrain import api
from robotrain.errors import Rejected
from robotrain.model.run import Status
from robotrain.store import records
from robotrain.submission.same_job import leave_out_webhook

OSMO = ("--platform", "osmo", "--pool", "p", "--tracking-uri", "none", "--publish-url", "none")
WORKSPACE = ("--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w-1", "--compute", "gpus")
AZUREML = ("--platform", "azureml", *WORKSPACE, "--key-vault", "robots")
SLURM = ("--platform", "slurm", "--runs-dir", "/shared/runs", "--cache-dir", "/shared/cache")


@pytest.fixture
def preview(robotrain, pusht):
    """Return the job document of a dry run: `preview("--notify")`."""

    def run(*words: object, command=("submit",), data=("--dataset-path", pusht)) -> dict:
        answer = robotrain(*command, *data, *words, "--dry-run", "--json")
        assert answer.exit_code == 0, answer.stderr
        assert "SECRET" not in answer.stdout + answer.stderr
        return json.loads(answer.json["files"]["job.json"]["text"])

    return run


def test_run_on_this_machine_reads_the_file_of_the_webhook(preview, set_webhook, webhook, tmp_path):
    file = set_webhook(webhook)
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("T0SECRET")
    document = preview("--platform", "local", "--notify", "--secret", f"API_TOKEN={token}")
    assert document["placement"]["secrets"] == {"API_TOKEN": str(token), "ROBOTRAIN_NOTIFY": str(file)}
    set_webhook(webhook, local="/etc/robotrain/webhook")
    document = preview("--platform", "local", "--notify")
    assert document["placement"]["secrets"] == {"ROBOTRAIN_NOTIFY": "/etc/robotrain/webhook"}


@pytest.mark.parametrize(
    ("words", "reference", "plugins"),
    [
        (OSMO, "team-webhook", set()),
        (AZUREML, "team-webhook", {"secrets.key_vault"}),
        (SLURM, "~/.secrets/team", set()),
    ],
    ids=["osmo", "azureml", "slurm"],
)
def test_run_elsewhere_has_the_reference_of_its_platform(
    robotrain, set_webhook, webhook, monkeypatch, words, reference, plugins
):
    """What each platform renders of it is tested there."""
    rendered = []

    def stop(prepared, *args, **options):
        rendered.append(prepared.render(1))
        raise Rejected([])

    monkeypatch.setattr("robotrain.cli.commands.sending.dry_run_job", stop)
    set_webhook(webhook, **{words[1]: reference})
    robotrain("submit", "command", *words, "--notify", "--dry-run", "--", "true")
    (made,) = rendered
    assert json.loads(made.settings["secrets"]) == {"ROBOTRAIN_NOTIFY": reference}
    assert {name for name in made.container_plugins if name.startswith("secrets.")} == plugins
    assert {row["name"]: row["origin"] for row in made.values}["secrets"] == "flag --notify"


@pytest.fixture
def running(monkeypatch):
    """What is sent to this machine is running there."""
    platform = "robotrain_local.engine.LocalEngine"
    monkeypatch.setattr(f"{platform}.preflight", lambda self, plan: iter(()))
    monkeypatch.setattr(f"{platform}.submit", lambda self, plan: {"run": plan.run, "work": "/nowhere"})
    monkeypatch.setattr(f"{platform}.status", lambda self, reference: Status(state="running"))


def test_run_that_goes_on_without_the_webhook_names_the_command_that_tells_it(
    running, robotrain, set_webhook, webhook, pusht
):
    set_webhook(webhook)

    def submit(*words: str) -> str:
        return robotrain("submit", "--platform", "local", "--dataset-path", pusht, *words).stderr

    submit()
    (run,) = records.list_runs()
    assert "--notify" not in submit()
    assert f"robotrain wait --notify {run} " in submit("--notify")


def test_run_of_another_user_tells_theirs(running, robotrain, set_webhook, webhook, pusht):
    set_webhook(webhook)
    words = ("submit", "--platform", "local", "--dataset-path", pusht, "--notify")
    robotrain(*words)
    (run,) = records.list_runs()
    assert "robotrain wait" not in robotrain(*words).stderr
    records.write_record(dataclasses.replace(records.read_record(run), host=""))  # as an adopted one
    assert f"robotrain wait --notify {run} " in robotrain(*words).stderr


def test_webhook_makes_no_other_job_of_one_that_runs(running, robotrain, set_webhook, webhook, pusht, tmp_path):
    token = set_webhook(webhook)

    def submit(*words: str) -> tuple[str, bool]:
        answer = robotrain("submit", "--platform", "local", "--dataset-path", pusht, "--json", *words)
        assert answer.exit_code == 0, answer.stderr
        return answer.json["run"], answer.json["new"]

    first, _ = submit("--notify")
    assert submit() == submit("--notify") == (first, False)
    assert api.submit(platform="local", dataset_path=pusht, notify=True).name == first
    other, is_new = submit("--secret", f"API_TOKEN={token}")
    assert (is_new, other != first) == (True, True), "its program may do something else with one"


def test_a_call_lets_the_run_tell_as_the_option_does(running, set_webhook, webhook, pusht):
    file = set_webhook(webhook)
    run = api.submit(platform="local", dataset_path=pusht, notify=True)
    assert json.loads(run.record.settings["secrets"]) == {"ROBOTRAIN_NOTIFY": str(file)}
    file.write_text("")
    with check_rejected("notify-address-invalid --notify"):
        api.submit(platform="local", dataset_path=pusht, notify=True, new=True)


def test_job_that_tells_nobody_is_sent_as_before(preview):
    assert "secrets" not in preview("--platform", "local")["placement"]


def test_webhook_without_a_secret_for_the_platform_is_refused(robotrain, set_webhook, webhook):
    set_webhook(webhook, azureml="team-webhook")
    answer = robotrain("submit", *OSMO, "-d", "lerobot/pusht", "--notify")
    answer.check_problems(2, "notify-no-secret --notify")
    assert "SECRET" not in answer.stderr


ADDRESS = "https://hooks.slack.com/services/T0SECRET/B0/abcdefghijklmnop"


@pytest.mark.parametrize(
    ("words", "reference"), [(OSMO, "not a name"), (AZUREML, "a_b"), (SLURM, "secrets/team"), (OSMO, ADDRESS)]
)
def test_reference_that_the_platform_cannot_read_is_refused_and_not_shown(
    robotrain, set_webhook, webhook, words, reference
):
    set_webhook(webhook, **{words[1]: reference})
    answer = robotrain("submit", *words, "-d", "lerobot/pusht", "--notify")
    answer.check_problems(2, "secret-reference-invalid --secret ROBOTRAIN_NOTIFY")
    assert reference not in answer.stderr


def test_file_of_this_machine_that_no_run_can_use_is_refused(robotrain, set_webhook, pusht):
    set_webhook("tgram://T0SECRET/1")
    answer = robotrain("submit", "--platform", "local", "--dataset-path", pusht, "--notify")
    answer.check_problems(2, "notify-address-invalid --notify")
    assert "SECRET" not in answer.stderr


def test_platform_that_cannot_is_named_with_who_can(robotrain, set_webhook, webhook, fake_platform, job_words):
    set_webhook(webhook, fake="a")
    robotrain("submit", *job_words, "--notify").check_problems(3, "feature-not-there")


def test_who_waits_tells_and_the_run_does_not(robotrain, set_webhook, webhook, fake_platform, job_words):
    set_webhook(webhook)
    waiting = robotrain("submit", *job_words, "--notify", "--wait", "--timeout", "0.1s", "--no-pin")
    assert "feature-not-there" not in waiting.stderr, "this machine tells"


@pytest.mark.parametrize(
    "command",
    [("pipeline", "train-eval"), ("sweep", "--over", "seed=1,2")],
    ids=["pipeline", "sweep"],
)
def test_end_of_several_jobs_is_told_by_who_waits_alone(robotrain, set_webhook, webhook, command):
    set_webhook(webhook)
    words = ("--platform", "local", "-d", "lerobot/pusht", "--no-pin", "--notify")
    robotrain(*command, *words).check_problems(2, "option-without-effect --notify")


def test_plan_that_was_rendered_is_not_changed(robotrain, set_webhook, webhook, pusht, tmp_path):
    set_webhook(webhook)
    assert robotrain("render", "--platform", "local", "--dataset-path", pusht, "--to", tmp_path / "plan").exit_code == 0
    robotrain("submit", "--plan", tmp_path / "plan", "--notify").check_problems(2, "option-without-effect")


def test_job_of_another_user_does_not_tell_their_webhook():
    secrets = {"API_TOKEN": "~/.secrets/api", "ROBOTRAIN_NOTIFY": "~/.secrets/team"}
    assert leave_out_webhook(json.dumps(secrets)) == '{"API_TOKEN": "~/.secrets/api"}'
    assert leave_out_webhook('{"ROBOTRAIN_NOTIFY": "~/.secrets/team"}') is None
