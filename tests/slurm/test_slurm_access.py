"""A shell on the node of a job, through a login node: a real sshd, and an `srun` that runs here."""

import subprocess
import sys

import pytest
from login_node import HOST
from recorded_slurm import RUN
from robotrain.model.run import RunGone
from robotrain_slurm.platform import SLURM

SRUN = """\
#!/bin/sh
echo "$*" >{folder}/step
while [ "${{1#-}}" != "$1" ]; do shift; done
exec "$@"
"""
STARTER = """\
import sys
from robotrain.cli.commands.shell import become_program
from robotrain.model.terminal import TerminalCommand
become_program(TerminalCommand(sys.argv[1:]))
"""


def start(words, **streams) -> "subprocess.Popen[bytes]":
    """A command of a run, as `robotrain shell` runs it."""
    return subprocess.Popen([sys.executable, "-c", STARTER, *words], stdout=subprocess.PIPE, **streams)


@pytest.fixture
def reference(slurm, login_node, tmp_path) -> dict[str, str]:
    """A run whose job is running on a node, which is this machine."""
    (folder := tmp_path / "the runs" / RUN).mkdir(parents=True)
    path = f"{slurm.folder}/bin:/usr/bin:/bin"
    words = [slurm.folder / "bin/sbatch", f"--job-name={RUN}", f"--comment=robotrain:{RUN}:aa", "--wrap=true"]
    subprocess.run(words, env={"PATH": path}, check=True, stdout=subprocess.DEVNULL)
    slurm.set_state("1", "RUNNING", nodes="localhost")
    (srun := slurm.folder / "bin" / "srun").write_text(SRUN.format(folder=slurm.folder))
    srun.chmod(0o755)
    return {"run": RUN, "job": "1", "folder": str(folder), "login": HOST}


def test_command_runs_in_the_run_folder_as_a_step_beside_the_job(reference, slurm):
    words = ["sh", "-c", "pwd; cat; echo '$x `y` ü' >&2; exit 7"]
    command = SLURM.engine.make_shell(reference, words, has_terminal=False)
    process = start(command.words, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = process.communicate(b"typed\n", timeout=60)
    assert (output.decode(), errors.decode()) == (f"{reference['folder']}\ntyped\n", "$x `y` ü\n")
    assert process.returncode == 7
    step = (slurm.folder / "step").read_text()
    assert step.startswith("--overlap --jobid=1 --nodes=1 --ntasks=1 ")
    assert "--pty" not in step


def test_shell_has_a_terminal(reference, slurm):
    command = SLURM.engine.make_shell(reference, (), has_terminal=True)
    assert "-t" in command.words
    done = subprocess.run(command.words, input=b"echo $((6*7)); exit 5\n", capture_output=True, timeout=60)
    assert (b"42" in done.stdout, done.returncode) == (True, 5)
    assert "--pty" in (slurm.folder / "step").read_text()


def test_job_that_has_ended_meanwhile_is_gone(reference, slurm):
    slurm.set_state("1", "COMPLETED")
    with pytest.raises(RunGone, match="no job of Slurm"):
        SLURM.engine.make_shell(reference, (), has_terminal=False)
