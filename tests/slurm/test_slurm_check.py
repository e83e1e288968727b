"""The problems of a job on Slurm: found together, before anything is sent."""

import json

import pytest
from planned_jobs import evaluation, job
from problem_assertions import check_problems
from robotrain_slurm.platform import SLURM
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec import options

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz0123"
URL = "https://account1.blob.core.windows.net/runs/a"


def find_problems(of, settings):
    return [*SLURM.plans.check(of, SlurmSettings(**settings))]


def sbatch(**options):
    return {
        "sbatch": json.dumps(
            {name.replace("_", "-") if name.islower() else name: value for name, value in options.items()}
        )
    }


ACCEPTED = [
    (job(), {}),
    (evaluation(), {}),
    *((job(), {"time": time}) for time in ("4h", "1d12h", "90", "1-12:00:00", "UNLIMITED")),
    *((job(), {"memory": size}) for size in ("48G", "1.5Ti", "500", "0", "none")),
    (job(), sbatch(reservation="robots, \"a\" 'b' #1", exclusive="", gres="nvme:100", comment_2="x")),
    (job(), {"memory": "none"} | sbatch(mem_per_gpu="32G")),
    (job(), {"runs_dir": "/a b/50%/é", "partition": "gpu,spare", "constraint": "(a|b)&c", "exclude": "n[1-3]"}),
    (job(), {"modules": "cuda/12.4, gcc/13.2+x"}),
    (job(), {"container": "pyxis"}),
    (job(), {"container": "apptainer", "image": "/images/robots.sif"}),
    (job(), {"container": "pyxis", "image": "nvcr.io/nvidia/pytorch:24.05-py3"}),
    (job(), {"storage": "shared"}),
    *((job(), {"tracking_uri": uri}) for uri in ("none", "https://mlflow.lab", "sqlite:////shared/m.db", "databricks")),
    (job(), {"torch_backend": "cu126"}),
    (job(), {"secrets": '{"API_KEY": "~/key"}'}),
    (job(num_gpus=2), {"gpus": 4}),
    (job(device="cpu"), {"gpus": 0}),
    (job(), {"stage": True, "torch_backend": "cu126", "tracking_uri": "sqlite:////shared/mlflow.db"}),
    *((job(), {"login": login}) for login in ("me@login.cluster.example", "cluster", "a.b@host-1", "me@fe80::1")),
    *((job(), {"login": login}) for login in ("10.0.0.1", "me@fd00::1")),
]

TIMES = ("4x", "h", "-1", "1:2:3:4", "30s", "1-", "4 h", "٤h", "1h\n")
LOGINS = (
    *("-oProxyCommand=touch hacked", "-F/tmp/x", "a b", "user@-host", "$(touch hacked)", "host;ls", "@host", "user@"),
    *("a\nb", "me@cluster:2222", "cluster:22"),
)
MANAGED = (
    *("nodes", "ntasks", "job-name", "array", "dependency", "comment", "export", "mem", "time", "wait"),
    *("job-n", "nod", "p", "reque", "gpus-per-node", "clusters"),
)
# the job, its settings, the code and the option of its only problem
REFUSED = [
    *((job(), {"time": time}, "value-invalid", "--time") for time in TIMES),
    *((job(), {"memory": size}, "value-invalid", "--memory") for size in ("48gi", "48 G", "big", "-1", "1K")),
    *((job(), {name: "a\nb"}, "value-invalid", f"--{name}") for name in ("partition", "account", "exclude")),
    *((job(), {"runs_dir": path}, "value-invalid", "--runs-dir") for path in ("/a\nb", "/a\\b")),
    *((job(), sbatch(**{name: "1"}), "option-owned", "--sbatch") for name in MANAGED),
    (job(), sbatch(time="1\n2"), "option-owned", "--sbatch"),
    *((job(), sbatch(gres=gres), "option-owned", "--sbatch") for gres in ("gpu", "gpu:2", "nvme:1,gpu:a100:2")),
    *((job(), sbatch(**{name: "1"}), "value-invalid", "--sbatch") for name in ("--hold", "Hold", "a b", "1st")),
    (job(), sbatch(reservation="a\nb"), "value-invalid", "--sbatch"),
    (job(), sbatch(SBATCH_WCKEY="a\n#SBATCH --wrap=x"), "value-invalid", "SBATCH_WCKEY"),
    (job(), {"memory": "8G"} | sbatch(mem_per_gpu="32G"), "options-conflict", "--memory"),
    (job(), {"cpus": 4} | sbatch(cpus_per_gpu="8"), "options-conflict", "--cpus"),
    (job(), {"time": "5m", "stop_seconds": 300}, "slurm-stop-too-early", "--stop-seconds"),
    (job(), {"image": "ubuntu:24.04"}, "option-without-effect", "--image"),
    (job(), {"image": "robots.sif"}, "option-without-effect", "--image"),
    (job(), {"container": "apptainer", "image": "robots.sif"}, "value-invalid", "--image"),
    *((job(), {"container": "pyxis", "image": image}, "value-invalid", "--image") for image in ("ubuntu", "A B:1")),
    *((job(), {"modules": name}, "value-invalid", "--module") for name in ("a b", "a;rm", "-x", "a,,b", "$(id)")),
    (job(), {"prologue": "/nowhere/prologue.sh"}, "value-invalid", "--prologue"),
    (job(), {"tracking_uri": "/mlruns"}, "value-invalid", "--tracking-uri"),
    (job(), {"tracking_uri": "http://[::1"}, "value-invalid", "--tracking-uri"),
    (job(), {"tracking_uri": "https://me:word@mlflow.lab"}, "secret-in-job", "--tracking-uri"),
    (job(), {"torch_backend": "cuda"}, "value-invalid", "--torch-backend"),
    (job(), {"torch_backend": "cpu", "environment": "/env"}, "option-without-effect", "--torch-backend"),
    (job(), {"secrets": '{"SLURM_JWT": "/key"}'}, "variable-invalid", "--secret"),
    (job(), {"secrets": '{"API_KEY": "key"}'}, "secret-reference-invalid", "--secret API_KEY"),
    (job(), {"secrets": json.dumps({"API_KEY": TOKEN})}, "secret-reference-invalid", "--secret API_KEY"),
    *((job(), {"login": login}, "slurm-login-invalid", "--login") for login in LOGINS),
    (job(), {"container": "apptainer", "runs_dir": "/shared/a,b"}, "slurm-mount-name", "--runs-dir"),
    (job(num_nodes=2), {"container": "apptainer"}, "options-conflict", "--num-nodes"),
    (job(), {"stage": True, "torch_backend": "auto"}, "slurm-stage-backend", "--torch-backend"),
]

WARNED = [
    (job(num_gpus=2), {"gpus": 1}, "gpus-too-few", "--gpus"),
    (job(num_gpus=1), {"gpus": 0}, "gpus-too-few", "--gpus"),
    (job(device="cpu"), {"gpus": 2}, "gpus-unused", "--gpus"),
    (job(device="cpu"), {"gpu_type": "a100"}, "option-without-effect", "--gpu-type"),
    (job(), sbatch(SBATCH_EXPORT="NONE"), "variable-unused", "SBATCH_EXPORT"),
    (job(), sbatch(SBATCH_SITE="1"), "variable-unused", "SBATCH_SITE"),
]


def make_ids(table) -> list[str]:
    """Name a row by what differs from the usual job."""
    return [" ".join(f"{name}={value}" for name, value in settings.items())[:60] for _, settings, *_ in table]


@pytest.mark.parametrize(("of", "settings"), ACCEPTED)
def test_valid_job_has_no_problem(of, settings):
    assert find_problems(of, settings) == []


@pytest.mark.parametrize(
    ("severity", "of", "settings", "code", "place"),
    [*(("error", *row) for row in REFUSED), *(("warning", *row) for row in WARNED)],
    ids=make_ids(REFUSED + WARNED),
)
def test_problem_names_the_option_and_not_a_secret(severity, of, settings, code, place):
    (problem,) = problems = find_problems(of, settings)
    check_problems(problems, f"{code} {place}".rstrip())
    assert (problem.severity == "error") == (severity == "error")
    assert TOKEN not in repr(problem)
    assert "word" not in problem.given


def test_every_managed_option_is_refused():
    for name in options.MANAGED:
        check_problems(find_problems(job(), sbatch(**{name: "1"})), "option-owned --sbatch")


def test_all_problems_are_found_at_once():
    settings = {
        "time": "x",
        "memory": "x",
        "image": "a",
        "stage": True,
        "torch_backend": "auto",
        **sbatch(nodes="2", mem="1"),
    }
    problems = find_problems(job(), settings)
    values = ("value-invalid --time x", "value-invalid --memory x", "option-without-effect --image a")
    managed = ("option-owned --sbatch nodes=2", "option-owned --sbatch mem=1")
    check_problems(problems, *values, *managed, "slurm-stage-backend --torch-backend auto")
    assert len(problems) == 6


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"export A=1\n", ""),
        (b"# a comment\nsource /opt/site.sh\n", ""),
        (b"#SBATCH --nodes=2\n", "value-invalid"),
        (b"true\n#PBS -l nodes=2\n", "value-invalid"),
        (b"a\r\nb\r\n", "value-invalid"),
        (b"a\0b\n", "value-invalid"),
        (b"\xff\xfe\n", "value-invalid"),
        (b"x" * (1 << 17), "value-invalid"),
        (f"export HF_TOKEN={TOKEN}\n".encode(), "secret-in-job"),
        (b"export HF_TOKEN=$(cat ~/.hf_token)\n", ""),
    ],
    ids=["export", "source", "SBATCH", "PBS", "CRLF", "NUL", "no UTF-8", "large", "token", "file"],
)
def test_prologue_is_what_a_batch_script_can_begin_with(tmp_path, content, code):
    path = tmp_path / "prologue.sh"
    path.write_bytes(content)
    problems = find_problems(job(), {"prologue": str(path)})
    check_problems(problems, *filter(None, [code]))
    assert len(problems) == bool(code)
    assert TOKEN not in repr(problems)
