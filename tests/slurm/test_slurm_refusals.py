"""What sbatch prints when it refuses a job is quoted; what passes by itself is told apart."""

import pytest
from problem_assertions import check_problems
from robotrain.errors import Rejected
from slurm_pipelines import ENGINE

FAILED = "sbatch: error: Batch job submission failed: "
POLICY = f"{FAILED}Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"


@pytest.fixture
def refuse(recorded, make_plan):
    """Return the refusal of a job by an sbatch that prints a text."""

    def refuse(text: str) -> Rejected:
        recorded.answer("sbatch", error=text, code=1)
        with pytest.raises(Rejected) as refused:
            ENGINE.submit(make_plan())
        return refused.value

    return refuse


QUOTED = (
    "Invalid account or account/partition combination specified",
    "Invalid qos specification",
    "Requested time limit is invalid (missing or exceeds some limit)",
    "Requested node configuration is not available",
    "Invalid license specification",
    "Access/permission denied",
)


@pytest.mark.parametrize("text", QUOTED)
def test_refusal_is_quoted(refuse, recorded, text):
    refused = refuse(f"{FAILED}{text}")
    check_problems(refused.problems, "platform-refused")
    assert (refused.exit_code, refused.transient) == (1, False)
    assert refused.problems[0].why == f"sbatch says: {text}."
    assert not {"sinfo", "sacctmgr"} & {*recorded.asked}


def test_machine_that_belongs_to_no_cluster_says_so(refuse):
    text = "sinfo: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host"
    check_problems(refuse(text).problems, "slurm-not-configured")


PASSING = [
    (f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{POLICY}", "runs-over-limit"),
    (f"sbatch: error: AssocMaxSubmitJobLimit\n{POLICY}", "runs-over-limit"),
    (f"sbatch: error: AssocGrpSubmitJobsLimit\n{POLICY}", "runs-over-limit"),
    ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
     f"{FAILED}Resource temporarily unavailable", "runs-over-limit"),
    (f"{FAILED}Required partition not available (inactive or drain)", "pool-closed"),
    (f"{FAILED}Unable to contact slurm controller (connect failure)", "platform-away"),
    (f"{FAILED}I/O error writing script/environment to file", "platform-away"),
    ('sbatch: error: Munge encode failed: Failed to access "/run/munge/munge.socket.2": No such file or directory\n'
     f"{FAILED}Protocol authentication error", "platform-away"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), PASSING, ids=[f"{code} {at}" for at, (_, code) in enumerate(PASSING)])
def test_refusal_that_passes_may_be_tried_again(refuse, recorded, text, code):
    refused = refuse(text)
    check_problems(refused.problems, code)
    assert refused.transient
    assert not {"sinfo", "sacctmgr"} & {*recorded.asked}


def test_message_of_a_site_is_quoted_without_secrets(refuse):
    text = "sbatch: error: job_submit: please set --account, see https://hpc.lab/wiki"
    refused = refuse(f"{text}\n{FAILED}Unspecified error")
    check_problems(refused.problems, "platform-refused")
    assert "please set --account" in refused.problems[0].why
    told = str(refuse("sbatch: error: bad token hf_abcdefghijklmnopqrstuvwxyz0123").problems[0])
    assert "bad token" in told
    assert "hf_abcdefghij" not in told
