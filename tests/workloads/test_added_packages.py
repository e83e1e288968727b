"""Packages that a job adds to its environment (`--with`): what is locked, what travels, and what is refused before."""

import base64
import io
import json
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import pretend_index
import pytest
from problem_assertions import check_problems
from robotrain.store import plans
from robotrain_runtime.contract import added_packages, document
from robotrain_runtime.environments import uv_program
from robotrain_workloads.lerobot import versions
from robotrain_workloads.package_lock import locking

pytestmark = pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")
ROOT = Path(__file__).parents[2]
PLATFORM = ROOT / "tests/plain_platform.py"
DATASET = ROOT / "workloads/robotrain_workloads/examples/pusht-mini/dataset"
TINY = ("--policy-type", "tiny")
PASSWORD = "aVerySecretWord1"


@pytest.fixture
def shelf(tmp_path, monkeypatch, install) -> Path:
    """The folder of wheels that stands in for the package index, and a platform that takes trainings."""
    install("robotrain-plain", {"platform.plain": "plain_plugin"}, plain_plugin=PLATFORM.read_text())
    folder = tmp_path / "shelf"
    (tmp_path / "uv.toml").write_text(f"no-index = true\nfind-links = [{json.dumps(str(folder))}]\n")
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    pretend_index.wheel(folder, "lerobot_policy_tiny", "1.0", needs=("helper", "numpy"))
    pretend_index.wheel(folder, "lerobot_policy_tiny", "1.1", needs=("helper", "numpy"))
    pretend_index.wheel(folder, "lerobot_policy_old", "1.0", needs=("numpy<2",))
    pretend_index.wheel(folder, "helper", "2.0")
    numpy = added_packages.list_packages(read_own_lock())["numpy"]
    pretend_index.wheel(folder, "numpy", numpy)
    return folder


def read_own_lock() -> str:
    return versions.get_version().get_lock("train").read_text()


@pytest.fixture
def submit(robotrain, shelf):
    """Submit a training with packages: `submit("--with", "helper")`."""

    def run(*words: object, command: str = "submit", platform: str = "plain"):
        job = ("lerobot-train", "--platform", platform, "--dataset-path", DATASET)
        return robotrain(command, *job, *words)

    return run


def read_document(run: str) -> document.JobDocument:
    return document.parse_document(plans.read_stored_plan(run).plan.files["job.json"].decode())


def test_only_what_the_environment_lacks_is_locked_by_hash(submit, shelf):
    answer = submit("--with", "LeRobot-Policy.tiny<1.1", *TINY)
    lock = read_document(answer.stdout.strip()).program_lock
    assert added_packages.list_packages(lock) == {"helper": "2.0", "lerobot-policy-tiny": "1.0"}
    for wheel in ("helper-2.0", "lerobot_policy_tiny-1.0"):
        assert pretend_index.sha256(shelf / f"{wheel}-py3-none-any.whl") in lock


def test_a_dry_run_and_explain_show_the_packages(submit):
    shown = " ".join(submit("--with", "lerobot_policy_tiny", *TINY, "--dry-run").stdout.split())
    assert "packages --with: lerobot-policy-tiny 1.1 and 1 more, Python 3.12, sha256:" in shown
    assert "lerobot-policy-tiny 1.1" in submit("--with", "lerobot_policy_tiny", *TINY, command="explain").stdout


def test_a_job_without_packages_has_no_trace_of_them(submit):
    body = plans.read_stored_plan(submit("--no-pin").stdout.strip()).plan.files["job.json"].decode()
    assert "program_" not in body


def test_packages_are_part_of_the_job_and_kept_by_resubmit(submit, robotrain, shelf):
    with_it = submit("--with", "lerobot_policy_tiny", *TINY, "--no-pin", "--json").json
    assert with_it["job"] != submit("--with", "helper", "--with", "lerobot_policy_tiny", *TINY, "--json").json["job"]
    pretend_index.wheel(shelf, "lerobot_policy_tiny", "2.0")
    again = robotrain("resubmit", with_it["run"], "--set", "seed=3", "--new").stdout.strip()
    assert read_document(again).program_lock == read_document(with_it["run"]).program_lock


def test_a_wheel_file_travels_in_the_document(submit, tmp_path):
    wheel = pretend_index.wheel(tmp_path / "own", "lerobot_policy_mine", "0.3", needs=("helper",))
    sent = read_document(submit("--with", wheel, "--policy-type", "mine").stdout.strip())
    assert added_packages.decode_file(sent.program_files[wheel.name]) == wheel.read_bytes()
    assert f"lerobot-policy-mine @ {added_packages.FILES_PLACE}/{wheel.name}" in sent.program_lock
    assert pretend_index.sha256(wheel) in sent.program_lock
    assert added_packages.list_packages(sent.program_lock) == {"helper": "2.0", "lerobot-policy-mine": "0.3"}


@pytest.fixture
def project(tmp_path) -> Path:
    """A folder with the source of a package."""
    folder = tmp_path / "job" / "my_policy"
    (folder / "lerobot_policy_mine").mkdir(parents=True)
    (folder / "lerobot_policy_mine/__init__.py").touch()
    project = '[project]\nname = "lerobot_policy_mine"\nversion = "0.4"\ndependencies = ["helper"]\n'
    (folder / "pyproject.toml").write_text(project)
    return folder


def test_a_folder_is_built_in_the_job_if_the_user_allows_that(submit, project):
    submit("--with", project, "--policy-type", "mine").check_problems(4, "not-lockable")
    sent = read_document(submit("--with", project, "--allow-builds", "--policy-type", "mine").stdout.strip())
    assert list(sent.program_files) == ["lerobot_policy_mine-0.4.tar.gz"]
    assert "--only-binary" not in sent.program_lock
    assert "helper==2.0" in sent.program_lock


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('dynamic = ["version"]', "not-lockable"),
        ('dynamic = ["dependencies"]', "not-lockable"),
        ("dynamic = 1", "package-unreadable"),
        ('dependencies = ["x @ git+https://evil.example/x"]', "not-lockable"),
    ],
)
def test_a_folder_whose_facts_only_a_build_tells_is_refused(submit, project, line, code):
    build = '[build-system]\nrequires = ["setuptools>=61", "setuptools-scm[toml]>=8"]\n'
    (project / "pyproject.toml").write_text(f'[project]\nname = "lerobot_policy_mine"\n{line}\n{build}')
    check_problems(submit("--with", project, "--allow-builds", "--policy-type", "mine").stderr, code)


def test_what_builds_leave_is_left_out_at_the_top_alone(submit, project):
    for folder in ("build", "lerobot_policy_mine/build"):
        (project / folder).mkdir()
        (project / folder / "module.py").write_text("x = 1\n")
    sent = read_document(submit("--with", project, "--allow-builds", "--policy-type", "mine").stdout.strip())
    (content,) = sent.program_files.values()
    with tarfile.open(fileobj=io.BytesIO(added_packages.decode_file(content))) as archive:
        names = [name for name in archive.getnames() if "build" in name]
    assert names == ["lerobot_policy_mine-0.4/lerobot_policy_mine/build/module.py"]


def test_a_job_file_names_packages_and_wheels_and_no_folder(robotrain, shelf, project):
    wheel = pretend_index.wheel(project.parent, "lerobot_policy_mine", "0.3")
    job = project.parent / "job.yaml"

    def run(*packages: str):
        parameters = {"policy_type": "mine", "packages": packages, "allow_builds": True}
        sources = {"dataset": [{"local_path": str(DATASET)}]}
        job.write_text(json.dumps({"workload": "lerobot-train", "parameters": parameters, "sources": sources}))
        return robotrain("submit", job, "--platform", "plain")

    run("./my_policy").check_problems(2, "setting-not-trusted", "value-invalid")
    assert run(wheel.name).exit_code == 0
    assert run("lerobot_policy_tiny").exit_code == 0


def test_a_saved_job_file_keeps_the_packages_and_leaves_a_folder_out(submit, project, tmp_path):
    submit("--with", "helper", "--save-as", tmp_path / "one.yaml", "--dry-run")
    submit("--with", project, "--allow-builds", "--save-as", tmp_path / "two.yaml", "--dry-run")
    assert "helper" in (tmp_path / "one.yaml").read_text()
    assert "# A file cannot hold --with" in (tmp_path / "two.yaml").read_text()


@pytest.mark.slow
def test_builds_of_no_package_are_warned_of(robotrain, submit, shelf):
    submit("--allow-builds", "--dry-run").check_problems(0, "option-without-effect")
    assert "[option-without-effect]" not in submit("--allow-builds", "--with", "helper", "--dry-run").stderr
    line = ("--platform", "local", "--policy-path", "policy", "--allow-builds", "--dry-run")
    for words in (("lerobot-eval", "--env", "pusht"), ("lerobot-merge",)):
        check_problems(robotrain("submit", *words, *line).stderr, "option-without-effect", "source-unreachable")


def test_an_unknown_type_is_accepted_only_with_a_package(submit):
    submit("--policy-type", "difusion").check_problems(2, "value-invalid --policy-type")
    assert submit("--policy-type", "tiny", "--with", "helper", "--dry-run").exit_code == 0


def test_options_of_its_type_pass_with_a_warning_and_others_are_checked(submit):
    words = ("--with", "helper", *TINY, "--dry-run", "--")
    answer = submit(*words, "--policy.hidden=8", "--policy.use_amp=maybe", "--dataset.image_transforms.enabl=true")
    answer.check_problems(
        2, "script-option-invalid -- --dataset.image_transforms.enabl", "option-owned after -- --policy.use_amp"
    )
    submit(*words, "--policy.hidden=8").check_problems(0, "options-unchecked")


def test_unchecked_options_are_named(submit):
    names = [f"--policy.of_its_own_{number:02}" for number in range(14)]
    passed = submit("--with", "helper", *TINY, "--dry-run", "--", *(f"{name}=1" for name in names))
    assert ", ".join(names[:5]) in passed.stderr


def test_options_of_an_evaluated_policy_pass_with_a_warning_too(robotrain, shelf):
    line = ("submit", "lerobot-eval", "--platform", "local", "--policy-path", ".", "--env", "pusht", "--dry-run")
    robotrain(*line, "--", "--policy.hidden=8").check_problems(2, "script-option-invalid -- --policy.hidden")
    passed = robotrain(*line, "--with", "helper", "--", "--policy.hidden=8", "--policy.use_amp=maybe")
    passed.check_problems(2, "options-unchecked", "script-option-invalid -- --policy.use_amp")


LEAVES_AN_ADAPTER = """
    def outputs(self, reference: Any) -> Iterator[Any]:
        from robotrain.plugin import Output
        yield Output(name="000002", kind="checkpoint", source="blob_url", uri="https://x/000002", step=2, model="model")

    def download(self, reference: Any, output: Any, to: Path) -> None:
        import shutil
        shutil.copytree(Path("adapter"), to / "model")


PLAIN = """


def make_adapter_shell(folder: Path) -> None:
    """Make what of an adapter of the type `tiny` is read before a job is sent."""
    shutil.copytree(ROOT / "examples/pusht-camera/base", folder, ignore=shutil.ignore_patterns("model.safetensors"))
    shutil.copyfile(ROOT / "examples/pusht-camera/base/model.safetensors", folder / "adapter_model.safetensors")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "type": "tiny", "use_peft": True}))
    base = {"base_model_name_or_path": str(ROOT / "examples/pusht-camera/base"), "peft_type": "LORA", "r": 4}
    (folder / "adapter_config.json").write_text(json.dumps(base))


def test_a_merge_adds_packages_and_names_the_flag_for_a_type_that_lerobot_lacks(robotrain, shelf, tmp_path):
    line = ("submit", "lerobot-merge", "--platform", "local", "--policy-path", tmp_path / "adapter", "--dry-run")
    make_adapter_shell(tmp_path / "adapter")
    robotrain(*line).check_problems(4, "data-unusable")
    added = robotrain(*line, "--with", "lerobot_policy_tiny", "--no-pin", "--json").json
    assert "files" in added, added
    assert "lerobot-policy-tiny==1.1" in json.loads(added["files"]["job.json"]["text"])["program_lock"]


BAD = {
    "numpy==1.26.0": "lock-failed",
    "lerobot_policy_old": "lock-failed",
    "Lerobot_Policy_Tiny==1.0 --with=lerobot-policy-tiny==1.1": "packages-conflict",
    "no_such_policy==3": "lock-failed",
    "not a package": "lock-failed",
    "-r other.txt": "not-lockable",
    "git+https://example.com/x.git": "not-lockable",
    "x @ https:example.com/x-1-py3-none-any.whl": "not-lockable",
    "gripper": "lock-failed",
    "/nowhere/lerobot_policy_x-1-py3-none-any.whl": "package-unreadable",
    "/nowhere/folder": "package-unreadable",
}


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_added_is_named_before_anything_is_sent(submit, shelf, robotrain, text):
    (shelf / "gripper-1.0.tar.gz").write_bytes(b"its setup.py would run")
    answer = submit(*(f"--with={package}" for package in text.split(" --with=")), *TINY)
    assert answer.exit_code in (2, 4)
    check_problems(answer.stderr, BAD[text])
    assert robotrain("runs", "--json").json["runs"] == []


def test_a_password_in_an_address_is_not_repeated(submit):
    answer = submit("--with", f"x @ https://me:{PASSWORD}@example.com/x-1-py3-none-any.whl", *TINY)
    answer.check_problems(2, "secret-in-job", "type-not-trainable")
    assert PASSWORD not in answer.stdout + answer.stderr


def test_unfit_wheels_are_refused(submit, tmp_path, monkeypatch):
    good = pretend_index.wheel(tmp_path, "lerobot_policy_mine", "0.3").read_bytes()
    torn, other = "lerobot_policy_torn-1-py3-none-any.whl", "lerobot_policy_mine-0.3-cp310-cp310-win_amd64.whl"
    files = {torn: good[:200], other: good, "lerobot_policy_yours-0.3-py3-none-any.whl": good, "mine.whl": good}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        answer = submit("--with", tmp_path / name)
        check_problems(answer.stderr, "package-unreadable" if name in (torn, "mine.whl") else "lock-failed")
    numpy = pretend_index.wheel(tmp_path, "numpy", "1.0")
    submit("--with", numpy).check_problems(4, "packages-conflict")
    odd = pretend_index.wheel(tmp_path, "lerobot_policy_odd", "1", needs=("joints\nRequires-Python: odd",))
    answer = submit("--with", odd)
    answer.check_problems(4, "lock-failed")
    assert "`lerobot-policy-odd @ file:///" in answer.stderr
    assert "<redacted>" not in answer.stderr


def test_a_wheel_that_names_a_host_is_refused_before_uv_reads_it(submit, tmp_path, monkeypatch):
    monkeypatch.setattr(locking, "run_uv", lambda *words: pytest.fail("uv runs"))
    wheel = pretend_index.wheel(tmp_path, "mine", "0.3", needs=("x @ https://evil.example/x-1-py3-none-any.whl",))
    submit("--with", wheel).check_problems(4, f"not-lockable {wheel.name}")
    encoded = base64.b64encode(b"x @ https://evil.example/x-1-py3-none-any.whl").decode()  # uv decodes it
    pretend_index.wheel(tmp_path, "mine", "0.3", needs=(f"=?utf-8?b?{encoded}?=",))
    submit("--with", wheel).check_problems(4, f"not-lockable {wheel.name}")
    pretend_index.wheel(tmp_path, "mine", "0.3")
    method = re.compile(rb"(PK\x01\x02.{6}|PK\x03\x04.{4})\0\0", re.DOTALL)  # Zstandard: uv reads it, Python does not
    wheel.write_bytes(method.sub(rb"\g<1>" + b"\x5d\0", wheel.read_bytes()))
    submit("--with", wheel).check_problems(2, "package-unreadable")


def test_packages_that_travel_need_no_index(submit, project, tmp_path):
    base = pretend_index.wheel(tmp_path, "lerobot_policy_base", "1.0")
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(text.replace('"helper"', '"lerobot_policy_base"'))
    words = ("--with", project, "--with", base, "--allow-builds", "--policy-type", "mine")
    lock = read_document(submit(*words).stdout.strip()).program_lock
    assert added_packages.list_packages(lock) == {
        "lerobot-policy-base": "1.0",
        "lerobot-policy-mine": "0.4",
    }


def test_files_that_are_too_large_for_a_document_belong_in_an_index(submit, tmp_path):
    import os

    wheel = pretend_index.wheel(tmp_path, "lerobot_policy_mine", "0.3")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("weights.bin", os.urandom(600 << 10))
    submit("--with", wheel, *TINY).check_problems(4, "not-lockable")


def test_the_environment_of_a_job_is_its_own_with_the_packages(submit, tmp_path):
    from dataclasses import replace

    from robotrain_runtime.contract.plugin_loader import get_job_environment

    wheel = pretend_index.wheel(tmp_path / "own", "lerobot_policy_mine", "0.3")
    sent = read_document(submit("--with", wheel, "--policy-type", "mine").stdout.strip())
    sent = replace(sent, placement=replace(sent.placement, cache=str(tmp_path / "cache")))
    environment = get_job_environment(sent)
    text = environment.lock.read_text()
    assert text.startswith(read_own_lock().rstrip())
    assert (environment.lock.parent / wheel.name).read_bytes() == wheel.read_bytes()
    assert f"@ {environment.lock.parent.as_uri()}/{wheel.name}" in text
    assert environment.required_packages == {"lerobot": "0.6", "lerobot-policy-mine": "0.3"}
    assert get_job_environment(sent).lock == environment.lock
    plain = replace(sent, program_lock="", program_files={})
    assert get_job_environment(plain).lock != environment.lock
