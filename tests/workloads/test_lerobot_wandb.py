"""Logging to Weights & Biases: off unless requested, and refused at once where nobody is signed in."""

import sys
import types
from pathlib import Path

import job_documents
import pytest
from job_documents import check_findings, check_job, get_work, read_options
from problem_assertions import check_problems
from robotrain_runtime.contract.event import Checkpoint
from robotrain_workloads.lerobot_train import parameters, wandb
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN
from small_training import SMALL, Trained

KEY = "0123456789" * 4
SERVER = "127.0.0.1:9"
NAMES = ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_CONFIG_DIR", "WANDB_IDENTITY_TOKEN_FILE", "NETRC")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A home without a key, and a server of one's own."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://{SERVER}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def wandb_options(document) -> dict[str, str]:
    """The options that LeRobot gets about it."""
    options = read_options(get_work(document).arguments)
    return {name: value for name, value in options.items() if name.startswith("--wandb")}


def find_problems(document) -> list[str]:
    return [line for line in job_documents.find_problems(document) if "wandb" in line.lower()]


def test_it_is_off_unless_requested(training, pusht, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert wandb_options(training(pusht)) == {"--wandb.enable": "false"}
    assert find_problems(training(pusht)) == []


def test_the_project_is_the_experiment_and_no_checkpoint_is_uploaded(training, pusht):
    assert wandb_options(training(pusht, wandb=True, job_name="arm")) == {
        "--wandb.enable": "true",
        "--wandb.project": "lerobot-act-arm",
        "--wandb.mode": "online",
        "--wandb.disable_artifact": "true",
    }
    options = wandb_options(
        training(pusht, wandb=True, experiment_name="mine", args=["--wandb.disable_artifact=false"])
    )
    assert (options["--wandb.project"], options["--wandb.disable_artifact"]) == ("mine", "false")


@pytest.mark.parametrize(("value", "mode"), [("dryrun", "offline"), ("disabled", "disabled"), ("Online", "online")])
def test_the_mode_is_that_of_the_environment_and_only_online_needs_a_key(training, pusht, monkeypatch, value, mode):
    monkeypatch.setenv("WANDB_MODE", value)
    assert wandb_options(training(pusht, wandb=True))["--wandb.mode"] == mode
    assert bool(find_problems(training(pusht, wandb=True))) is (mode == "online")


def test_an_attempt_continues_its_own_run_and_a_new_run_has_another(training, pusht, saved):
    saved("work/outputs/checkpoints/000100", 100)
    attempt = wandb_options(training(pusht, wandb=True, training_steps=500))
    assert "--wandb.run_id" not in attempt  # it is in the checkpoint
    elsewhere = saved("elsewhere/000100", 100, run="another")
    resumed = training(pusht, placement={"work": "/new"}, wandb=True, training_steps=500, starts={"resume": elsewhere})
    first, second = wandb_options(resumed), wandb_options(resumed)
    assert first["--wandb.run_id"] != second["--wandb.run_id"]
    assert first.keys() - parameters.OWNED_OPTIONS.keys() == {"--wandb.disable_artifact"}  # users cannot set the others


def test_a_run_that_the_server_does_not_know_can_be_resumed(monkeypatch):
    module = types.ModuleType("wandb")
    module.init = dict
    monkeypatch.setitem(sys.modules, "wandb", module)
    wandb.allow_unknown_runs()
    assert module.init(id="a", resume="must") == {"id": "a", "resume": "allow"}
    assert module.init(id="a", resume=None) == {"id": "a", "resume": None}


def test_without_a_key_it_is_refused_with_the_way_to_sign_in(training, pusht):
    for placement, way in (
        (None, "wandb login"),
        ({"ways": {"wandb": "--wandb-credential NAME"}}, "--wandb-credential"),
    ):
        check_findings(find_problems(training(pusht, wandb=True, placement=placement)), fact=way)


@pytest.mark.parametrize("key", [f"local-{KEY}", "head.body.signature"])
def test_a_key_in_the_environment_is_enough(training, pusht, monkeypatch, key):
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert find_problems(training(pusht, wandb=True)) == []


def test_a_key_that_is_a_secret_of_the_job_is_enough(training, pusht):
    placement = {"secrets": {"WANDB_API_KEY": "/home/me/.secrets/wandb"}}
    assert find_problems(training(pusht, wandb=True, placement=placement)) == []


def test_a_login_counts_for_the_server_that_it_was_for(training, pusht, home, monkeypatch):
    (home / ".netrc").write_text(f"machine {SERVER}\n  login user\n  password {KEY}\n")
    (home / ".netrc").chmod(0o600)
    assert find_problems(training(pusht, wandb=True)) == []
    monkeypatch.setenv("NETRC", str(home / "another"))
    assert len(find_problems(training(pusht, wandb=True))) == 1
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("WANDB_BASE_URL", f"http://localhost.{SERVER}")
    check_findings(find_problems(training(pusht, wandb=True))[:1], fact="wandb login")


def test_the_server_is_the_one_that_wandb_login_saved(training, pusht, home, monkeypatch):
    monkeypatch.delenv("WANDB_BASE_URL")
    (home / ".config/wandb").mkdir(parents=True)
    (home / ".config/wandb/settings").write_text(f"[default]\nbase_url = http://{SERVER}\n")
    (home / ".netrc").write_text(f"machine {SERVER}\n  login user\n  password {KEY}\n")
    (home / ".netrc").chmod(0o600)
    assert find_problems(training(pusht, wandb=True)) == []


@pytest.mark.parametrize("text", ["\0", "machine 127.0.0.1 login user"])
def test_a_netrc_file_without_the_key_is_no_login(training, pusht, home, text):
    (home / ".netrc").write_text(text)
    (home / ".netrc").chmod(0o600)
    assert len(find_problems(training(pusht, wandb=True))) == 1


@pytest.mark.parametrize("name", ["team/arm", "x" * 129], ids=["slash", "long"])
def test_an_experiment_name_that_is_no_project_name_is_refused_before_submission(name):
    problems = check_job(LEROBOT_TRAIN, wandb=True, experiment_name=name)
    check_problems(problems, "value-invalid")
    assert check_job(LEROBOT_TRAIN, wandb=False, experiment_name=name) == []
    assert check_job(LEROBOT_TRAIN, wandb=True, experiment_name="lerobot-act") == []


@pytest.mark.slow
@pytest.mark.long
def test_a_training_logs_its_metrics_offline_and_a_resumed_one_logs_a_run_of_its_own(train, pusht, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    ran = train(pusht, SMALL["act"], wandb=True)
    starts = {"resume": ran.events(Checkpoint)[-1].path}
    again = train(pusht, SMALL["act"], starts, work="again", wandb=True, training_steps=8)
    (first,), (second,) = list_logged_files(ran), list_logged_files(again)
    assert first.name.split("-")[-1] != second.name.split("-")[-1]
    for file in (first, second):
        content = file.read_bytes()
        assert all(name in content for name in (b"train/loss", b"eval/eval_loss", b"lerobot-act-lerobot-act-training"))
        assert b"model.safetensors" not in content


def list_logged_files(ran: Trained) -> list[Path]:
    """What Weights & Biases would be sent, one file a run."""
    return list((ran.work / "outputs/wandb").glob("offline-run-*/run-*.wandb"))
