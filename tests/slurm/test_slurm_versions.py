"""What other versions of Slurm answered on clusters of others, each with the page that shows it.

22.05 is the lab's own; `job 12` and the like are as those pages have them.
"""

import pytest
from slurm_pipelines import ENGINE

GITHUB = "https://github.com"
PAGE = f"{GITHUB}/Bartzi/LabShare/issues/114"
SBATCH = [
    # `--parsable` on a cluster with a name, 2023.
    ("75168975;clustername\n", "75168975", f"{GITHUB}/sampsyo/clusterfutures/pull/24"),
    # 22.05.7-Atos, several clusters: without --parsable it says "Submitted batch job 3969755 on cluster nautilus".
    ("3969755;nautilus\n", "3969755", f"{GITHUB}/snakemake/snakemake-executor-plugin-slurm/issues/121"),
    # A plugin of the cluster has a say first.
    (
        "sbatch: no partition specified, using default partition m100_all_serial\n7787232\n",
        "7787232",
        f"{GITHUB}/easybuilders/easybuild-framework/issues/4061",
    ),
]
NODE_STATES = [
    ("planned", True, f"{GITHUB}/vpenso/prometheus-slurm-exporter/pull/62"),  # since 21.08
    ("mixed-", True, f"{GITHUB}/SckyzO/slurm_exporter/issues/243"),
    ("idle*", True, f"{GITHUB}/SckyzO/slurm_exporter/issues/243"),
    ("down*", False, f"{GITHUB}/PySlurm/pyslurm/issues/48"),
]
# the resources of a node, and the GPUs of a job that it has, or has not
GRES = [
    ("gpu:2", {"gpus": 2}, True, f"{GITHUB}/vpenso/prometheus-slurm-exporter/issues/38"),
    ("gpu:2", {"gpus": 3}, False, f"{GITHUB}/vpenso/prometheus-slurm-exporter/issues/38"),
    ("tmp:844G", {"gpus": 1}, False, f"{GITHUB}/vpenso/prometheus-slurm-exporter/issues/38"),
    *(
        ("gpu:1080ti:1(IDX:0),gpu:980gtx:1(IDX:1)", {"gpus": count, "gpu_type": kind}, count == 1, PAGE)
        for kind in ("1080ti", "980gtx")
        for count in (1, 2)
    ),
]
REASONS = [
    (
        "ReqNodeNotAvail, UnavailableNodes:d[001-032],f[001-024]",
        "ReqNodeNotAvail",
        f"{GITHUB}/ArjunaCluster/ArjunaUsers/issues/67",
    ),
    (
        "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
        "higher priority partitions",
        f"{GITHUB}/rivosinc/prometheus-slurm-exporter/pull/106",
    ),
    ("QOSGrpCpuLimit", "QOSGrpCpuLimit", f"{GITHUB}/ResearchComputing/Documentation/issues/18"),
]
ENDS = [
    ("CANCELLED by 1060117793", "cancelled", f"{GITHUB}/neilmunday/slurm-mail/issues/63"),  # 22.05.2
    ("CANCELLED by 54321", "cancelled", f"{GITHUB}/virtualcell/vcell/pull/1913"),  # 23.11.10
    ("OUT_OF_MEMORY", "failed", f"{GITHUB}/virtualcell/vcell/pull/1913"),
]


NO_NODE = "allocation failure: Requested node configuration is not available"
LINE = "gpu|gpu*|up|1:00:00|{state}|1|64|512000|g1|{gres}\n"


@pytest.mark.parametrize(("answer", "number", "page"), SBATCH)
def test_number_is_found_in_what_sbatch_prints(recorded, make_plan, answer, number, page):
    recorded.answer("sbatch", answer)
    assert ENGINE.submit(make_plan())["job"] == number


@pytest.mark.parametrize(("text", "is_usable", "page"), NODE_STATES)
def test_state_of_nodes_is_read_without_its_mark(find_problems, text, is_usable, page):
    problems = find_problems(LINE.format(state=text, gres="(null)"), refusal="" if is_usable else NO_NODE)
    assert [problem.code for problem in problems] == ([] if is_usable else ["pool-closed"])


@pytest.mark.parametrize(("text", "options", "fits", "page"), GRES)
def test_gpus_are_found_among_resources(find_problems, text, options, fits, page):
    """A job waits for a node that is down and has them."""
    (problem,) = find_problems(LINE.format(state="down", gres=text), refusal=NO_NODE, **options)
    assert problem.code == ("pool-closed" if fits else "platform-refused")


@pytest.mark.parametrize(("reason", "words", "page"), REASONS)
def test_reason_is_shown(recorded, run, reason, words, page):
    recorded.set_job("PENDING", reason)
    assert words in ENGINE.status(run.reference).reason


@pytest.mark.parametrize(("state", "meaning", "page"), ENDS)
def test_end_is_known_by_its_first_word(recorded, run, state, meaning, page):
    recorded.set_job(state)
    assert ENGINE.status(run.reference).state == meaning


def test_job_that_was_cancelled_before_it_started_has_no_start(recorded, run):
    """As https://github.com/neilmunday/slurm-mail/issues/63 shows it, of 22.05.2; `SLURM_TIME_FORMAT` is ours."""
    recorded.answer("sacct", "31178|CANCELLED by 1060117793|0:0|None|1667381824|None assigned|vada|\n")
    status = ENGINE.status(run.reference | {"job": "31178", "run": "vada"})
    assert (status.state, status.started, status.ended, status.exit_code) == ("cancelled", None, 1667381824.0, 0)
