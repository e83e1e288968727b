"""What a job asks for is compared with the cluster, and its folders are looked at, before anything is sent."""

import dataclasses
import os
import shlex
import shutil
from pathlib import Path

import pytest
from planned_jobs import PLUGIN_MODULES, job, source
from problem_assertions import check_problems
from robotrain.store.files import MountPoint, find_mount
from robotrain_runtime.contract.document import parse_document
from robotrain_runtime.environments import environment
from robotrain_runtime.machine.disk_cache import COMPLETE
from robotrain_slurm.preflight import survey
from robotrain_workloads.lerobot_train import container
from slurm_pipelines import ENGINE

CLUSTER = """\
gpu|gpu*|up|1:00:00|mixed|4|64|512000|gpu[01-04]|gpu:a100:4(S:0-1)
gpu|gpu*|up|1:00:00|idle~|1|64|512000|gpu05|gpu:h100:8
long|long|up|7-00:00:00|allocated|2|32+|64000+|n[1-2]|(null)
debug|debug|up|30:00|idle|1|4|8000|n3|gpu:2
closed|closed|drain|infinite|idle|1|32|64000|n4|(null)
paused|paused|down|infinite|idle|1|32|64000|n4|(null)
broken|broken|up|infinite|down*|2|32|64000|n[5-6]|(null)
broken|broken|up|infinite|drained|1|32|64000|n7|(null)
empty|empty|up|infinite|n/a|0|0|0||(null)
slurm_load_node: a line of an error
"""
"""As sinfo 22.05 prints it; 17.11 prints the same."""
NODES = """\
gpu|gpu*|up|infinite|idle|2|64|512000|gpu[01-02]|gpu:a100:4
gpu|gpu*|up|infinite|idle|3|64|512000|gpu[03-05]|gpu:h100:4
large|large|up|infinite|idle|16|64|512000|l[01-16]|gpu:a100:8
"""


CLUSTERS = {"usual": CLUSTER, "nodes": NODES}

FITTING = [
    {},
    {"partition": "long", "cpus": 32, "memory": "62G", "time": "7d"},
    {"gpus": 8, "constraint": "h100"},
    {"gpus": 4, "gpu_type": "a100", "constraint": "[a100*2|h100]&ib"},
    {"sbatch": '{"gpus": "a100:4"}'},
    {"sbatch": '{"gpus-per-node": "2"}', "partition": "debug"},
    {"partition": "debug,long", "time": "1d"},
    {"sbatch": '{"gres": "nvme:100"}', "memory": "0", "partition": "long"},
    {"sbatch": '{"mem": "1.5E"}', "memory": "none", "partition": "long"},
    *({"constraint": constraint} for constraint in ("a100&ib", "a100|h100", "[a100|h100]&ib", "a100*2&h100*2")),
]


@pytest.mark.parametrize("options", FITTING, ids=str)
def test_job_that_a_node_has_room_for_is_accepted(find_problems, options):
    assert find_problems(CLUSTER, **options) == []


FAILED = "allocation failure: "
NO_NODE = f"{FAILED}Requested node configuration is not available"
NO_PARTITION = f"sbatch: error: invalid partition specified: nope\n{FAILED}Invalid partition name specified"


def make_job(overrides):
    """Return a job, and the settings and the cluster of a row."""
    of = job(num_nodes=overrides.get("num_nodes", 1))
    settings = {name: value for name, value in overrides.items() if name not in ("cluster", "num_nodes")}
    return of, settings, CLUSTERS[overrides.get("cluster", "usual")]


@pytest.mark.parametrize(
    ("refusal", "options", "words"),
    [
        (NO_PARTITION, {"partition": "nope"}, "Invalid partition name specified"),
        (NO_NODE, {"gpus": 9}, "Requested node configuration is not available"),
        (f"{FAILED}Unspecified error", {}, "Unspecified error"),
    ],
    ids=["partition", "node", "unspecified"],
)
def test_what_slurm_refuses_is_quoted(find_problems, recorded, refusal, options, words):
    (problem,) = problems = find_problems(CLUSTER, refusal=refusal, **options)
    check_problems(problems, "platform-refused")
    assert problem.stage.exit_code == 4
    assert words in problem.why
    assert sum(call.startswith("sbatch --test-only") for call in recorded.read_calls()) == 1


# of jobs that `sbatch --test-only` accepts: the settings, the code of the only problem, its option and its severity
WAITING = [
    ({"time": "2h"}, "time-over-limit --time", "error"),
    ({"time": "UNLIMITED"}, "time-over-limit --time", "error"),
    ({"time": "45m", "partition": "debug"}, "time-over-limit --time", "error"),
    ({"time": "2h", "qos": "long"}, "time-over-limit --time", "warning"),
    ({"memory": "5G", "partition": "debug"}, "memory-over-limit --memory", "error"),
    ({"partition": "paused"}, "pool-closed --partition", "warning"),
]


@pytest.mark.parametrize(
    ("overrides", "problem", "severity"), WAITING, ids=[" ".join(map(str, row[0].values())) for row in WAITING]
)
def test_job_that_slurm_takes_and_would_never_start_is_reported(find_problems, recorded, overrides, problem, severity):
    of, settings, cluster = make_job(overrides)
    recorded.answer("scontrol", "PartitionName=debug State=UP MaxMemPerNode=4096 TRES=x\n")
    problems = find_problems(cluster, of, **settings)
    check_problems(problems, problem)
    assert problems[0].severity == severity


@pytest.mark.parametrize(
    ("overrides", "is_refused"),
    [
        ({"partition": "broken"}, False),
        ({"partition": "broken", "num_nodes": 3}, False),
        ({"partition": "broken", "cpus": 33}, True),
        ({"partition": "broken", "num_nodes": 4}, True),
        ({"partition": "long", "cpus": 33}, True),
    ],
    ids=str,
)
def test_job_that_waits_for_nodes_out_of_service_is_no_error(find_problems, overrides, is_refused):
    """`--test-only` refuses it, as if they were not there; sbatch takes it."""
    of, settings, cluster = make_job(overrides)
    problems = find_problems(cluster, of, refusal=NO_NODE, **settings)
    assert [(problem.code, problem.severity) for problem in problems] == [
        ("platform-refused", "error") if is_refused else ("pool-closed", "warning")
    ]


def test_limit_that_slurm_enforces_is_quoted_with_what_it_is(find_problems):
    refusal = f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)"
    problems = find_problems(CLUSTER, refusal=refusal, time="2h")
    check_problems(problems, "platform-refused", "time-over-limit --time")
    assert problems[1].suggestions[0].text == "--time 1h"


@pytest.mark.parametrize(
    "nodes",
    [{"num_nodes": 16, "gpus": 8, "partition": "large"}, {"num_nodes": 2, "gpus": 4, "gpu_type": "h100"}, {"gpus": 4}],
    ids=str,
)
def test_several_nodes_that_a_partition_has_are_accepted(find_problems, nodes):
    assert find_problems(NODES, job(num_nodes=nodes.pop("num_nodes", 1)), **nodes) == []


def test_without_a_default_partition_slurm_decides(find_problems):
    cluster = CLUSTER.replace("gpu*", "gpu")
    assert find_problems(cluster, gpus=99, time="UNLIMITED") == []
    check_problems(find_problems(cluster, gpus=99, refusal=NO_NODE), "platform-refused")


def preflight(plan):
    return [*ENGINE.preflight(plan)]


def test_good_plan_asks_slurm_once(slurm, shared_disks, make_plan):
    assert preflight(make_plan()) == []
    assert [call[:2] for call in slurm.read_calls("sbatch")] == [["sbatch", "--test-only"]]
    assert slurm.read_jobs() == []


def test_script_and_words_of_the_test_are_those_of_the_submit(recorded, shared_disks, make_plan):
    """But for the file of the script, which is not there yet."""
    plan = make_plan()
    recorded.answer("sbatch", "12\n", act="cat >script")
    preflight(plan)
    assert (recorded.folder / "script").read_bytes() == plan.files["job.sbatch"]
    ENGINE.submit(plan)
    test_words, sent = (shlex.split(call) for call in recorded.read_calls() if call.startswith("sbatch"))
    assert test_words == ["sbatch", "--test-only", *sent[1:-1]]


def test_all_is_reported_at_once(slurm, make_plan, tmp_path):
    key = tmp_path / "key"
    key.write_text("x")
    key.chmod(0o644)
    problems = preflight(make_plan(partition="nope", secrets=f'{{"API_KEY": "{key}"}}', runs_dir=f"{key}/runs"))
    check_problems(problems, "platform-refused", "secret-exposed", "run-folder-refused")


@pytest.mark.parametrize("setting", ["hub_token_file", "blob_credential_file"])
def test_a_file_with_credentials_that_is_not_there_is_refused(find_problems, tmp_path, setting):
    file = tmp_path / "token"
    flag = f"--{setting.replace('_', '-')}"
    check_problems(find_problems(CLUSTER, **{setting: str(file)}), f"credential-file-missing {flag}")
    file.write_text("x")
    assert find_problems(CLUSTER, **{setting: str(file)}) == []


def test_a_file_with_a_secret_that_is_not_there_is_refused(find_problems, tmp_path):
    problems = find_problems(CLUSTER, secrets=f'{{"API_KEY": "{tmp_path}/key"}}')
    check_problems(problems, "secret-file-missing --secret")


def test_a_folder_that_this_machine_does_not_have_is_said(find_problems, tmp_path):
    (tmp_path / "episodes").mkdir()
    problems = find_problems(CLUSTER, job(source("local_path", str(tmp_path / "epsiodes"))))
    check_problems(problems, "slurm-source-unseen --dataset-path")
    assert find_problems(CLUSTER, job(source("local_path", str(tmp_path / "episodes")))) == []


def test_machine_without_slurm_says_that_it_was_not_asked(without_slurm, make_plan):
    (problem,) = problems = preflight(make_plan())
    check_problems(problems, "submit-command-missing")
    assert "not asked" in problem.why


def test_controller_that_is_away_may_come_back(slurm, make_plan):
    slurm.configure(away=True)
    (problem,) = problems = preflight(make_plan())
    check_problems(problems, "platform-away")
    assert problem.stage.exit_code == 4
    assert "not asked" in problem.why
    slurm.configure(away=False)
    assert "platform-away" not in {problem.code for problem in preflight(make_plan())}


def test_disk_of_this_machine_is_reported_once_with_all_that_lies_there(slurm, make_plan, monkeypatch, tmp_path):
    monkeypatch.setattr(
        survey, "find_mount", lambda path, mounts: MountPoint(kind="nfs" if "cache" in path else "ext4")
    )
    (tmp_path / "cache").mkdir()
    (tmp_path / "pusht").mkdir()
    of = job(source("local_path", str(tmp_path / "pusht")))
    (tmp_path / "token").touch()
    (problem,) = problems = preflight(make_plan(of, hub_token_file=str(tmp_path / "token")))
    check_problems(problems, "slurm-disk-local")
    said = next(suggestion.text for suggestion in problem.suggestions if suggestion.text.startswith("--storage shared"))
    assert "slurm-disk-local" not in {problem.code for problem in preflight(make_plan(of, storage=said.split()[1]))}


def test_nodes_that_are_this_machine_see_its_disks(slurm, make_plan):
    here = os.uname().nodename.partition(".")[0]
    batch = slurm.cluster["partitions"]["batch"] | {"nodes": [here]}
    slurm.configure(nodes={here: slurm.cluster["nodes"]["n1"]}, partitions={"batch": batch})
    assert preflight(make_plan()) == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("job.sbatch", b"--mem=1G", b'--mem="1G'),
        ("slurm.json", b'"step": ""', b'"step": "other"'),
        ("job.json", b"{", b""),
    ],
)
def test_plan_that_somebody_broke_is_damaged(slurm, make_plan, file, old, new):
    plan = make_plan()
    broken = dataclasses.replace(plan, files={**plan.files, file: plan.files[file].replace(old, new, 1)})
    check_problems(preflight(broken), "plan-unreadable")


def test_run_folder_of_another_run_is_refused(slurm, shared_disks, make_plan):
    ENGINE.submit(make_plan())
    for plan in (make_plan(), make_plan(cpus=2)):
        check_problems(preflight(plan), "run-folder-taken")


def test_full_disk_is_noticed(slurm, shared_disks, make_plan, monkeypatch):
    stat = shutil.which("stat")
    full = f'#!/bin/sh\ncase "$*" in -f*) echo 256 4096;; *) exec {stat} "$@";; esac\n'
    (slurm.folder / "bin/stat").write_text(full)
    (slurm.folder / "bin/stat").chmod(0o755)
    problems = preflight(make_plan())
    check_problems(problems, "run-folder-full")
    assert {problem.code for problem in problems} == {"run-folder-full"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_is_not_writable_names_its_owner(slurm, shared_disks, make_plan):
    (problem,) = preflight(make_plan(runs_dir="/usr/runs"))
    assert "root" in problem.why


@pytest.mark.parametrize(
    ("kind", "options", "has_locks"),
    [
        ("nfs4", "rw,relatime,vers=4.2,local_lock=none", True),
        ("nfs", "rw,nolock,vers=3", False),
        ("nfs", "rw,local_lock=flock", False),
        ("lustre", "rw,flock,lazystatfs", True),
        ("lustre", "rw,localflock", False),
        ("lustre", "rw,lazystatfs", False),
        ("ext4", "rw", True),
    ],
)
def test_locks_that_hold_on_one_machine_only_are_reported(
    recorded, make_plan, kind, options, has_locks, tmp_path, monkeypatch
):
    mounts = f"none / ext4 rw 0 0\nserver:/home {tmp_path} {kind} {options} 0 0\n"
    monkeypatch.setattr(survey, "find_mount", lambda path, _: find_mount(path, mounts))
    check_problems(preflight(make_plan()), *([] if has_locks else ["slurm-locks-local"]))


@pytest.fixture
def list_python_problems(find_problems, monkeypatch):
    """Those of a machine without Python 3.12, of jobs that build an environment."""
    monkeypatch.setattr(survey, "SCRIPT", survey.SCRIPT.replace("{versions}", ""))
    plugins = {**PLUGIN_MODULES, "workload.command": "robotrain_workloads.command.container"}
    return lambda **settings: find_problems(CLUSTER, plugins=plugins, **settings)


def test_python_that_is_missing_here_is_told_until_the_environment_is_built(list_python_problems, make_plan, tmp_path):
    check_problems(list_python_problems(), "slurm-python-missing")
    document = parse_document(make_plan(plugins=PLUGIN_MODULES).files["job.json"].decode())
    lock = container.environment(document).lock
    built = environment.get_environment_folder(lock, tmp_path / "cache", document.placement.torch_backend)
    built.mkdir(parents=True)
    (built / COMPLETE).touch()
    assert list_python_problems() == []


@pytest.mark.parametrize(("version", "is_needed"), [("3.13", True), ("", False)])
def test_python_of_an_own_program_with_packages_is_told_too(list_python_problems, monkeypatch, version, is_needed):
    monkeypatch.setattr(survey, "SCRIPT", survey.SCRIPT.replace("for version", "printf '3.12 '; for version"))
    lock = "numpy==2.2.0 --hash=sha256:0\n" if version else ""
    program = dataclasses.replace(
        job(workload="command", trainer_args=("python3", "train.py")), program_lock=lock, program_python=version
    )
    assert ("slurm-python-missing" in [problem.code for problem in list_python_problems(of=program)]) == is_needed


@pytest.mark.parametrize(
    ("settings", "is_needed"),
    [
        ({"modules": "python/3.12"}, False),
        ({"environment": "/my/env"}, False),
        ({"stage": True}, False),
        ({"container": "apptainer", "image": "/images/lerobot.sif"}, False),
        ({"prologue": "lines.sh"}, False),
        ({"prologue": "variables.sh"}, True),
    ],
    ids=str,
)
def test_python_that_comes_from_elsewhere_is_not_looked_for(list_python_problems, settings, is_needed):
    Path("lines.sh").write_text("export PATH=/opt/python-3.12/bin:$PATH\n")
    Path("variables.sh").write_text("# of this site\nexport NCCL_DEBUG=INFO\nexport HF_HOME=/scratch/hf\n")
    assert ("slurm-python-missing" in [problem.code for problem in list_python_problems(**settings)]) == is_needed


def test_machine_that_hangs_is_a_passing_failure(slurm, make_plan, monkeypatch):
    monkeypatch.setattr(survey, "SCRIPT", "kill -KILL $$")  # as after a time-out
    check_problems(preflight(make_plan()), "platform-away")
