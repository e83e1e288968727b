"""What a login node reports is in words, and commands, for the machine of the user."""

import subprocess
from dataclasses import replace

import pytest
from robotrain.errors import Problem, Stage, Suggestion
from robotrain_slurm.login import reach


def test_problem_of_a_login_node_speaks_of_it_by_its_name():
    problem = Problem(
        code="x",
        stage=Stage.PREFLIGHT,
        title="this machine is full",
        suggestions=(Suggestion("rm -r /runs/a", "on this machine"), Suggestion("--runs-dir FOLDER")),
    )
    translated = reach.translate_problem(problem, "me@cluster")
    assert translated.title == "me@cluster is full"
    assert [suggestion.text for suggestion in translated.suggestions] == [
        "ssh me@cluster 'rm -r /runs/a'",
        "--runs-dir FOLDER",
    ]
    assert translated.suggestions[0].remark == "on me@cluster"


def test_what_options_do_on_the_machine_of_the_user_is_not_said_of_the_login_node():
    ways = [
        Suggestion("--platform local", "runs the job on this machine"),
        Suggestion("--dataset-path /a", "if it is of this machine: it is copied there"),
        Suggestion("--login USER@HOST", "submits on a login node of the cluster, by ssh"),
        Suggestion("uv python install 3.12", "on this machine"),
    ]
    problem = Problem(code="x", stage=Stage.PREFLIGHT, title="", suggestions=tuple(ways))
    local, dataset, _, python = reach.translate_problem(problem, "me@cluster").suggestions
    assert (local, dataset) == (ways[0], ways[1])
    assert python == Suggestion("ssh me@cluster 'uv python install 3.12'", "on me@cluster")
    no_ssh = replace(problem, where="--login", title="there is no `ssh` on this machine")
    assert reach.translate_problem(no_ssh, "me@cluster") == no_ssh


@pytest.mark.parametrize(
    "command",
    [
        "squeue --me",
        "sinfo --format='%P %f'",
        "sacctmgr show associations user=$USER",
        "rm -r '/runs/$a b'",
    ],
)
def test_command_of_a_login_node_is_one_that_the_shell_of_this_machine_leaves_to_it(command):
    problem = Problem(code="x", stage=Stage.SUBMIT, title="", suggestions=(Suggestion(command),))
    (suggestion,) = reach.translate_problem(problem, "me@cluster").suggestions
    assert suggestion.text.startswith("ssh me@cluster ")
    shown = 'USER=laptop; ssh() { shift; printf %s "$*"; }; ' + suggestion.text
    assert subprocess.run(["bash", "-c", shown], capture_output=True, text=True, check=True).stdout == command
