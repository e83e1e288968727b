"""Logging to Weights & Biases: off until it is asked for, and refused at once where nobody could be let in."""

import socket
import sys
import types
from pathlib import Path

import pytest
from local_server import QuietHandler, serve
from robotrain.model.job import Job
from robotrain_runtime.contract.event import Checkpoint
from robotrain_workloads.lerobot_train import container, parameters, wandb
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN
from small_training import SMALL, Trained

KEY = "0123456789" * 4
NAMES = ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_CONFIG_DIR", "WANDB_IDENTITY_TOKEN_FILE", "NETRC")

ADDRESSES = (
    *("http://user:secret@127.0.0.1:9", "http://u:secret@:x", "nonsense"),
    *(
        "http://user:secret/more@127.0.0.1:9",
        "http://user:more/secret@127.0.0.1:9",
        "http://user:12?secret@127.0.0.1:9",
    ),
)


class NotFound(QuietHandler):
    def do_GET(self) -> None:
        self.answer(status=404)


@pytest.fixture(scope="module")
def server():
    """Somebody who answers."""
    with serve(NotFound) as address:
        yield address.removeprefix("http://")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, server) -> Path:
    """A home without a key, and a server that is there."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://{server}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,127.0.0.2")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def wandb_options(document) -> dict[str, str]:
    """The options that LeRobot gets about it."""
    data = {source: Path(source.uri) for source in document.sources}
    arguments = container.work(document, data, Path(document.placement.work)).arguments
    return dict(part.split("=", 1) for part in arguments if part.startswith("--wandb"))


def find_problems(document) -> list[str]:
    data = {source: Path(source.uri) for source in document.sources}
    return [line for line in container.inspect(document, data) if "wandb" in line.lower()]


def test_it_is_off_unless_it_is_asked_for(training, pusht, monkeypatch):
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
    said = training(pusht, wandb=True, experiment_name="mine", args=["--wandb.disable_artifact=false"])
    assert wandb_options(said)["--wandb.project"] == "mine"
    assert wandb_options(said)["--wandb.disable_artifact"] == "false"


@pytest.mark.parametrize(("said", "mode"), [("dryrun", "offline"), ("disabled", "disabled"), ("Online", "online")])
def test_the_mode_is_that_of_the_environment(training, pusht, monkeypatch, said, mode):
    monkeypatch.setenv("WANDB_MODE", said)
    assert wandb_options(training(pusht, wandb=True))["--wandb.mode"] == mode


def test_what_robotrain_sets_cannot_be_given_to_the_trainer(training, pusht, saved):
    elsewhere = saved("elsewhere/000100", 100)
    document = training(pusht, wandb=True, training_steps=500, starts={"resume": elsewhere})
    assert "--wandb.run_id" in wandb_options(document)
    assert wandb_options(document).keys() - parameters.OWNED_OPTIONS.keys() == {"--wandb.disable_artifact"}


def test_an_attempt_goes_on_with_its_own_run_and_a_new_run_has_another(training, pusht, saved):
    saved("work/outputs/checkpoints/000100", 100)
    assert "--wandb.run_id" not in wandb_options(
        training(pusht, wandb=True, training_steps=500)
    )  # it is in the checkpoint
    elsewhere = saved("elsewhere/000100", 100, run="another")
    resumed = training(pusht, placement={"work": "/new"}, wandb=True, training_steps=500, starts={"resume": elsewhere})
    assert wandb_options(resumed)["--wandb.run_id"] != wandb_options(resumed)["--wandb.run_id"]


def test_a_run_that_the_server_does_not_know_yet_can_be_gone_on_with(monkeypatch):
    module = types.ModuleType("wandb")
    module.init = dict
    monkeypatch.setitem(sys.modules, "wandb", module)
    wandb.allow_unknown_runs()
    assert module.init(id="a", resume="must") == {"id": "a", "resume": "allow"}
    assert module.init(id="a", resume=None) == {"id": "a", "resume": None}


def test_without_a_key_it_is_refused_with_the_way_to_sign_in(training, pusht):
    (line,) = find_problems(training(pusht, wandb=True))
    assert "not signed in" in line
    assert "\nwandb login " in line
    (line,) = find_problems(training(pusht, wandb=True, placement={"ways": {"wandb": "--wandb-credential NAME"}}))
    assert line.endswith("\n--wandb-credential NAME")


@pytest.mark.parametrize("key", [f"local-{KEY}", "head.body.signature"])
def test_a_key_in_the_environment_is_enough(training, pusht, monkeypatch, key):
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert find_problems(training(pusht, wandb=True)) == []


@pytest.mark.parametrize("key", ["secret-short", KEY + "\n"])
def test_what_is_no_key_is_refused_and_not_repeated(training, pusht, monkeypatch, key):
    monkeypatch.setenv("WANDB_API_KEY", key)
    (line,) = find_problems(training(pusht, wandb=True))
    assert f"{len(key)} characters" in line
    assert key.strip() not in line


@pytest.mark.parametrize("mode", ["dryrun"])
def test_offline_needs_no_key(training, pusht, monkeypatch, mode):
    monkeypatch.setenv("WANDB_MODE", mode)
    assert find_problems(training(pusht, wandb=True)) == []


def test_a_login_counts_for_the_server_that_it_was_for(training, pusht, home, server, monkeypatch):
    (home / ".netrc").write_text(f"machine {server}\n  login user\n  password {KEY}\n")
    (home / ".netrc").chmod(0o600)
    assert find_problems(training(pusht, wandb=True)) == []
    monkeypatch.setenv("NETRC", str(home / "another"))
    assert len(find_problems(training(pusht, wandb=True))) == 1
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("WANDB_BASE_URL", f"http://localhost.{server}")
    assert "not signed in" in find_problems(training(pusht, wandb=True))[0]


def test_the_server_is_the_one_that_wandb_login_wrote_down(training, pusht, home, server, monkeypatch):
    monkeypatch.delenv("WANDB_BASE_URL")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    (home / ".config/wandb").mkdir(parents=True)
    (home / ".config/wandb/settings").write_text(f"[default]\nbase_url = http://{server}\n")
    assert find_problems(training(pusht, wandb=True)) == []


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_server_that_is_not_there_is_told_at_once_and_not_asked_for_minutes(training, pusht, monkeypatch, address):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", address)
    (line,) = find_problems(training(pusht, wandb=True))
    assert "cannot reach" in line
    assert "\nWANDB_MODE=offline" in line
    assert "secret" not in line


def test_a_server_that_answered_before_the_data_was_fetched_is_not_asked_again():
    with serve(NotFound) as address:
        before = wandb.explain_unreachable(address)
    assert (before, wandb.explain_unreachable(address)) == ("", "")


def test_a_server_that_says_nothing_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = wandb.explain_unreachable(f"http://127.0.0.1:{silent.getsockname()[1]}", seconds=0.1)
    assert "time" in said or "no answer" in said


@pytest.mark.parametrize("text", ["\0", "machine 127.0.0.1 login user"])
def test_a_file_of_keys_that_says_nothing_is_no_login(training, pusht, home, text):
    (home / ".netrc").write_text(text)
    (home / ".netrc").chmod(0o600)
    assert len(find_problems(training(pusht, wandb=True))) == 1


@pytest.mark.parametrize(("name", "why"), [("team/arm", "cannot have /"), ("x" * 129, "128")])
def test_an_experiment_that_no_project_can_be_called_is_told_before_anything_is_sent(name, why):
    def job(**given) -> Job:
        parameters = {parameter: None for parameter in ("lerobot_version", "publish_url", "keep")}
        usual = {"device": "auto", "mixed_precision": "no", "num_gpus": 1, "policy_type": "act", "job_name": "j"}
        usual |= {"training_steps": 1000}
        return Job(workload="lerobot-train", parameters=tuple({**parameters, **usual, **given}.items()))

    (problem,) = LEROBOT_TRAIN.check(job(wandb=True, experiment_name=name))
    assert problem.code == "wandb-project-invalid"
    assert why in problem.why
    assert list(LEROBOT_TRAIN.check(job(wandb=False, experiment_name=name))) == []
    assert list(LEROBOT_TRAIN.check(job(wandb=True, experiment_name="lerobot-act"))) == []


@pytest.mark.slow
@pytest.mark.long
def test_a_training_writes_its_numbers_for_weights_and_biases_down_and_goes_on_with_them(train, pusht, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    ran = train(pusht, SMALL["act"], wandb=True)
    assert ran.exit_code == 0, "\n".join(ran.lines)
    starts = {"resume": ran.events(Checkpoint)[-1].path}
    again = train(pusht, SMALL["act"], starts, work="again", wandb=True, training_steps=8)
    assert again.exit_code == 0, "\n".join(again.lines)
    (first,), (second,) = list_logged_files(ran), list_logged_files(again)
    assert first.name.split("-")[-1] != second.name.split("-")[-1]
    for file in (first, second):
        content = file.read_bytes()
        assert all(name in content for name in (b"train/loss", b"eval/eval_loss", b"lerobot-act-lerobot-act-training"))
        assert b"model.safetensors" not in content


def list_logged_files(ran: Trained) -> list[Path]:
    """What Weights & Biases would be sent, one file a run."""
    return list((ran.work / "outputs/wandb").glob("offline-run-*/run-*.wandb"))
