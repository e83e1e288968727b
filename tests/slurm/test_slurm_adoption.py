"""A run that another machine sent to Slurm becomes one of this machine's: by its job, or by its run folder."""

import dataclasses
import json
import subprocess
import threading
from pathlib import Path

import pytest
from login_node import HOST
from robotrain.errors import Rejected
from robotrain.plugins.manager import get_plugins
from robotrain.run_folder import submitted_runs
from robotrain.store import records
from robotrain.submission import adoption
from robotrain_runtime.contract import checkpoint, claim
from robotrain_slurm.platform import SLURM
from robotrain_slurm.settings import SlurmSettings

WORDS = ("--gpus", "0", "--num-gpus", "0", "--cpus", "1", "--memory", "1G", "--time", "10m")


@pytest.fixture
def submit(robotrain, slurm, tmp_path, monkeypatch):
    """Submit a small job of a colleague's, and return its run folder. `of`: the colleague's state folder."""

    def run(of: str = "colleague", *words: object) -> Path:
        monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / of))
        folders = ("--runs-dir", tmp_path / f"runs-{of}", "--cache-dir", tmp_path / "cache")
        options = ("--platform", "slurm", *folders, *WORDS, "--name", "pick", "--json", *words)
        answer = robotrain("submit", "command", *options, "--", "python3", "/opt/train.py", "--lr", "3")
        assert answer.exit_code == 0, answer.stderr
        monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "mine"))
        return tmp_path / f"runs-{of}" / answer.json["run"]

    return run


@pytest.fixture
def adopt(robotrain):
    """Adopt, and return the answer; of one that fails, its problem."""

    def run(text: object, exit_code: int = 0) -> dict:
        answer = robotrain("adopt", "--platform", "slurm", text, "--json")
        assert answer.exit_code == exit_code, answer.stderr
        return answer.json if exit_code == 0 else answer.json["problems"][0]

    return run


def edit_document(folder: Path, **values: object) -> None:
    file = folder / "job.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_an_adopted_run_is_cancelled_and_submitted_again_as_an_own_one(submit, adopt, robotrain, slurm):
    folder = submit()
    assert adopt(folder) == {"run": folder.name, "platform": "slurm", "name": "pick", "is_new": True}
    assert robotrain("cancel", "pick").exit_code == 0
    assert robotrain("status", "pick", "--json").json["state"] == "cancelled"
    answer = robotrain("resubmit", "pick", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert answer.json["run"] == folder.name[:-1] + "2"
    assert records.read_record(answer.json["run"]).parent == folder.name
    sent = json.loads(Path(records.read_record(answer.json["run"]).reference["folder"], "job.json").read_text())
    assert sent["trainer_args"] == ["python3", "/opt/train.py", "--lr", "3"]
    assert [job["state"] for job in slurm.read_jobs()] == ["CANCELLED", "PENDING"]


def test_a_run_that_is_called_as_one_of_this_machine_gets_the_next_name(submit, adopt, robotrain):
    first, second = submit(), submit("another")
    assert first.name == second.name, "two machines that never heard of each other sent the same job"
    adopt(first)
    assert adopt(second)["run"] == f"{first.name[:-1]}2"
    assert adopt(second) == {"run": f"{first.name[:-1]}2", "platform": "slurm", "name": "pick", "is_new": False}
    runs_by_name = {run["run"]: run for run in robotrain("runs", "--json").json["runs"]}
    assert [*map(str, runs_by_name)] == [f"{first.name[:-1]}2", first.name]


def test_names_that_somebody_wrote_into_a_job_are_none_of_a_command(submit, adopt, robotrain):
    folder = submit()
    record = json.loads((folder / "job.json").read_text())["record"]
    planted = {"name": "x; touch pwn #", "note": "n" * 2000, "parent": "$(touch pwn)"}
    edit_document(folder, record=record | planted)
    assert adopt(folder)["name"] == "x-touch-pwn"
    adopted = records.read_record(folder.name)
    assert (adopted.note, adopted.parent) == ("n" * 1000, "")
    answer = robotrain("resubmit", folder.name, "--new", "--json")
    assert records.read_record(answer.json["run"]).name == "x-touch-pwn"


def test_two_that_adopt_at_once_make_one_record(submit):
    folder, adopted = submit(), list[adoption.Adoption]()
    plugins = get_plugins()

    def adopt_it() -> None:
        adopted.append(adoption.adopt_submitted_run(str(folder), plugins, "slurm"))

    threads = [threading.Thread(target=adopt_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(adoption.is_new for adoption in adopted) == [False, False, False, True]
    assert records.list_runs() == [folder.name]


@pytest.mark.parametrize("at", ["plans.store_plan", "make_sent_record", "records.write_record"])
def test_an_adoption_that_is_cut_off_leaves_nothing_that_the_next_one_stumbles_over(submit, adopt, monkeypatch, at):
    class Cut(BaseException):
        pass

    def cut(*values: object) -> None:
        raise Cut

    folder = submit()
    with monkeypatch.context() as patched:
        patched.setattr(f"robotrain.submission.adoption.{at}", cut)
        with pytest.raises(Cut):
            adoption.adopt_submitted_run(str(folder), get_plugins(), "slurm")
    assert records.list_runs() == []
    assert adopt(folder) == {"run": folder.name, "platform": "slurm", "name": "pick", "is_new": True}


def test_a_job_of_another_tool_is_no_run(adopt, slurm, tmp_path):
    (tmp_path / "job.sh").write_text("#!/bin/sh\n")
    words = ["sbatch", "--parsable", str(tmp_path / "job.sh")]
    number = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    assert adopt(number, 1)["title"] == f"{number} is no run of robotrain: it has no job document, or not yet"


def test_what_cannot_be_adopted_says_why_in_a_sentence(submit, adopt, robotrain, tmp_path):
    folder = submit()
    assert "names no run" in adopt(tmp_path / "nowhere", 2)["title"]
    assert "no job 99" in adopt("99", 1)["title"]
    assert "names no run" in adopt("https://[osmo.lab/workflows/x-7", 2)["title"]
    signed = "https://account1.blob.core.windows.net/runs/pick?sv=2021&sig=aHVzaGh1c2g%3D"
    refused = robotrain("adopt", "--platform", "slurm", signed, "--json")
    assert refused.exit_code == 2
    assert "aHVzaGh1c2g" not in refused.stdout + refused.stderr
    assert "signature" in refused.json["problems"][0]["title"]
    answer = next(folder.glob("sbatch-*.txt"))
    named = answer.read_text()
    answer.write_text("")
    assert "was not sent yet" in adopt(folder, 1)["title"]
    answer.write_text(named)
    document = (folder / "job.json").read_text()
    edit_document(folder, parameters={})
    assert adopt(folder, 1)["title"] == f"the job document of {folder} is not the one that robotrain wrote"
    edit_document(folder, schema=9, record={"robotrain": "7.0"})
    assert "was sent by robotrain 7.0" in adopt(folder, 1)["title"]
    (folder / "job.json").write_text(document)
    edit_document(folder, record={})
    assert "step of a pipeline" in adopt(folder, 1)["title"]
    (folder / "job.json").unlink()
    assert "no job document, or not yet" in adopt(folder, 1)["title"]
    (folder / "slurm.json").write_text("{}")
    assert "cannot read" in adopt(folder, 1)["title"]
    assert records.list_runs() == []


@pytest.mark.parametrize("content", ['{"run": "x-1", "folder": "/x", "jobs": [], "schema": SCHEMA}', "[" * 100_000])
def test_a_spec_that_somebody_edited_is_a_sentence(submit, adopt, content):
    spec = submit() / "slurm.json"
    spec.write_text(content.replace("SCHEMA", str(json.loads(spec.read_text())["schema"])))
    assert adopt(spec.parent, 1)["title"] == f"{spec.parent} has a run that this robotrain cannot read"


@pytest.mark.parametrize("name", ["slurm.json", "job.json"])
def test_a_file_without_an_end_is_not_read_to_it(submit, adopt, name, monkeypatch):
    monkeypatch.setattr(submitted_runs, "MAX_DOCUMENT_BYTES", 1 << 16)
    folder = submit()
    with (folder / name).open("r+b") as file:
        file.truncate(1 << 40)
    problem = adopt(folder, 1)
    assert problem["title"] == f"{folder} has a run that this robotrain cannot read"
    assert problem["why"] == f"{name} is larger than 64 KiB."


def test_a_run_whose_submit_was_interrupted_here_is_completed_not_recorded_again(submit, adopt, robotrain):
    folder = submit("mine")
    sent = records.read_record(folder.name)
    records.write_record(dataclasses.replace(sent, phase="sending", reference={}))
    assert f"robotrain status {folder.name}" in robotrain("runs", "--everywhere", "--platform", "slurm").stdout
    assert adopt(folder) == {"run": folder.name, "platform": "slurm", "name": "pick", "is_new": False}
    assert records.list_runs() == [folder.name]
    record = records.read_record(folder.name)
    assert (record.phase, record.reference, record.host) == ("sent", sent.reference, sent.host)


def test_a_run_folder_is_enough_where_slurm_does_not_answer(submit, adopt, slurm):
    folder = submit()
    slurm.configure(away=True)
    assert adopt(folder)["run"] == folder.name, "the folder says all"
    with pytest.raises(Rejected):
        adoption.adopt_submitted_run("1", get_plugins(), "slurm")


def test_a_job_that_a_folder_open_to_others_names_is_not_cancelled(submit, adopt, robotrain, slurm):
    folder = submit()
    run = adopt(folder)["run"]
    folder.chmod(0o777)
    robotrain("cancel", run).check_problems(1, "run-of-others")
    assert [job["state"] for job in slurm.read_jobs()] == ["PENDING"]


def test_a_folder_of_another_home_is_not_taken_for_one_of_this_machine(submit, adopt):
    folder = submit()
    record = json.loads((folder / "job.json").read_text())["record"]
    edit_document(folder, record=record | {"settings": record["settings"] | {"runs_dir": "~/her-runs"}})
    settings = records.read_record(adopt(folder)["run"]).settings
    assert "her-runs" not in str(settings)


def test_a_colleagues_job_has_what_this_machine_gives_it(submit, adopt, robotrain, tmp_path, monkeypatch):
    def give(setting: str, code: Path) -> tuple[str, ...]:
        return ("resubmit", run, "--set", setting, "--set", f"sources.code.local_path={code}", "--new")

    code = tmp_path / "colleagues-code"
    monkeypatch.chdir(tmp_path)
    for place in (code, tmp_path / "copy", tmp_path / "other"):
        place.mkdir()
        (place / "train.py").write_text(f"print({place.name == 'other'})\n")
    folder = submit("colleague", "--code", code, "--module", "cuda", "--account", "ann")
    own = {"account": "bob", "runs_dir": str(tmp_path / "runs-mine"), "cache_dir": str(tmp_path / "cache-mine")}
    lines = "".join(f'{name} = "{value}"\n' for name, value in own.items())
    Path("robotrain.toml").write_text(f"[platforms.slurm]\n{lines}")
    run = adopt(folder)["name"]
    code.rename(tmp_path / "gone")
    robotrain("resubmit", run, "--new").check_problems(3, "not-on-this-machine code", "not-on-this-machine modules")
    robotrain(*give("modules=none", tmp_path / "other")).check_problems(4, "pin-gone code")
    answer = robotrain(*give("modules=gcc", tmp_path / "copy"), "--json")
    assert answer.exit_code == 0, answer.stderr
    record = records.read_record(answer.json["run"])
    assert (record.parent, record.name) == (folder.name, "pick")
    expected = {**own, "modules": "gcc", "time": "10m"}
    assert {name: record.settings[name] for name in expected} == expected


@pytest.mark.parametrize(
    "address",
    [
        "https://ann:hush-hush@osmo.lab/workflows/command-0123abcd-1-7",
        "https://ml.azure.com/runs/command-0123abcd-1-0f3a9c?sig=hush-hush",
        "https://hush-hush@mlflow.lab/#/experiments/1/runs/fb3b96e4659945188bdf525e63b4d9b0",
        "https://mlflow.lab/?token=hush-hush#/experiments/1/runs/fb3b96e4659945188bdf525e63b4d9b0",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(robotrain, address):
    for words in ((), ("--json",)):
        refused = robotrain("adopt", "--platform", "slurm", address, *words)
        assert refused.exit_code == 2
        assert "hush-hush" not in refused.stdout + refused.stderr
        assert "signature, a password or a token" in refused.stdout + refused.stderr


def test_an_address_of_a_page_is_no_login_node(login_node):
    for text in ("https://osmo.lab/workflows/x-7", f"{HOST}://x/y"):
        assert SLURM.engine.find_submitted(text, SlurmSettings(login=HOST)) is None
    assert login_node.count_logins() == 0


def test_a_folder_that_this_machine_does_not_have_is_looked_for_on_the_configured_login_node(login_node):
    settings = SlurmSettings(login=HOST)
    assert SLURM.engine.find_submitted("/nowhere/runs/x", settings) is None
    assert login_node.count_logins() == 1


def cancel_after_checkpoint(slurm, folder: Path) -> Path:
    """Cancel the job of a run that has saved a checkpoint, and return that."""
    saved = folder / "outputs/checkpoints/000020"
    saved.mkdir(parents=True)
    (saved / "weights").write_bytes(b"w")
    checkpoint.seal_checkpoint(saved, step=20, run=folder.name, job="")
    slurm.set_state(slurm.read_jobs()[0]["number"], "CANCELLED")
    return saved


def test_an_adopted_run_is_resumed_from_its_checkpoint(submit, adopt, robotrain, slurm, tmp_path):
    folder = submit("colleague", "--account", "ann", "--module", "cuda")
    saved = cancel_after_checkpoint(slurm, folder)
    adopt(folder)
    words = ("resume", "pick", "--set", 'resume_args=["--resume", "{resume}"]', "--set", "account=bob")
    robotrain(*words).check_problems(3, "not-on-this-machine modules")
    answer = robotrain(*words, "--set", "modules=none", "--json")
    assert answer.exit_code == 0, answer.stderr
    record = records.read_record(answer.json["run"])
    assert (record.parent, record.settings["account"]) == (folder.name, "bob")
    assert str(tmp_path / "runs-colleague") not in record.reference["folder"]
    sources = json.loads(Path(record.reference["folder"], "job.json").read_text())["sources"]
    assert str(saved) in json.dumps(sources)


def test_the_same_job_says_which_checkpoint_an_adopted_run_left(submit, adopt, robotrain, slurm, tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text("print(1)\n")
    words = ("--resume-args", '["--resume", "{resume}"]', "--code", code, "--account", "lab")
    folder = submit("colleague", *words)
    cancel_after_checkpoint(slurm, folder)
    adopt(folder)
    options = ("--platform", "slurm", "--runs-dir", folder.parent, "--cache-dir", tmp_path / "cache", *WORDS)
    command = ("--", "python3", "/opt/train.py", "--lr", "3")
    answer = robotrain("submit", "command", *options, *words, "--dry-run", *command)
    answer.check_problems(0, "run-left-checkpoint")
    assert f"robotrain resume {folder.name}" in answer.stderr


@pytest.mark.parametrize("change", [(), ("--set", "memory=2G")], ids=["same job", "changed"])
def test_what_is_sent_after_an_adopted_run_does_not_tell_its_sender(submit, adopt, robotrain, tmp_path, change):
    file, secret = tmp_path / "team", tmp_path / "token"
    for path in (file, secret):
        path.touch(mode=0o600)
        path.write_text("http://127.0.0.1:1/T0SECRET")
    configuration = tmp_path / "config/robotrain/config.toml"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(f'[notify]\nslurm = "{file}"\n')

    def read_secrets(folder: Path) -> dict[str, str]:
        return json.loads((folder / "job.json").read_text())["placement"]["secrets"]

    folder = submit("colleague", "--notify", "--secret", f"API_TOKEN={secret}")
    assert read_secrets(folder) == {"API_TOKEN": str(secret), "ROBOTRAIN_NOTIFY": str(file)}
    adopt(folder)
    own_secret = ("--set", f"secrets.MY_TOKEN={secret}")
    answer = robotrain("resubmit", "pick", "--new", *own_secret, *change, "--json")
    assert answer.exit_code == 0, answer.stderr
    own = Path(records.read_record(answer.json["run"]).reference["folder"])
    assert read_secrets(own) == {"MY_TOKEN": str(secret)}


def test_the_list_says_of_an_end_what_the_status_says(submit, adopt, robotrain, slurm):
    folder = submit()
    (job,) = slurm.read_jobs()
    (folder / claim.CANCELLED_FILE).touch()
    slurm.set_state(str(job["id"]), "FAILED")

    def list_states() -> list[str]:
        listed = robotrain("runs", "--everywhere", "--platform", "slurm", "--json").json["runs"]
        return [run["state"] for run in listed if run["run"] == folder.name]

    assert list_states() == ["cancelled"]
    run = adopt(folder)["run"]
    assert robotrain("status", run, "--json").json["state"] == "cancelled"
    assert list_states() == ["cancelled"]
