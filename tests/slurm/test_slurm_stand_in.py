"""The stand-in of Slurm's commands answers as the real one does."""

import os
import subprocess

import pytest

SCRIPT = "#!/bin/sh\nsleep 60\n"
SCRIPTS = {
    "job.sh": SCRIPT,
    "empty.sh": "",
    "plain.sh": "echo hello\n",
    "dos.sh": SCRIPT.replace("\n", "\r\n"),
    "unknown.sh": "#!/bin/sh\n#SBATCH --nope=1\n",
    "word.sh": "#!/bin/sh\n#SBATCH --job-name=a\\ b\n",
    "quoted.sh": '#!/bin/sh\n#SBATCH --job-name="a b" --comment="x\\"y\\\\z#w" # a note\nsleep 60\n',
    "single.sh": "#!/bin/sh\n#SBATCH --comment='a\\nb'c --job-name=d#e\nsleep 60\n",
    "late.sh": "#!/bin/sh\n\n# a note\n#SBATCH --comment=counts\ntrue\n#SBATCH --comment=late\nsleep 60\n",
}
REFUSED = [
    "sbatch --nope job.sh",
    "sbatch --comment",
    "sbatch empty.sh",
    "sbatch plain.sh",
    "sbatch dos.sh",
    "sbatch missing.sh",
    "sbatch unknown.sh",
    "sbatch word.sh",
    "sbatch --partition=nope job.sh",
    "sbatch --partition=batch,nope job.sh",
    "sbatch --constraint=nope job.sh",
    "sbatch --exclude=zz job.sh",
    "sbatch --gpus=1 job.sh",
    "sbatch --gres=gpu:a100:1 job.sh",
    "sbatch --mem=64G job.sh",
    "sbatch --mem=lots job.sh",
    "sbatch --time=soon job.sh",
    "sbatch --signal=B:FOO@10 job.sh",
    "sbatch --dependency=foo job.sh",
    "sbatch --array=a job.sh",
    "sbatch --array=1-1001 job.sh",
    "sbatch --test-only --partition=batch,nope job.sh",
    "sbatch --test-only --constraint=nope job.sh",
    "sbatch --test-only --gpus=1 job.sh",
    "sbatch --test-only --mem=64G job.sh",
    "sbatch --test-only --cpus-per-task=9 job.sh",
    "sbatch --test-only --nodes=3 job.sh",
    "sbatch --test-only --array=1-1001 job.sh",
    "sbatch --test-only --time=soon job.sh",
    "squeue --nope",
    "squeue --jobs=777",
    "sinfo --nope",
    "sacct",
    "scontrol requeue 777",
    "scontrol show job 777",
    "scancel --signal=FOO 777",
]
ACCEPTED = [
    "sbatch --parsable job.sh",
    "sbatch --parsable -J name --time=1-0 --mem=1G --gpus=0 --export=A=1,HOME --requeue job.sh",
    "sbatch --parsable --dependency=afterok:999 --kill-on-invalid-dep=yes job.sh",
    "sbatch --parsable --partition=short --time=10 job.sh",
    "sbatch --parsable quoted.sh",
    "sbatch --parsable single.sh",
    "sbatch --parsable late.sh",
    "sbatch --parsable --wrap=true --job-name=wrapped",
    "squeue --jobs=776,777 --noheader",
    "squeue --name=nobody --noheader",
    "scancel 777",
    "sinfo --noheader --partition=nope",
]
COLUMNS = "%j|%k|%P|%E"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    for name, text in SCRIPTS.items():
        (folder / name).write_text(text)
    return folder


def run(line, folder, path):
    words = line.split()
    done = subprocess.run(words, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def both(lab, monkeypatch, scripts, slurm):
    """Run a line with the real commands, and with those of the stand-in."""
    ours = os.environ["PATH"]
    real = ours.partition(":")[2]
    return lambda line: (run(line, scripts, real), run(line, scripts, ours))


@pytest.mark.slow
@pytest.mark.parametrize("line", REFUSED)
def test_line_is_refused_as_by_slurm(both, line):
    real, ours = both(line)
    assert real[0] != 0
    assert ours == real


@pytest.mark.slow
def test_lines_are_accepted_as_by_slurm(both, lab):
    numbers, listed = [], []
    for line in ACCEPTED:
        real, ours = both(line)
        assert (real[0], ours[0]) == (0, 0), line
        numbers += [(real[1].strip(), ours[1].strip())] * line.startswith("sbatch")
        is_number = [answer[1].strip().isdigit() for answer in (real, ours)]
        assert is_number == [line.startswith("sbatch")] * 2, line
    for own in zip(*numbers, strict=True):
        listed.append(both(f"squeue --noheader --states=all --jobs={','.join(own)} --format={COLUMNS}")[len(listed)])
    real, ours = (sorted(answer[1].splitlines()) for answer in listed)
    assert ours == real


@pytest.mark.slow
def test_partitions_and_nodes_are_printed_as_by_slurm(both, slurm):
    slurm.cluster["partitions"] |= {
        name: {"nodes": nodes, "minutes": None, "default": False, "state": "up"}
        for name, nodes in (("small", ["n2"]), ("spare", ["n1", "n2"]))
    }
    slurm.configure()
    for columns in ("%P|%a|%l|%c|%m|%f|%G|%T", "%R|%a|%l|%D|%c|%m|%T", "%P|%l|%g|%D"):
        real, ours = both(f"sinfo --noheader --format={columns}")
        assert (ours[0], sorted(ours[1].splitlines())) == (0, sorted(real[1].splitlines()))


@pytest.mark.slow
def test_array_that_waits_is_printed_as_by_slurm(both):
    for line in ("sbatch --parsable --hold --array=1-4%2 job.sh",):
        assert [answer[0] for answer in both(line)] == [0, 0]
    for words in ("", "--array"):
        real, ours = both(f"squeue {words} --noheader --sort=i --format=%K|%T|%r|%j")
        assert sorted(ours[1].splitlines()) == sorted(real[1].splitlines()), words
