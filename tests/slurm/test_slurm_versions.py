"""What other versions of Slurm answered on clusters of others, each with the page that shows it.

22.05 is the lab's own; `job 12` and the like are as those pages have them.
"""

import pytest
from robotrain_slurm.client import accounting, cluster
from robotrain_slurm.client.queue import QueuedJob
from robotrain_slurm.observe import reasons, status
from robotrain_slurm.submit import sbatch

GITHUB = "https://github.com"
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
    ("planned", "planned", True, f"{GITHUB}/vpenso/prometheus-slurm-exporter/pull/62"),  # since 21.08
    ("mixed-", "mixed", True, f"{GITHUB}/SckyzO/slurm_exporter/issues/243"),
    ("idle*", "idle", True, f"{GITHUB}/SckyzO/slurm_exporter/issues/243"),
    ("down*", "down", False, f"{GITHUB}/PySlurm/pyslurm/issues/48"),
]
GRES = [
    ("gpu:2", [("", 2)], f"{GITHUB}/vpenso/prometheus-slurm-exporter/issues/38"),
    ("tmp:844G", [], f"{GITHUB}/vpenso/prometheus-slurm-exporter/issues/38"),
    (
        "gpu:1080ti:1(IDX:0),gpu:980gtx:1(IDX:1)",
        [("1080ti", 1), ("980gtx", 1)],
        f"{GITHUB}/Bartzi/LabShare/issues/114",
    ),
]
REASONS = [
    (
        "ReqNodeNotAvail, UnavailableNodes:d[001-032],f[001-024]",
        "down, drained or reserved",
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


def make_job(state: str, reason: str = "") -> QueuedJob:
    return QueuedJob(id="12", name="a-run", comment="", state=state, reason=reason)


@pytest.mark.parametrize(("answer", "number", "page"), SBATCH)
def test_number_is_found_in_what_sbatch_prints(answer, number, page):
    assert sbatch.find_number(answer) == number


@pytest.mark.parametrize(("text", "state", "is_usable", "page"), NODE_STATES)
def test_state_of_nodes_is_read_without_its_mark(text, state, is_usable, page):
    line = f"gpu|gpu*|up|1:00:00|all|{text}|1|64|512000|g1|(null)|(null)"
    ((nodes,),) = (one.nodes for one in cluster.parse_partitions([line]))
    assert (nodes.state, nodes.is_usable) == (state, is_usable)


@pytest.mark.parametrize(("text", "gpus", "page"), GRES)
def test_gpus_are_found_among_resources(text, gpus, page):
    assert cluster.parse_gpus(text) == gpus


@pytest.mark.parametrize(("reason", "words", "page"), REASONS)
def test_reason_is_shown(reason, words, page):
    assert words in reasons.explain_waiting(make_job("PENDING", reason))


@pytest.mark.parametrize(("state", "meaning", "page"), ENDS)
def test_end_is_known_by_its_first_word(state, meaning, page):
    assert status.get_state(make_job(state)) == meaning


def test_job_that_was_cancelled_before_it_started_has_no_start(monkeypatch):
    """As https://github.com/neilmunday/slurm-mail/issues/63 shows it, of 22.05.2; `SLURM_TIME_FORMAT` is ours."""
    line = "31178|31178|CANCELLED by 1060117793|0:0|None|1667381824|None assigned|vada|\n"
    monkeypatch.setattr(accounting, "run_slurm", lambda *words, **more: line)
    (job,) = accounting.query_accounting(["31178"])
    assert (job.start, job.end, job.exit_code) == (None, 1667381824.0, 0)
