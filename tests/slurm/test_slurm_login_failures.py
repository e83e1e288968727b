"""What goes wrong before a login node answers is one sentence, with what to do, and leaves no process."""

import os
from pathlib import Path

import pytest
from free_ports import find_free_port
from login_node import HOST
from problem_assertions import check_problems
from robotrain.errors import Rejected
from robotrain_slurm.login.reach import explain_failure, reach
from robotrain_slurm.settings import SlurmSettings


def find_home(login: str) -> str:
    return reach(login).run('printf %s "$HOME"').text


@pytest.fixture
def refuse(login_node):
    """Check the one problem of a call that fails, after which nothing runs."""

    def run(code: str, login: str = HOST) -> None:
        with pytest.raises(Rejected) as caught:
            find_home(login)
        check_problems(caught.value.problems, code)
        assert login_node.list_running() == []

    return run


def test_host_that_ssh_does_not_know(refuse, login_node):
    (login_node.folder / "known_hosts").unlink()
    refuse("slurm-login-failed")


def test_host_with_another_key_than_before(refuse, login_node):
    login_node.make_key("another")
    login_node.trust("another")
    refuse("slurm-login-failed")


def test_host_that_asks_for_a_password(refuse, login_node):
    (login_node.folder / "authorized_keys").unlink()
    refuse("slurm-login-failed")


def test_key_whose_passphrase_no_agent_has(refuse, login_node):
    os.system(f"ssh-keygen -q -p -f {login_node.folder}/user -P '' -N secret >/dev/null")
    refuse("slurm-login-failed")


def test_host_that_does_not_exist(refuse):
    refuse("slurm-login-failed", "user@no-such-host.invalid")


def test_host_that_does_not_listen(refuse, login_node):
    login_node.close()
    refuse("slurm-login-away")
    text = login_node.configuration.read_text().replace(str(login_node.port), str(find_free_port()))
    login_node.configuration.write_text(text)
    refuse("slurm-login-away")


def test_login_node_without_slurm(refuse, login_node):
    login_node.restart(PATH=make_bin(login_node))
    refuse("slurm-login-no-slurm")


def make_bin(login_node) -> str:
    """Return a PATH with the programs that a call needs, and no Slurm."""
    folder = login_node.folder / "programs"
    folder.mkdir()
    for name in ("sh", "head", "cat"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    (login_node.home / ".bash_profile").write_text(f"PATH={folder}\n")  # else /etc/profile has the usual one
    return str(folder)


def test_machine_without_ssh(refuse, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    refuse("slurm-login-failed")


@pytest.mark.parametrize("login", ["-oProxyCommand=touch hacked", "$(touch hacked)"])
def test_option_of_ssh_is_no_login_node(login, login_node, robotrain):
    """Which names are valid, test_slurm_check.py says."""
    with pytest.raises(Rejected) as caught:  # not even from a record
        find_home(login)
    check_problems(caught.value.problems, "slurm-login-invalid")
    Path("code").mkdir()
    Path("code/a.py").touch()
    words = ("command", "--platform", "slurm", f"--login={login}", "--code", "code", "--", "python", "a.py")
    robotrain("render", *words).check_problems(2, "slurm-login-invalid --login")
    assert login_node.list_calls() == []
    assert not Path("hacked").exists()


def test_slurm_that_only_a_login_shell_has_is_found(login_node, slurm):
    login_node.restart(PATH=make_bin(login_node))
    (login_node.home / ".bash_profile").write_text(f"echo noise\nexport PATH={slurm.folder}/bin:$PATH MODULES=1\n")
    assert find_home(HOST) == str(login_node.home)


def test_settings_of_the_cluster_do_not_depend_on_this_machine(monkeypatch):
    monkeypatch.setenv("HOME", "/Users/me")
    settings = SlurmSettings(
        login=HOST, runs_dir="/Users/me/runs", environment="/Users/met/env", cache_dir="/scratch/c"
    )
    assert (settings.runs_dir, settings.environment, settings.cache_dir) == ("~/runs", "/Users/met/env", "/scratch/c")
    assert SlurmSettings(login=HOST).runs_dir == "~/robotrain-runs"
    assert SlurmSettings(login=HOST, tracking_uri="sqlite:////Users/me/a.db").tracking_uri == "sqlite:///~/a.db"


@pytest.mark.parametrize(
    ("text", "exit_code", "code"),
    [
        ("~/.bashrc: line 3: /opt/x: Permission denied", 1, "slurm-login-failed"),
        ("Load key k: Permission denied\nconnect to host h: Connection timed out", 255, "slurm-login-away"),
        ("me@h: Permission denied (publickey).", 255, "slurm-login-failed"),
        ("Host key for h has changed\nHost key verification failed.", 255, "slurm-login-failed"),
        ("j: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535", 255, "slurm-login-failed"),
        ("....", 255, "slurm-login-failed"),  # no word, which is not quoted
        ("\n.\n . ", 255, "slurm-login-failed"),
        ("", 255, "slurm-login-failed"),
        ("kex: strange\n", 255, "slurm-login-failed"),
    ],
)
def test_failure_is_that_of_ssh_not_of_a_key_or_of_the_shell(text, exit_code, code):
    check_problems(explain_failure(HOST, text, exit_code).problems, code)


@pytest.mark.parametrize("line", ["exit 0", "echo Closed for repairs; exit 3"])
def test_shell_that_ends_before_the_command(refuse, login_node, line):
    (login_node.home / ".bashrc").write_text(f"{line}\n")
    refuse("slurm-login-failed")
