"""What sbatch prints when it refuses a job becomes a sentence, with the names that the cluster has instead."""

import pytest
from problem_assertions import check_problems
from robotrain.errors import Rejected
from slurm_pipelines import ENGINE

FAILED = "sbatch: error: Batch job submission failed: "
POLICY = f"{FAILED}Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
SINFO = """\
gpu|gpu*|up|1:00:00|all|idle|1|2|10000|n1|gpu:a100:2|a100
long|long|up|7-00:00:00|all|idle|1|2|10000|n2|(null)|cpu-only
closed|closed|drain|infinite|all|idle|1|2|10000|n2|(null)|(null)
"""
ACCOUNTS = "robots|normal,long\nrobots|normal,long\nvision|normal\n"


@pytest.fixture
def refuse(recorded, make_plan):
    """Return the refusal of a job by an sbatch that prints a text."""
    recorded.answer("sinfo", SINFO)
    recorded.answer("sacctmgr", ACCOUNTS)

    def refuse(text: str, **settings: object) -> Rejected:
        recorded.answer("sbatch", error=text, code=1)
        with pytest.raises(Rejected) as refused:
            ENGINE.submit(make_plan(**settings))
        return refused.value

    return refuse


# what sbatch 22.05 prints, the settings of the job, and the problem: its code, option and value
REFUSALS = [
    ("sinfo: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host\nsinfo: error: fetch_config: DNS SRV "
     "lookup failed", {}, "slurm-not-configured"),
    (f"{FAILED}Invalid account or account/partition combination specified", {"account": "robot"},
     "resource-unknown --account robot"),
    (f"{FAILED}Invalid account or account/partition combination specified", {},
     "resource-unknown --account"),
    (f"{FAILED}Invalid qos specification", {"qos": "lnog"}, "resource-unknown --qos lnog"),
    (f"sbatch: error: invalid partition specified: lnog\n{FAILED}Invalid partition name specified",
     {"partition": "lnog"}, "resource-unknown --partition lnog"),
    (f"{FAILED}No partition specified or system default partition", {},
     "resource-unknown --partition"),
    (f"{FAILED}Required partition not available (inactive or drain)", {"partition": "closed"},
     "pool-closed --partition closed"),
    (f"{FAILED}User's group not permitted to use this partition", {"partition": "gpu"},
     "resource-unknown --partition gpu"),
    (f"{FAILED}Invalid feature specification", {"constraint": "a10"},
     "resource-unknown --constraint a10"),
    (f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)", {"time": "2h"},
     "time-over-limit --time 0-02:00:00"),
    (f"sbatch: error: QOSMaxWallDurationPerJobLimit\n{POLICY}", {"partition": "long", "time": "9d"},
     "time-over-limit --time 9-00:00:00"),
    (f"sbatch: error: Memory specification can not be satisfied\n{FAILED}Requested node configuration is not available",
     {"memory": "64G"}, "machines-too-small --memory 64G"),
    (f"{FAILED}Memory required by task is not available", {"memory": "6G"},
     "machines-too-small --memory 6G"),
    (f"{FAILED}More processors requested than permitted", {"cpus": 9},
     "machines-too-small --cpus 9"),
    (f"{FAILED}Requested node configuration is not available", {},
     "machines-too-small"),
    (f"{FAILED}Node count specification invalid", {"partition": "one"},
     "machines-too-small --partition one"),
    ("sbatch: error: Invalid generic resource (gres) specification", {"gpus": 1},
     "machines-too-small --gpus gpu:1"),
    (f"{FAILED}Invalid node name specified", {"exclude": "n9"}, "resource-unknown --exclude n9"),
    (f"{FAILED}Invalid license specification", {"sbatch": '{"licenses": "matlab"}'},
     "slurm-option-refused --sbatch"),
    (f"{FAILED}Requested reservation is invalid", {}, "slurm-option-refused --sbatch"),
    ("sbatch: unrecognized option '--bogus=1'\nTry \"sbatch --help\" for more information",
     {"sbatch": '{"bogus": "1"}'},
     "slurm-option-refused --sbatch --bogus"),
    ("sbatch: error: Invalid --signal specification", {}, "slurm-option-refused --sbatch --signal"),
    (f"{FAILED}Pathname of a file, directory or other parameter too long", {},
     "spec-over-limit"),
    (f"{FAILED}Access/permission denied", {}, "platform-forbidden"),
    (f"sbatch: error: QOSMaxGRESPerUser\n{POLICY}", {}, "slurm-policy"),
    ("sbatch: error: Couldn't find the specified plugin name for auth/jwt looking at all files\n"
     f"{FAILED}Protocol authentication error", {}, "slurm-authentication"),
    ('sbatch: error: Munge encode failed: Failed to access "/run/munge/munge.socket.2": No such file or directory\n'
     f"{FAILED}Protocol authentication error", {}, "slurm-authentication"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "settings", "problem"), REFUSALS, ids=[refusal[2] for refusal in REFUSALS])
def test_refusal_is_put_into_words(refuse, recorded, text, settings, problem):
    refused = refuse(text, **settings)
    check_problems(refused.problems, problem)
    assert refused.exit_code == 1
    assert "Batch job submission failed" not in refused.problems[0].why
    assert len(recorded.asked) <= 2, "one question is enough"


PASSING = [
    (f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{POLICY}", "runs-over-limit"),
    (f"sbatch: error: AssocMaxSubmitJobLimit\n{POLICY}", "runs-over-limit"),
    (f"sbatch: error: AssocGrpSubmitJobsLimit\n{POLICY}", "runs-over-limit"),
    ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
     f"{FAILED}Resource temporarily unavailable", "runs-over-limit"),
    (f"{FAILED}Unable to contact slurm controller (connect failure)", "platform-away"),
    (f"{FAILED}I/O error writing script/environment to file", "platform-away"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), PASSING, ids=[f"{code} {at}" for at, (_, code) in enumerate(PASSING)])
def test_refusal_that_passes_offers_the_same_command(refuse, recorded, text, code):
    refused = refuse(text)
    check_problems(refused.problems, code)
    assert refused.transient
    assert not {"sinfo", "sacctmgr"} & {*recorded.asked}, "names do not matter"


def test_message_of_a_site_is_quoted_without_secrets(refuse):
    text = "sbatch: error: job_submit: please set --account, see https://hpc.lab/wiki"
    check_problems(refuse(f"{text}\n{FAILED}Unspecified error").problems, "platform-refused")
    told = str(refuse("sbatch: error: bad token hf_abcdefghijklmnopqrstuvwxyz0123").problems[0])
    assert "bad token" in told
    assert "hf_abcdefghij" not in told


@pytest.mark.parametrize(
    ("setting", "text"),
    [("account", "Invalid account or account/partition combination"), ("partition", "Invalid partition specified")],
)
def test_cluster_that_does_not_answer_leaves_the_command_that_lists(refuse, recorded, setting, text):
    for command in ("sinfo", "sacctmgr"):
        recorded.answer(command, error="You are not running a supported accounting_storage plugin", code=1)
    (problem,) = refuse(f"{FAILED}{text}", **{setting: "nope"}).problems
    check_problems([problem], f"{problem.code} --{setting} nope")


def test_account_that_exists_is_not_suggested_again(refuse, recorded):
    text = f"{FAILED}Invalid account or account/partition combination specified"
    recorded.answer("sacctmgr", "robots|normal")
    recorded.answer("sinfo", error="slurm_load_partitions: no controller", code=1)
    (problem,) = refuse(text, account="robot").problems
    assert [way.text for way in problem.suggestions] == ["--account robots"]
    (problem,) = refuse(text, account="robots", partition="main").problems
    assert not [way for way in problem.suggestions if "--account" in way.text], "another partition would help"
    assert "sinfo" in recorded.asked
