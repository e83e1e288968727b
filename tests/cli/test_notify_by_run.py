"""`submit --notify`: the run itself tells channels, by references to secrets of its platform; else it is refused."""

import dataclasses
import json

import pytest
from problem_assertions import check_rejected
from robotrain import api
from robotrain.errors import Rejected
from robotrain.model.run import Status
from robotrain.store import records
from robotrain.submission.same_job import leave_out_channels

OSMO = ("--platform", "osmo", "--pool", "p", "--tracking-uri", "none", "--publish-url", "none")
WORKSPACE = ("--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w-1", "--compute", "gpus")
AZUREML = ("--platform", "azureml", *WORKSPACE, "--key-vault", "robots")
SLURM = ("--platform", "slurm", "--runs-dir", "/shared/runs", "--cache-dir", "/shared/cache")


@pytest.fixture
def preview(robotrain, pusht):
    """Return the job document of a dry run: `preview("--notify", "team")`."""

    def run(*words: object, command=("submit",), data=("--dataset-path", pusht)) -> dict:
        answer = robotrain(*command, *data, *words, "--dry-run", "--json")
        assert answer.exit_code == 0, answer.stderr
        assert "SECRET" not in answer.stdout + answer.stderr
        return json.loads(answer.json["files"]["job.json"]["text"])

    return run


def test_run_on_this_machine_reads_the_file_of_the_channel(preview, add_channel, webhook):
    file = add_channel("team", webhook)
    other = add_channel("on-call", f"{webhook}/two", local="/etc/robotrain/on-call")
    document = preview("--platform", "local", "--notify", "team,on-call,team", "--secret", f"API_TOKEN={other}")
    assert document["placement"]["secrets"] == {
        "API_TOKEN": str(other),
        "ROBOTRAIN_NOTIFY_team": str(file),
        "ROBOTRAIN_NOTIFY_on_call": "/etc/robotrain/on-call",
    }


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
    robotrain, add_channel, webhook, monkeypatch, words, reference, plugins
):
    """What each platform renders of it is tested there."""
    rendered = []

    def stop(prepared, *args, **options):
        rendered.append(prepared.render(1))
        raise Rejected([])

    monkeypatch.setattr("robotrain.submission.dry_run.dry_run_job", stop)
    add_channel("team", webhook, **{words[1]: reference})
    robotrain("submit", "command", *words, "--notify", "team", "--dry-run", "--", "true")
    (made,) = rendered
    assert json.loads(made.settings["secrets"]) == {"ROBOTRAIN_NOTIFY_team": reference}
    assert {name for name in made.container_plugins if name.startswith("secrets.")} == plugins
    assert {row["name"]: row["origin"] for row in made.values}["secrets"] == "flag --notify"


@pytest.fixture
def running(monkeypatch):
    """What is sent to this machine is running there."""
    platform = "robotrain_local.engine.LocalEngine"
    monkeypatch.setattr(f"{platform}.preflight", lambda self, plan: iter(()))
    monkeypatch.setattr(f"{platform}.submit", lambda self, plan: {"run": plan.run, "work": "/nowhere"})
    monkeypatch.setattr(f"{platform}.status", lambda self, reference: Status(state="running"))


def test_run_that_goes_on_without_the_channels_names_the_command_that_tells_them(
    running, robotrain, add_channel, webhook, pusht
):
    add_channel("team", webhook)
    add_channel("on-call", webhook)

    def submit(names: str) -> str:
        return robotrain("submit", "--platform", "local", "--dataset-path", pusht, "--notify", names).stderr

    submit("team")
    (run,) = records.list_runs()
    assert "--notify" not in submit("team")
    assert f"robotrain wait --notify on-call {run} " in submit("team,on-call")
    records.write_record(dataclasses.replace(records.read_record(run), host=""))  # as an adopted one
    assert f"robotrain wait --notify team {run} " in submit("team"), "it tells those of its sender"


def test_channels_make_no_other_job_of_one_that_runs(running, robotrain, add_channel, webhook, pusht):
    add_channel("team", webhook)
    add_channel("phone", webhook)

    def submit(*words: str) -> tuple[str, bool]:
        answer = robotrain("submit", "--platform", "local", "--dataset-path", pusht, "--json", *words)
        assert answer.exit_code == 0, answer.stderr
        return answer.json["run"], answer.json["new"]

    first, _ = submit("--notify", "team")
    assert submit() == submit("--notify", "phone") == submit("--notify", "team") == (first, False)
    assert api.submit(platform="local", dataset_path=pusht, notify="team").name == first
    other, is_new = submit("--secret", f"API_TOKEN={add_channel('token', webhook)}")
    assert (is_new, other != first) == (True, True), "its program may do something else with one"


def test_a_call_gives_the_run_its_channels_as_the_option_does(add_channel, webhook, pusht, monkeypatch):
    platform = "robotrain_local.engine.LocalEngine"
    monkeypatch.setattr(f"{platform}.preflight", lambda self, plan: iter(()))
    monkeypatch.setattr(f"{platform}.submit", lambda self, plan: {"run": plan.run, "work": "/nowhere"})
    file = add_channel("team", webhook)
    run = api.submit(platform="local", dataset_path=pusht, notify="team")
    assert json.loads(run.record.settings["secrets"]) == {"ROBOTRAIN_NOTIFY_team": str(file)}
    with check_rejected("notify-unknown --notify"):
        api.submit(platform="local", dataset_path=pusht, notify="taem")


def test_job_that_tells_nobody_is_sent_as_before(preview):
    assert "secrets" not in preview("--platform", "local")["placement"]


def test_channel_without_a_secret_for_the_platform_is_refused(robotrain, add_channel, webhook):
    add_channel("team", webhook, azureml="team-webhook")
    answer = robotrain("submit", *OSMO, "-d", "lerobot/pusht", "--notify", "team")
    answer.check_problems(2, "notify-no-secret --notify")
    assert "SECRET" not in answer.stderr


@pytest.mark.parametrize(("words", "reference"), [(OSMO, "not a name"), (AZUREML, "a_b"), (SLURM, "secrets/team")])
def test_reference_that_the_platform_cannot_read_is_refused(robotrain, add_channel, webhook, words, reference):
    add_channel("team", webhook, **{words[1]: reference})
    answer = robotrain("submit", *words, "-d", "lerobot/pusht", "--notify", "team")
    answer.check_problems(2, "secret-reference-invalid --notify team")
    assert reference not in answer.stderr


def test_address_that_is_itself_in_the_configuration_is_refused_and_not_shown(robotrain, add_channel, webhook):
    add_channel("team", webhook, osmo="https://hooks.slack.com/services/T0SECRET/B0/abcdefghijklmnop")
    answer = robotrain("submit", *OSMO, "-d", "lerobot/pusht", "--notify", "team")
    answer.check_problems(2, "secret-reference-invalid --notify team")
    assert "SECRET" not in answer.stderr


def test_channel_of_this_machine_that_no_run_can_tell_is_refused(robotrain, add_channel, webhook, pusht):
    add_channel("phone", "tgram://T0SECRET/1")
    add_channel("open", webhook, mode=0o644)
    add_channel("empty", "")
    answer = robotrain("submit", "--platform", "local", "--dataset-path", pusht, "--notify", "phone,open,empty,opne")
    answer.check_problems(
        2, "notify-address-invalid --notify", "notify-address-exposed", "notify-unknown", "notify-address-invalid"
    )
    assert "SECRET" not in answer.stderr


def test_platform_that_cannot_is_named_with_who_can(robotrain, add_channel, webhook, fake_platform, job_words):
    add_channel("team", webhook, fake="a")
    robotrain("submit", *job_words, "--notify", "team").check_problems(3, "feature-not-there")


def test_who_waits_tells_and_the_run_does_not(
    preview, robotrain, add_channel, webhook, pusht, fake_platform, job_words
):
    add_channel("team", webhook)
    waiting = robotrain("submit", *job_words, "--notify", "team", "--wait", "--timeout", "0.1s", "--no-pin")
    assert "feature-not-there" not in waiting.stderr, "this machine tells"


@pytest.mark.parametrize(
    "command",
    [("pipeline", "train-eval"), ("sweep", "--over", "seed=1,2")],
    ids=["pipeline", "sweep"],
)
def test_end_of_several_jobs_is_told_by_who_waits_alone(robotrain, add_channel, webhook, command):
    add_channel("team", webhook)
    words = ("--platform", "local", "-d", "lerobot/pusht", "--no-pin", "--notify", "team")
    robotrain(*command, *words).check_problems(2, "option-without-effect --notify")


def test_plan_that_was_rendered_is_not_changed(robotrain, add_channel, webhook, pusht, tmp_path):
    add_channel("team", webhook)
    assert robotrain("render", "--platform", "local", "--dataset-path", pusht, "--to", tmp_path / "plan").exit_code == 0
    robotrain("submit", "--plan", tmp_path / "plan", "--notify", "team").check_problems(2, "option-without-effect")


def test_malformed_channels_of_the_configuration_are_a_warning(robotrain, add_channel, webhook, pusht):
    add_channel("team", webhook)
    add_channel("bad", webhook, osmo="")
    answer = robotrain("submit", "--platform", "local", "--dataset-path", pusht, "--notify", "team")
    answer.check_problems(2, "file-malformed", "notify-unknown")


def test_job_of_another_user_tells_no_channel_of_theirs():
    secrets = {"API_TOKEN": "~/.secrets/api", "ROBOTRAIN_NOTIFY_team": "~/.secrets/team"}
    assert leave_out_channels(json.dumps(secrets)) == '{"API_TOKEN": "~/.secrets/api"}'
    assert leave_out_channels('{"ROBOTRAIN_NOTIFY_team": "~/.secrets/team"}') is None
