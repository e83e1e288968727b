"""The options of sbatch in a batch script: in order, with defaults, and quoted as sbatch reads them."""

import random
import subprocess
from pathlib import Path

import pytest
from planned_jobs import evaluation, job
from robotrain.cluster.checks import QuantityError
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec import options
from robotrain_slurm.spec.render import EXPORT
from robotrain_slurm.spec.script import make_script, read_options
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


def list_options(of=None, **settings) -> dict[str, str | None]:
    return dict(options.list_options(of or job(), SlurmSettings(**settings)))


def test_workload_has_its_usual_resources():
    assert list_options() == {"time": "0-12:00:00", "gres": "gpu:1", "cpus-per-task": "8", "mem": "48G"}
    assert list_options(evaluation())["time"] == "0-02:00:00"


def test_options_are_in_the_order_of_the_settings():
    given = SlurmSettings(
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
    assert list(options.list_options(job(num_gpus=2), given)) == [
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
    ]


@pytest.mark.parametrize(
    ("of", "settings", "expected"),
    [
        (job(num_gpus=4), {}, "gpu:4"),
        (job(device="cpu"), {}, None),
        (job(device="cpu"), {"gpus": 1}, "gpu:1"),
        (job(), {"gpus": 0}, None),
        (evaluation(), {}, "gpu:1"),
        (evaluation(device="cpu"), {}, None),
        (job().without_gpus(), {}, None),
        (job(), {"sbatch": '{"gres": "nvme:100"}'}, "gpu:1,nvme:100"),
        (job(), {"gpus": 0, "sbatch": '{"gres": "nvme:100"}'}, "nvme:100"),
    ],
)
def test_gpus_are_those_that_the_job_uses(of, settings, expected):
    assert list_options(of, **settings).get("gres") == expected


def test_option_takes_the_place_of_the_one_that_it_excludes():
    for name in ("mem-per-gpu", "mem-per-cpu"):
        given = list_options(sbatch=f'{{"{name}": "4G"}}')
        assert given[name] == "4G"
        assert "mem" not in given
    assert "cpus-per-task" not in list_options(sbatch='{"cpus-per-gpu": "8"}')
    assert "mem" not in list_options(memory="none")
    assert list_options(memory="0")["mem"] == "0"


def test_flag_is_switched_on_and_off_by_a_truth_value():
    assert list_options(sbatch='{"hold": "true", "exclusive": "user"}').items() >= {
        ("hold", None),
        ("exclusive", "user"),
    }
    assert "hold" not in list_options(sbatch='{"hold": "false"}')


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        *(("4h", "0-04:00:00"), ("90m", "0-01:30:00"), ("1d12h", "1-12:00:00"), ("90s", "0-00:01:30")),
        *(("90", "0-01:30:00"), ("90:30", "0-01:30:30"), ("36:00:00", "1-12:00:00"), ("1-12", "1-12:00:00")),
        *(("1-12:30", "1-12:30:00"), ("1-12:00:00", "1-12:00:00"), ("0", "UNLIMITED"), ("UNLIMITED", "UNLIMITED")),
    ],
)
def test_time_is_written_as_slurm_does(text, rendered):
    assert options.format_time(options.parse_time(text)) == rendered


@pytest.mark.parametrize("text", ["", "4x", "h", "-1", "1:2:3:4", "30s", "1-", "4 h", "٤h", "1h\n"])
def test_time_that_is_none_is_refused(text):
    with pytest.raises(QuantityError):
        options.parse_time(text)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [("48G", "48G"), ("48Gi", "48G"), ("48GB", "48G"), ("1.5T", "1536G"), ("500", "500M"), ("2048K", "2M"), ("0", "0")],
)
def test_memory_is_written_as_slurm_does(text, rendered):
    assert options.format_memory(options.parse_memory(text)) == rendered


@pytest.mark.parametrize(
    ("text", "fix"), [("48gi", "48G"), ("48 G", "48G"), ("big", "48G"), ("-1", "48G"), ("1K", "1M")]
)
def test_memory_that_is_none_is_refused_with_one_that_is(text, fix):
    with pytest.raises(QuantityError) as raised:
        options.parse_memory(text)
    assert raised.value.suggestion == fix


def test_time_for_the_last_checkpoint_is_part_of_a_short_limit():
    for time, seconds in (("12h", 120), ("6m", 120), ("3m", 60), ("UNLIMITED", 120)):
        assert options.choose_stop_seconds(job(), SlurmSettings(time=time)) == seconds
    assert options.choose_stop_seconds(job(), SlurmSettings(time="3m", stop_seconds=30)) == 30


def test_defaults_are_explained():
    defaults = options.derive_defaults(job(num_gpus=2), SlurmSettings(time="3m"))
    expected = {"time": "12h", "gpus": "2", "cpus": "8", "memory": "48Gi", "stop_seconds": "60"}
    assert {name: default.value for name, default in defaults.items()} == expected
    assert "stop_seconds" not in options.derive_defaults(job(), SlurmSettings(time="4x"))


def test_any_value_is_one_word_for_sbatch():
    for text in make_texts():
        line = options.format_option(("comment", text))
        script = f"#!/bin/bash\n{line}\n#SBATCH --hold\ntrue\n"
        assert read_script_words(script) == [f"--comment={text}", "--hold"]
        assert read_options(script) == {"comment": text, "hold": None}
    assert options.format_option(("hold", None)) == "#SBATCH --hold"
    assert options.format_option(("partition", "gpu,spare")) == "#SBATCH --partition=gpu,spare"


@pytest.mark.slow
def test_real_sbatch_reads_every_value_unchanged(lab, tmp_path):
    texts, script = make_texts(), tmp_path / "job.sbatch"
    numbers = {}
    for text in texts:
        lines = ["#!/bin/bash", options.format_option(("comment", text)), "#SBATCH --hold", "true", ""]
        script.write_text("\n".join(lines))
        numbers[submit_script(script)] = text
    words = ["squeue", "--noheader", "--format=%i|%k|"]
    listed = subprocess.run(words, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    found = dict(line.removesuffix("|").split("|", 1) for line in listed.split("\n") if line)
    assert {number: found[number] for number in numbers} == numbers
    assert len(numbers) == COUNT


def submit_script(script: Path) -> str:
    words = ["sbatch", "--parsable", str(script)]
    return subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True, cwd=script.parent).stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize(("text", "limit"), [("4h", "4:00:00"), ("1d12h", "1-12:00:00"), ("90", "1:30:00")])
def test_real_sbatch_takes_times_and_sizes(lab, tmp_path, text, limit):
    given = SlurmSettings(time=text, gpus=0, cpus=1, memory="1.5G", sbatch='{"hold": ""}')
    lines = ["#!/bin/bash", *map(options.format_option, options.list_options(job(), given)), "true", ""]
    script = tmp_path / "job.sbatch"
    script.write_text("\n".join(lines))
    assert lab.run("squeue", "--noheader", f"--jobs={submit_script(script)}", "--format=%l %C %m") == f"{limit} 1 1.50G"


@pytest.mark.slow
def test_job_has_the_variables_that_its_script_lists(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("LOGIN_SHELL_VARIABLE", "1")
    answer = tmp_path / "variables"
    given = [("time", "1"), ("mem", "100M"), ("wait", None), ("export", EXPORT), ("output", "/dev/null")]
    print_names = f"env -0 | cut -z -d= -f1 >{answer}"
    text = make_script(given, ["export FROM_PROLOGUE=1", print_names, "exit 0"])
    script = tmp_path / "job.sbatch"
    script.write_text(text)
    submit_script(script)
    names = {name for name in answer.read_text().split("\0") if name and not name.startswith("SLURM")}
    assert names - {"SHELL", "HOSTNAME", "TMPDIR", "_"} == {
        *("PATH", "LANG", "HOME", "USER", "LOGNAME", "PWD", "FROM_PROLOGUE")
    }
