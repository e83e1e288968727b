"""What a job asks for is compared with the cluster, and its folders are looked at, before anything is sent."""

import dataclasses
import os
import shutil

import pytest
from planned_jobs import job, source
from robotrain.model.plan import Payload
from robotrain_slurm.client.cluster import parse_partitions
from robotrain_slurm.doctor import describe_partitions
from robotrain_slurm.platform import SlurmPlatform
from robotrain_slurm.preflight.job_request import JobRequest
from robotrain_slurm.preflight.resources import find_request_problems
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.submit.submit import submit_plan

PAYLOAD = Payload.from_files({"robotrain_runtime/__init__.py": b""})
CLUSTER = """\
gpu|gpu*|up|1:00:00|all|mixed|4|64|512000|gpu[01-04]|gpu:a100:4(S:0-1)|a100,ib
gpu|gpu*|up|1:00:00|all|idle~|1|64|512000|gpu05|gpu:h100:8|h100
long|long|up|7-00:00:00|all|allocated|2|32+|64000+|n[1-2]|(null)|(null)
debug|debug|up|30:00|all|idle|1|4|8000|n3|gpu:2|(null)
closed|closed|drain|infinite|all|idle|1|32|64000|n4|(null)|(null)
paused|paused|down|infinite|all|idle|1|32|64000|n4|(null)|(null)
broken|broken|up|infinite|all|down*|2|32|64000|n[5-6]|(null)|(null)
broken|broken|up|infinite|all|drained|1|32|64000|n7|(null)|(null)
secret|secret|up|infinite|nobody-is-in-it|idle|1|96|64000|n8|(null)|(null)
empty|empty|up|infinite|all|n/a|0|0|0||(null)|(null)
slurm_load_node: a line of an error
"""
"""As sinfo 22.05 prints it; 17.11 prints the same."""
CPU_CLUSTER = "batch|batch*|up|infinite|all|idle|2|2|10000|n[1-2]|(null)|(null)\n"


def find_problems(cluster=CLUSTER, trained=None, **options):
    given = {name.replace("_", "-"): value for name, value in options.items()}
    request = JobRequest.parse(given, trained or job())
    return [*find_request_problems(request, parse_partitions(cluster.splitlines()))]


def test_partitions_and_nodes_are_read():
    partitions = {one.name: one for one in parse_partitions(CLUSTER.splitlines())}
    assert len(partitions) == 8
    assert [name for name, one in partitions.items() if one.is_default] == ["gpu"]
    assert partitions["debug"].limit == 1800
    assert partitions["gpu"].nodes[0].gpus == (("a100", 4),)
    assert partitions["gpu"].nodes[1].is_usable, "a node that saves power is started for a job"
    assert partitions["long"].nodes[0].memory == 64000
    assert partitions["empty"].nodes == ()


FITTING = [
    {},
    {"partition": "long", "cpus_per_task": "32", "mem": "62G", "time": "7-00:00:00"},
    {"gres": "gpu:8", "constraint": "h100"},
    {"gres": "gpu:a100:4", "constraint": "[a100*2|h100]&ib"},
    {"gpus": "a100:4"},
    {"gpus-per-node": "2", "partition": "debug"},
    {"partition": "debug,long", "time": "1-00:00:00"},
    {"gres": "nvme:100", "mem": "0", "partition": "long"},
    {"mem": "1.5E", "partition": "long"},
]


@pytest.mark.parametrize("options", FITTING)
def test_job_that_a_node_has_room_for_is_accepted(options):
    assert find_problems(**options) == []


# options of the script, the code of the only problem, its option, and what the first suggestion types
REFUSED = [
    ({"partition": "gpus"}, "slurm-partition-unknown", "--partition", "--partition gpu"),
    ({"partition": "long,logn"}, "slurm-partition-unknown", "--partition", "--partition long"),
    ({"constraint": "a10"}, "slurm-constraint-unknown", "--constraint", "--constraint a100"),
    ({"constraint": "ib&nope"}, "slurm-constraint-unknown", "--constraint", "--constraint NAME"),
    ({"time": "0-02:00:00"}, "slurm-time-refused", "--time", "--time 1h"),
    ({"time": "UNLIMITED"}, "slurm-time-refused", "--time", "--time 1h"),
    ({"gres": "gpu:9"}, "slurm-gpus-missing", "--gpus", "--gpus 8"),
    ({"gres": "gpu:a100:5"}, "slurm-gpus-missing", "--gpus", "--gpus 4"),
    ({"gres": "gpu:v100:1"}, "slurm-gpus-missing", "--gpu-type", "--gpu-type NAME"),
    ({"gres": "gpu:1", "partition": "long"}, "slurm-gpus-missing", "--gpus", "--partition gpu"),
    ({"cpus_per_task": "65"}, "slurm-resources-missing", "--cpus", "--cpus 64"),
    ({"mem": "600G"}, "slurm-resources-missing", "--memory", "--memory 512000M"),
    ({"cpus_per_task": "40", "partition": "debug"}, "slurm-resources-missing", "--cpus", "--cpus 4"),
    ({"partition": "closed"}, "slurm-partition-closed", "--partition", "--partition gpu"),
    ({"partition": "paused"}, "slurm-partition-closed", "--partition", "--partition gpu"),
    ({"partition": "broken"}, "slurm-nodes-down", "--partition", "--partition gpu"),
    ({"partition": "empty"}, "slurm-nodes-down", "--partition", "--partition gpu"),
]
WARNINGS = ("paused", "broken", "empty")


@pytest.mark.parametrize(("options", "code", "where", "fix"), REFUSED)
def test_what_the_cluster_does_not_have_is_reported_with_what_it_has(options, code, where, fix):
    (problem,) = find_problems(**options)
    assert (problem.code, problem.where, problem.suggestions[0].text) == (code, where, fix)
    assert problem.severity == ("warning" if options.get("partition") in WARNINGS else "error")
    assert problem.stage.exit_code == 4


def test_partition_of_other_users_is_not_suggested():
    (problem,) = find_problems(partition="nope")
    assert "long" in problem.suggestions[0].remark
    assert "secret" not in problem.suggestions[0].remark
    (problem,) = find_problems(cpus_per_task="90")
    assert [one.text for one in problem.suggestions] == ["--cpus 64"]


def test_cluster_without_gpus_computes_on_cpus():
    (problem,) = find_problems(CPU_CLUSTER, gres="gpu:1")
    assert (problem.title, problem.suggestions[0].text) == ("the cluster has no GPUs", "--gpus 0 --device cpu")
    (problem,) = find_problems(CPU_CLUSTER, dataclasses.replace(job(), parameters=()), gres="gpu:1")
    assert problem.suggestions[0].text == "--gpus 0"


def test_more_gpus_than_a_node_has_is_about_the_option_that_asked_for_them():
    (problem,) = find_problems(trained=job(num_gpus=16), gres="gpu:16")
    assert problem.suggestions[0].text == "--num-gpus 8"
    (problem,) = find_problems(trained=job(num_gpus=16, num_nodes=2), gres="gpu:16", nodes="2")
    assert [one.text for one in problem.suggestions][:2] == ["--num-gpus 8", "--num-nodes 4 --num-gpus 8"]


def test_what_no_node_has_at_once_is_listed():
    mixed = CLUSTER.replace("|1|64|512000|gpu05", "|1|8|512000|gpu05")
    (problem,) = find_problems(mixed, gres="gpu:h100:8", cpus_per_task="64")
    assert (problem.code, problem.why) == ("slurm-resources-missing", "It asks for 8 GPUs and 64 cores.")


def test_quality_of_service_may_allow_a_longer_time():
    (problem,) = find_problems(time="0-02:00:00", qos="long")
    assert problem.severity == "warning"


def test_features_that_no_node_has_at_once_are_refused():
    (problem,) = find_problems(constraint="a100&h100")
    assert (problem.code, problem.suggestions[0].text) == ("slurm-constraint-unknown", "--constraint 'a100|h100'")
    for constraint in ("a100&ib", "a100|h100", "[a100|h100]&ib", "a100*2&h100*2"):
        assert find_problems(constraint=constraint) == []


def test_doctor_tells_of_a_cluster_without_a_default_partition():
    for cluster, has_default in ((CLUSTER, True), (CLUSTER.replace("gpu*", "gpu"), False)):
        assert ("--partition" in describe_partitions(parse_partitions(cluster.splitlines()))) != has_default


def test_without_a_default_partition_slurm_decides():
    assert find_problems(CLUSTER.replace("gpu*", "gpu"), gres="gpu:99", time="UNLIMITED") == []


@pytest.fixture
def make_plan(tmp_path):
    def make(of=None, **settings):
        folders = {"runs_dir": str(tmp_path / "runs"), "cache_dir": str(tmp_path / "cache")}
        small = {"cpus": 1, "memory": "1G", "gpus": 0}
        return SlurmPlatform().render(of or job(), SlurmSettings(**folders | small | settings), "a-1", PAYLOAD, {})

    return make


@pytest.fixture
def shared_disks(monkeypatch):
    monkeypatch.setattr("robotrain.store.files.get_filesystem", lambda path: "nfs4")


def preflight(plan):
    return [*SlurmPlatform().preflight(plan)]


def test_good_plan_asks_slurm_once(slurm, shared_disks, make_plan):
    assert preflight(make_plan()) == []
    assert [call[0] for call in slurm.read_calls()] == ["sinfo"]


def test_all_is_reported_at_once(slurm, make_plan, tmp_path):
    key = tmp_path / "key"
    key.write_text("x")
    key.chmod(0o644)
    found = preflight(make_plan(partition="nope", secrets=f'{{"API_KEY": "{key}"}}', runs_dir=f"{key}/runs"))
    assert {"slurm-partition-unknown", "secret-exposed", "slurm-folder-refused"} <= {one.code for one in found}


def test_machine_without_slurm_names_the_ways(monkeypatch, make_plan):
    monkeypatch.setenv("PATH", "/nowhere")
    (problem,) = preflight(make_plan())
    assert problem.code == "slurm-not-here"
    assert [one.text for one in problem.suggestions] == ["--login USER@HOST", "--platform local"]


def test_controller_that_is_away_may_come_back(slurm, make_plan):
    slurm.configure(away=True)
    (problem,) = preflight(make_plan())
    assert (problem.code, problem.stage.exit_code) == ("slurm-away", 4)
    assert problem.suggestions[0].text == "the same command"
    slurm.configure(away=False)
    assert "slurm-away" not in {one.code for one in preflight(make_plan())}


def test_disk_of_this_machine_is_reported_once_with_all_that_lies_there(slurm, make_plan, monkeypatch):
    monkeypatch.setattr("robotrain.store.files.get_filesystem", lambda path: "nfs" if "cache" in str(path) else "ext4")
    of = job(source("local_path", "/data/pusht"))
    (problem,) = preflight(make_plan(of, hub_token_file="/home/me/token"))
    assert (problem.code, problem.severity) == ("slurm-disk-local", "warning")
    assert "--runs-dir, --hub-token-file, the dataset" in problem.title
    said = next(one.text for one in problem.suggestions if one.text.startswith("--storage shared"))
    assert "slurm-disk-local" not in {one.code for one in preflight(make_plan(of, storage=said.split()[1]))}


def test_nodes_that_are_this_machine_see_its_disks(slurm, make_plan):
    here = os.uname().nodename.partition(".")[0]
    batch = slurm.cluster["partitions"]["batch"] | {"nodes": [here]}
    slurm.configure(nodes={here: slurm.cluster["nodes"]["n1"]}, partitions={"batch": batch})
    assert preflight(make_plan()) == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("job.sbatch", b"--mem=1G", b'--mem="1G'),
        ("slurm.json", b'"job.sbatch"', b'"../job.sbatch"'),
        ("job.json", b"{", b""),
    ],
)
def test_plan_that_somebody_broke_is_damaged(slurm, make_plan, file, old, new):
    plan = make_plan()
    broken = dataclasses.replace(plan, files={**plan.files, file: plan.files[file].replace(old, new, 1)})
    assert [problem.code for problem in preflight(broken)] == ["plan-damaged"]


def test_run_folder_of_another_run_is_refused(slurm, shared_disks, make_plan, tmp_path):
    submit_plan(make_plan())
    for plan in (make_plan(), make_plan(cpus=2)):
        (problem,) = preflight(plan)
        assert problem.code == "slurm-folder-exists"
    assert problem.suggestions[1].text == f"rm -r {tmp_path}/runs/a-1"


def test_full_disk_is_noticed(slurm, shared_disks, make_plan, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert {one.code for one in preflight(make_plan())} == {"slurm-folder-full"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_is_not_writable_names_its_owner(slurm, shared_disks, make_plan):
    (problem,) = preflight(make_plan(runs_dir="/usr/runs"))
    assert "root" in problem.why
