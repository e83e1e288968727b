"""What sbatch prints when it refuses a job becomes a sentence, with the names that the cluster has instead."""

import pytest
from robotrain_slurm.client import cluster, failures
from robotrain_slurm.client.commands import SlurmRefused
from robotrain_slurm.client.failures import explain_refusal, quote_message

FAILED = "sbatch: error: Batch job submission failed: "
POLICY = f"{FAILED}Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
SINFO = """\
gpu|gpu*|up|1:00:00|all|idle|1|2|10000|n1|gpu:a100:2|a100
long|long|up|7-00:00:00|all|idle|1|2|10000|n2|(null)|cpu-only
closed|closed|drain|infinite|all|idle|1|2|10000|n2|(null)|(null)
"""
ACCOUNTS = "robots|normal,long\nrobots|normal,long\nvision|normal\n"


@pytest.fixture
def asked(monkeypatch):
    """The cluster of these tests, and the commands that ask it."""
    calls = []

    def answer(command, *words, **more):
        calls.append(command)
        return {"sinfo": SINFO, "sacctmgr": ACCOUNTS}[command]

    for module in (cluster, failures):
        monkeypatch.setattr(module, "run_slurm", answer)
    return calls


# what sbatch 22.05 prints, the options of the script, the code, its option and value, and what a suggestion types
REFUSALS = [
    (f"{FAILED}Invalid account or account/partition combination specified", {"account": "robot"},
     "slurm-account-refused", "--account", "robot", "--account robots"),
    (f"{FAILED}Invalid account or account/partition combination specified", {},
     "slurm-account-refused", "--account", "", "--account NAME"),
    (f"{FAILED}Invalid qos specification", {"qos": "lnog"}, "slurm-qos-refused", "--qos", "lnog", "--qos long"),
    (f"sbatch: error: invalid partition specified: lnog\n{FAILED}Invalid partition name specified",
     {"partition": "lnog"}, "slurm-partition-unknown", "--partition", "lnog", "--partition long"),
    (f"{FAILED}No partition specified or system default partition", {},
     "slurm-partition-unknown", "--partition", "", "--partition NAME"),
    (f"{FAILED}Required partition not available (inactive or drain)", {"partition": "closed"},
     "slurm-partition-closed", "--partition", "closed", "--partition NAME"),
    (f"{FAILED}User's group not permitted to use this partition", {"partition": "gpu"},
     "slurm-partition-refused", "--partition", "gpu", "--partition long"),
    (f"{FAILED}Invalid feature specification", {"constraint": "a10"},
     "slurm-constraint-unknown", "--constraint", "a10", "--constraint a100"),
    (f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)", {"time": "0-02:00:00"},
     "slurm-time-refused", "--time", "0-02:00:00", "--time 1h"),
    (f"sbatch: error: QOSMaxWallDurationPerJobLimit\n{POLICY}", {"partition": "long", "time": "9-00:00:00"},
     "slurm-time-refused", "--time", "9-00:00:00", "sacctmgr show qos format=name,maxwall"),
    (f"sbatch: error: Memory specification can not be satisfied\n{FAILED}Requested node configuration is not available",
     {"mem": "64G"}, "slurm-resources-missing", "--memory", "64G", "sinfo --format='%P %m'"),
    (f"{FAILED}Memory required by task is not available", {"mem": "6G"},
     "slurm-resources-missing", "--memory", "6G", "sinfo --format='%P %m'"),
    (f"{FAILED}More processors requested than permitted", {"cpus-per-task": "9"},
     "slurm-resources-missing", "--cpus", "9", "sinfo --format='%P %c'"),
    (f"{FAILED}Requested node configuration is not available", {},
     "slurm-resources-missing", "", "", "sinfo --format='%P %c %m %G %f'"),
    (f"{FAILED}Node count specification invalid", {"partition": "one"},
     "slurm-resources-missing", "--partition", "one", "sinfo --format='%P %s'"),
    ("sbatch: error: Invalid generic resource (gres) specification", {"gres": "gpu:1"},
     "slurm-gpus-missing", "--gpus", "gpu:1", "sinfo --format='%P %G'"),
    (f"{FAILED}Invalid node name specified", {"exclude": "n9"}, "slurm-node-unknown", "--exclude", "n9",
     "sinfo --Node"),
    (f"{FAILED}Invalid license specification", {"licenses": "matlab"},
     "slurm-option-refused", "--sbatch", "", "scontrol show licenses"),
    (f"{FAILED}Requested reservation is invalid", {}, "slurm-option-refused", "--sbatch", "",
     "scontrol show reservations"),
    ("sbatch: unrecognized option '--bogus=1'\nTry \"sbatch --help\" for more information", {"bogus": "1"},
     "slurm-option-refused", "--sbatch", "--bogus", "sbatch --help"),
    ("sbatch: error: Invalid --signal specification", {}, "slurm-option-refused", "--sbatch", "--signal",
     "sbatch --help"),
    (f"{FAILED}Pathname of a file, directory or other parameter too long", {},
     "slurm-script-too-large", "", "", "scontrol show config"),
    (f"{FAILED}Access/permission denied", {}, "slurm-forbidden", "", "", "ask the administrators of the cluster"),
    (f"sbatch: error: QOSMaxGRESPerUser\n{POLICY}", {}, "slurm-policy", "", "",
     "sacctmgr show qos format=name,maxwall,maxtresperjob,maxtresperuser"),
    ("sbatch: error: Couldn't find the specified plugin name for auth/jwt looking at all files\n"
     f"{FAILED}Protocol authentication error", {}, "slurm-authentication", "", "", "unset SLURM_JWT"),
    ('sbatch: error: Munge encode failed: Failed to access "/run/munge/munge.socket.2": No such file or directory\n'
     f"{FAILED}Protocol authentication error", {}, "slurm-authentication", "", "", "munge --no-input"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "options", "code", "where", "given", "fix"), REFUSALS)
def test_refusal_is_put_into_words(asked, text, options, code, where, given, fix):
    problem = explain_refusal(text, options)
    assert (problem.code, problem.where, problem.given) == (code, where, given)
    assert fix in [one.text for one in problem.suggestions]
    assert problem.stage.exit_code == 1
    assert "Batch job submission failed" not in problem.why


PASSING = [
    (f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{POLICY}", "slurm-too-many-jobs"),
    (f"sbatch: error: AssocMaxSubmitJobLimit\n{POLICY}", "slurm-too-many-jobs"),
    (f"sbatch: error: AssocGrpSubmitJobsLimit\n{POLICY}", "slurm-too-many-jobs"),
    ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
     f"{FAILED}Resource temporarily unavailable", "slurm-too-many-jobs"),
    (f"{FAILED}Unable to contact slurm controller (connect failure)", "slurm-away"),
    (f"{FAILED}I/O error writing script/environment to file", "slurm-away"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), PASSING)
def test_refusal_that_passes_offers_the_same_command(asked, text, code):
    problem = explain_refusal(text, {})
    assert (problem.code, problem.transient) == (code, True)
    assert problem.suggestions[0].text == "the same command"
    assert asked == [], "names do not matter"


def test_message_of_a_site_is_quoted(asked):
    text = "sbatch: error: job_submit: please set --account, see https://hpc.lab/wiki"
    problem = explain_refusal(f"{text}\n{FAILED}Unspecified error", {})
    assert problem.code == "slurm-refused"
    assert problem.why == "sbatch says: job_submit: please set --account, see https://hpc.lab/wiki; Unspecified error."


def test_secret_in_a_message_is_not_shown():
    assert "hf_abcdefghij" not in quote_message("sbatch: error: bad token hf_abcdefghijklmnopqrstuvwxyz0123")


@pytest.mark.parametrize(
    ("option", "text"),
    [("account", "Invalid account or account/partition combination"), ("partition", "Invalid partition specified")],
)
def test_cluster_that_does_not_answer_leaves_the_command_that_lists(monkeypatch, option, text):
    def refuse(*words, **more):
        raise SlurmRefused("You are not running a supported accounting_storage plugin", 1)

    for module in (cluster, failures):
        monkeypatch.setattr(module, "run_slurm", refuse)
    problem = explain_refusal(f"{FAILED}{text}", {option: "nope"})
    assert problem.suggestions[0].remark == "lists what exists"


def test_one_question_is_enough(asked):
    explain_refusal(f"{FAILED}Invalid qos specification", {"qos": "x"})
    assert asked == ["sacctmgr"]
