"""What goes wrong before a login node answers is one sentence, with what to do, and leaves no process."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from free_ports import find_free_port
from login_node import HOST
from messages import check_problems
from robotrain.errors import Rejected
from robotrain_slurm.login import calls, ssh_failures
from robotrain_slurm.settings import SlurmSettings


@pytest.fixture
def refuse(login_node):
    """Check the one problem of a call that fails, after which nothing runs."""

    def run(code: str, login: str = HOST) -> None:
        with pytest.raises(Rejected) as caught:
            calls.find_home(login)
        check_problems(caught.value.problems, code)
        assert login_node.list_running() == []

    return run


def test_host_that_ssh_does_not_know(refuse, login_node):
    (login_node.folder / "known_hosts").unlink()
    refuse("slurm-login-host-unknown")


def test_host_with_another_key_than_before(refuse, login_node):
    login_node.make_key("another")
    login_node.trust("another")
    refuse("slurm-login-host-changed")


def test_host_that_asks_for_a_password(refuse, login_node):
    (login_node.folder / "authorized_keys").unlink()
    refuse("slurm-login-denied")


def test_key_whose_passphrase_no_agent_has(refuse, login_node):
    os.system(f"ssh-keygen -q -p -f {login_node.folder}/user -P '' -N secret >/dev/null")
    refuse("slurm-login-denied")


def test_host_that_does_not_exist(refuse):
    refuse("slurm-login-no-host", "user@no-such-host.invalid")


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
    for name in ("python3", "sh"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    (login_node.home / ".bash_profile").write_text(f"PATH={folder}\n")  # else /etc/profile has the usual one
    return str(folder)


def test_login_node_without_python(refuse, login_node):
    (login_node.folder / "empty").mkdir()
    login_node.restart(PATH=str(login_node.folder / "empty"))
    refuse("slurm-login-no-python")


def test_login_node_whose_python_is_too_old(refuse, login_node):
    old = login_node.folder / "old/python3"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\nexit 1\n")  # what `sys.exit(sys.version_info < (3, 10))` ends with
    old.chmod(0o755)
    login_node.restart(PATH=str(old.parent))
    refuse("slurm-login-no-python")


def test_machine_without_ssh(refuse, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    refuse("slurm-login-no-ssh")


def test_home_folder_without_space(refuse, login_node):
    (login_node.home / ".cache").write_text("a file")
    with pytest.raises(Rejected) as caught:
        calls.call(HOST, "robotrain_slurm.observe.runs:RUNS.list_statuses", [])
    check_problems(caught.value.problems, "slurm-login-no-space")


@pytest.mark.parametrize("login", ["-oProxyCommand=touch hacked", "$(touch hacked)"])
def test_option_of_ssh_is_no_login_node(login, login_node, robotrain):
    """Which names are valid, test_slurm_check.py says."""
    with pytest.raises(Rejected) as caught:  # not even from a record
        calls.find_home(login)
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
    assert calls.find_home(HOST) == str(login_node.home)


def test_profile_that_prints_is_no_answer(login_node, slurm):
    (login_node.home / ".bashrc").write_text("echo 'robotrain-login-node is no answer'; echo Welcome!\n")
    assert calls.find_home(HOST) == str(login_node.home)


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
        ("~/.bashrc: line 3: /opt/x: Permission denied", 1, "slurm-login-shell"),
        ("Load key k: Permission denied\nconnect to host h: Connection timed out", 255, "slurm-login-away"),
        ("me@h: Permission denied (publickey).", 255, "slurm-login-denied"),
        ("Host key for h has changed\nHost key verification failed.", 255, "slurm-login-host-changed"),
        ("j: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535", 255, "slurm-login-denied"),
        ("....", 255, "slurm-login-failed"),  # no word, which is not quoted
        ("\n.\n . ", 255, "slurm-login-failed"),
        ("", 255, "slurm-login-failed"),
        ("kex: strange\n", 255, "slurm-login-failed"),
    ],
)
def test_failure_is_that_of_ssh_not_of_a_key_or_of_the_shell(text, exit_code, code):
    check_problems(ssh_failures.explain_failure(HOST, text, exit_code).problems, code)


@pytest.mark.parametrize("line", ["exit 0", "echo Closed for repairs; exit 3"])
def test_shell_that_ends_before_the_command(refuse, login_node, line):
    (login_node.home / ".bashrc").write_text(f"{line}\n")
    refuse("slurm-login-shell")


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish", "tcsh"])
def test_login_shell_of_any_kind_runs_the_command(shell, login_node, slurm, monkeypatch, tmp_path):
    if not (program := shutil.which(shell)):
        pytest.skip(f"no {shell} on this machine")
    home = tmp_path / "home of a user"
    home.mkdir()
    (home / ".cshrc").write_text('echo "Welcome to the cluster"\n')
    (home / ".zshenv").write_text("echo 'Welcome to the cluster'\n")
    (home / ".config/fish").mkdir(parents=True)
    (home / ".config/fish/config.fish").write_text("echo 'Welcome to the cluster'\n")
    ssh = login_node.bin / "ssh"
    environment = f"-i HOME='{home}' PATH={slurm.folder}/bin:/usr/bin:/bin"
    ssh.write_text(f'#!/bin/sh\nfor last; do :; done\nexec env {environment} {program} -c "$last"\n')
    assert calls.find_home(f"me@{shell}") == str(home)
    assert calls.call(f"me@{shell}", "robotrain_slurm.observe.runs:RUNS.list_statuses", []) == []


def test_shared_connection_of_the_user_is_used_and_stays(login_node):
    with tempfile.TemporaryDirectory() as folder:  # a socket has a short path
        options = f"  ControlMaster auto\n  ControlPersist 60\n  ControlPath {folder}/%C\n"
        text = login_node.configuration.read_text()
        login_node.configuration.write_text(text.replace("Host *\n", f"Host *\n{options}"))
        for _ in range(2):  # the first one opens it
            assert calls.find_home(HOST) == str(login_node.home)
            calls.close_connections()
            assert login_node.list_running() == []
            assert [*Path(folder).iterdir()]
        logins = (login_node.folder / "sshd.txt").read_text().count("Accepted publickey")
        subprocess.run([login_node.bin / "ssh", "-q", "-O", "exit", HOST], check=True, stderr=subprocess.DEVNULL)
    assert logins == 1
