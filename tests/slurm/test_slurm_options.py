"""The options of sbatch in a batch script: in order, with defaults, and quoted as sbatch reads them."""

import json
import random
import re
import subprocess
from pathlib import Path

import pytest
from planned_jobs import evaluation, job
from robotrain_slurm.platform import SLURM
from robotrain_slurm.settings import SlurmSettings
from slurm_pipelines import PAYLOAD, PLUGIN_MODULES
from slurm_stand_in.options import read_script_words

SPECIAL = " \"'\\#%$`!&|;<>(){}[]*?~^=,:@/+-._aZ0éß漢🚀\u00a0\u2028\u0085"
TEXTS = [
    *("a b", "#x", "a#b", "it's", 'say "x"', "a\\b", "a\\", "\\", '"', "'", " ", "  lead", "trail  ", "50%", "%j"),
    *("$HOME", "`id`", "$(id)", "a,b", "a=b", "--x", "-", "a;b|c&d", "{x}", "[1-2]", "é ü 漢", "(null)", "a\\ b"),
]
COUNT = 500


def make_texts(count: int = COUNT) -> list[str]:
    chance = random.Random(22)
    made = ["".join(chance.choices(SPECIAL, k=chance.randint(1, 40))) for _ in range(count - len(TEXTS))]
    return TEXTS + made


def render_script(of=None, **settings) -> str:
    """Return the batch script of a job."""
    plan = SLURM.plans.render(of or job(), SlurmSettings(**settings), "run", PAYLOAD, PLUGIN_MODULES)
    return plan.files[plan.spec].decode()


def list_options(of=None, **settings) -> dict[str, str | None]:
    """Return the options of the batch script of a job, as sbatch reads them."""
    words = (word.removeprefix("--").partition("=") for word in read_script_words(render_script(of, **settings)))
    return {name: value if equals else None for name, equals, value in words}


def test_options_are_in_the_order_of_the_settings():
    options = list_options(
        job(num_gpus=2),
        partition="gpu,spare",
        account="robots",
        qos="high",
        constraint="a100&nvlink",
        exclude="n[3-5]",
        time="90m",
        gpus=2,
        gpu_type="a100",
        cpus=3,
        memory="1.5G",
        sbatch='{"exclusive": "", "mail-user": "a b", "hint": "nomultithread"}',
    )
    assert list(options.items())[:14] == [
        ("job-name", "run"),
        ("partition", "gpu,spare"),
        ("account", "robots"),
        ("qos", "high"),
        ("constraint", "a100&nvlink"),
        ("exclude", "n[3-5]"),
        ("time", "0-01:30:00"),
        ("gres", "gpu:a100:2"),
        ("cpus-per-task", "3"),
        ("mem", "1536M"),
        ("exclusive", None),
        ("mail-user", "a b"),
        ("hint", "nomultithread"),
        ("nodes", "1"),
    ]


USUAL = {"time": "0-12:00:00", "gres": "gpu:1", "cpus-per-task": "8", "mem": "48G", "signal": "B:TERM@120"}
# the job, its settings, and the options of the script that these decide; None for one that is left out
RENDERED = [
    (job(), {}, USUAL | {"nodes": "1", "ntasks": "1", "ntasks-per-node": None, "requeue": True}),
    (job(), {"continuation": "never"}, {"no-requeue": True, "requeue": None}),
    (evaluation(), {}, {"time": "0-02:00:00", "gres": "gpu:1", "nodes": "1"}),
    (job(num_gpus=4), {}, {"gres": "gpu:4"}),
    (job(device="cpu"), {}, {"gres": None}),
    (job(device="cpu"), {"gpus": 1}, {"gres": "gpu:1"}),
    (job(), {"gpus": 0}, {"gres": None}),
    (evaluation(device="cpu"), {}, {"gres": None}),
    (job(), {"sbatch": '{"gres": "nvme:100"}'}, {"gres": "gpu:1,nvme:100"}),
    (job(), {"gpus": 0, "sbatch": '{"gres": "nvme:100"}'}, {"gres": "nvme:100"}),
    *((job(), {"sbatch": f'{{"{name}": "4G"}}'}, {name: "4G", "mem": None}) for name in ("mem-per-gpu", "mem-per-cpu")),
    (job(), {"sbatch": '{"cpus-per-gpu": "8"}'}, {"cpus-per-gpu": "8", "cpus-per-task": None}),
    (job(), {"memory": "none"}, {"mem": None}),
    (job(), {"sbatch": '{"hold": "true", "exclusive": "user"}'}, {"hold": True, "exclusive": "user"}),
    (job(), {"sbatch": '{"hold": "false"}'}, {"hold": None}),
    *(
        (job(), {"time": text}, {"time": rendered})
        for text, rendered in (
            *(("4h", "0-04:00:00"), ("90m", "0-01:30:00"), ("1d12h", "1-12:00:00"), ("90s", "0-00:01:30")),
            *(("90", "0-01:30:00"), ("90:30", "0-01:30:30"), ("36:00:00", "1-12:00:00"), ("1-12", "1-12:00:00")),
            *(("1-12:30", "1-12:30:00"), ("1-12:00:00", "1-12:00:00"), ("0", "UNLIMITED"), ("UNLIMITED", "UNLIMITED")),
        )
    ),
    *(
        (job(), {"memory": text}, {"mem": rendered})
        for text, rendered in (
            *(("48G", "48G"), ("48Gi", "48G"), ("48GB", "48G"), ("1.5T", "1536G"), ("500", "500M"), ("2048K", "2M")),
            ("0", "0"),
        )
    ),
    *(
        (job(), {"time": time}, {"signal": f"B:TERM@{seconds}"})  # the last checkpoint is part of a short limit
        for time, seconds in (("12h", 120), ("6m", 120), ("3m", 60), ("UNLIMITED", 120))
    ),
    (job(), {"time": "3m", "stop_seconds": 30}, {"signal": "B:TERM@30"}),
    (
        job(num_nodes=4, num_gpus=8),
        {"cpus": 16},
        {"nodes": "4", "ntasks": "4", "ntasks-per-node": "1", "gres": "gpu:8", "cpus-per-task": "16"},
    ),
]


@pytest.mark.parametrize(
    ("of", "settings", "expected"), RENDERED, ids=[" ".join(map(str, row[2].values())) for row in RENDERED]
)
def test_job_and_settings_decide_the_options(of, settings, expected):
    options = {name: True if value is None else value for name, value in list_options(of, **settings).items()}
    assert {name: options.get(name) for name in expected} == expected


def test_defaults_are_explained():
    defaults = SLURM.plans.derive_defaults(job(num_gpus=2), SlurmSettings(time="3m"))
    expected = {"time": "12h", "gpus": "2", "cpus": "8", "memory": "48Gi", "stop_seconds": "60"}
    assert {name: default.value for name, default in defaults.items()} == expected
    assert "stop_seconds" not in SLURM.plans.derive_defaults(job(), SlurmSettings(time="4x"))


def test_any_value_is_one_word_for_sbatch_and_for_preflight(find_problems):
    texts = make_texts()
    words = read_script_words(render_script(sbatch=json.dumps({f"x{at}": text for at, text in enumerate(texts)})))
    assert [word for word in words if word.startswith("--x")] == [f"--x{at}={text}" for at, text in enumerate(texts)]
    lines = render_script(partition="gpu,spare", sbatch='{"hold": ""}').splitlines()
    assert {"#SBATCH --partition=gpu,spare", "#SBATCH --hold"} <= {*lines}
    odd = "a b \"c\" 'd'"
    refusal = "allocation failure: Invalid partition name specified"
    cluster = "gpu|gpu*|up|1:00:00|mixed|4|64|512000|gpu[01-04]|(null)\n"
    (problem,) = find_problems(cluster, refusal=refusal, partition=odd)
    assert problem.code == "platform-refused"


def write_script(folder: Path, names: str, **settings) -> Path:
    """Write a batch script that does nothing, with some of the options of a job."""
    chosen = [line for line in render_script(**settings).split("\n") if re.match(f"#SBATCH --({names})\\b", line)]
    (folder / "job.sbatch").write_text("\n".join(("#!/bin/bash", *chosen, "true", "")))
    return folder / "job.sbatch"


@pytest.mark.slow
def test_real_sbatch_reads_every_value_unchanged(lab, tmp_path):
    numbers = {}
    for text in make_texts():
        script = write_script(tmp_path, "wckey|hold", sbatch=json.dumps({"wckey": text, "hold": ""}))
        script.write_text(script.read_text().replace("--wckey", "--comment"))
        numbers[submit_script(script)] = text
    words = ["squeue", "--noheader", "--format=%i|%k|"]
    listed = subprocess.run(words, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    arrived = dict(line.removesuffix("|").split("|", 1) for line in listed.split("\n") if line)
    assert {number: arrived[number] for number in numbers} == numbers
    assert len(numbers) == COUNT


def submit_script(script: Path) -> str:
    words = ["sbatch", "--parsable", str(script)]
    return subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True, cwd=script.parent).stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize(("text", "limit"), [("4h", "4:00:00"), ("1d12h", "1-12:00:00"), ("90", "1:30:00")])
def test_real_sbatch_takes_times_and_sizes(lab, tmp_path, text, limit):
    small = {"gpus": 0, "cpus": 1, "memory": "1.5G", "sbatch": '{"hold": ""}'}
    script = write_script(tmp_path, "time|mem|cpus-per-task|hold", time=text, **small)
    assert lab.run("squeue", "--noheader", f"--jobs={submit_script(script)}", "--format=%l %C %m") == f"{limit} 1 1.50G"


@pytest.mark.slow
def test_job_has_the_variables_that_its_script_lists(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("LOGIN_SHELL_VARIABLE", "1")
    answer = tmp_path / "variables"
    lines = tmp_path / "prologue.sh"
    lines.write_text(f"export FROM_PROLOGUE=1\nenv -0 | cut -z -d= -f1 >{answer}\nexit 0\n")
    small = {"time": "1m", "memory": "100M", "cpus": 1, "gpus": 0, "sbatch": '{"wait": ""}'}
    (tmp_path / "run").mkdir()
    script = tmp_path / "job.sbatch"
    script.write_text(render_script(runs_dir=str(tmp_path), prologue=str(lines), **small))
    submit_script(script)
    names = {name for name in answer.read_text().split("\0") if name and not name.startswith("SLURM")}
    assert names - {"SHELL", "HOSTNAME", "TMPDIR", "_"} == {
        *("PATH", "LANG", "HOME", "USER", "LOGNAME", "PWD", "FROM_PROLOGUE")
    }
