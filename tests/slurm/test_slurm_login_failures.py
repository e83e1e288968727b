"""What goes wrong before a login node answers is one sentence, with what to do, and leaves no process."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from lab import find_free_port
from login_node import HOST
from robotrain.errors import Rejected
from robotrain_slurm.login import calls, ssh_failures
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.check_job import check_login


@pytest.fixture
def refuse(login_node):
    """Return the one problem of a call that fails, after which nothing runs."""

    def run(login: str = HOST):
        with pytest.raises(Rejected) as caught:
            calls.find_home(login)
        (problem,) = caught.value.problems
        assert login_node.list_running() == []
        assert problem.suggestions or problem.why
        return problem

    return run


def test_host_that_ssh_does_not_know(refuse, login_node):
    (login_node.folder / "known_hosts").unlink()
    problem = refuse()
    assert (problem.code, problem.title) == ("slurm-login-host-unknown", f"ssh does not know the host {HOST}")
    assert problem.suggestions[0].text == f"ssh {HOST}"


def test_host_with_another_key_than_before(refuse, login_node):
    login_node.make_key("another")
    login_node.trust("another")
    assert refuse().code == "slurm-login-host-changed"


def test_host_that_asks_for_a_password(refuse, login_node):
    (login_node.folder / "authorized_keys").unlink()
    problem = refuse()
    assert problem.code == "slurm-login-denied"
    assert problem.title == f"{HOST} does not let you in without asking for a password"
    assert problem.suggestions[0].text == f"ssh-copy-id {HOST}"


def test_key_whose_passphrase_no_agent_has(refuse, login_node):
    os.system(f"ssh-keygen -q -p -f {login_node.folder}/user -P '' -N secret >/dev/null")
    assert refuse().code == "slurm-login-denied"


def test_host_that_does_not_exist(refuse):
    problem = refuse("user@no-such-host.invalid")
    assert (problem.code, problem.title) == ("slurm-login-no-host", "there is no host user@no-such-host.invalid")


def test_host_that_does_not_listen(refuse, login_node):
    login_node.close()
    problem = refuse()
    assert (problem.code, problem.title) == ("slurm-login-away", f"{HOST} does not answer")
    text = login_node.configuration.read_text().replace(str(login_node.port), str(find_free_port()))
    login_node.configuration.write_text(text)
    assert "refused" in refuse().why


def test_login_node_without_slurm(refuse, login_node):
    login_node.restart(PATH=make_bin(login_node))
    problem = refuse()
    assert (problem.code, problem.title) == ("slurm-login-no-slurm", f"there is no `sbatch` on {HOST}")


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
    problem = refuse()
    assert problem.code == "slurm-login-no-python"
    assert problem.title == f"{HOST} has no python3 of version 3.10 or newer on PATH"


def test_login_node_whose_python_is_too_old(refuse, login_node):
    old = login_node.folder / "old/python3"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\nexit 1\n")  # what `sys.exit(sys.version_info < (3, 10))` ends with
    old.chmod(0o755)
    login_node.restart(PATH=str(old.parent))
    assert refuse().code == "slurm-login-no-python"


def test_machine_without_ssh(refuse, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    problem = refuse()
    assert (problem.code, problem.title) == ("slurm-login-no-ssh", "there is no `ssh` on this machine")


def test_home_folder_without_space(refuse, login_node):
    (login_node.home / ".cache").write_text("a file")
    with pytest.raises(Rejected) as caught:
        calls.call(HOST, "robotrain_slurm.doctor:find_unwritable_folders", {})
    assert caught.value.problems[0].code == "slurm-login-no-space"


@pytest.mark.parametrize(
    "login",
    [
        "-oProxyCommand=touch hacked",
        "-F/tmp/x",
        "a b",
        "user@-host",
        "$(touch hacked)",
        "host;ls",
        "@host",
        "user@",
        "a\nb",
    ],
)
def test_option_of_ssh_is_no_login_node(login, login_node, robotrain):
    (problem,) = check_login(login)
    assert problem.code == "slurm-login-invalid"
    with pytest.raises(Rejected, match="no valid name"):  # not even from a record
        calls.find_home(login)
    Path("code").mkdir()
    answer = robotrain(
        "render", "command", "--platform", "slurm", f"--login={login}", "--code", "code", "--", "python", "a.py"
    )
    assert answer.exit_code == 2
    assert "slurm-login-invalid" in answer.stderr
    assert login_node.list_calls() == []
    assert not Path("hacked").exists()


@pytest.mark.parametrize("login", ["me@login.cluster.example", "cluster", "a.b@host-1", "me@fe80::1", "10.0.0.1"])
def test_addresses(login):
    assert not [*check_login(login)]


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
    ],
)
def test_failure_is_that_of_ssh_not_of_a_key_or_of_the_shell(text, exit_code, code):
    assert ssh_failures.explain_failure(HOST, text, exit_code).problems[0].code == code


@pytest.mark.parametrize("login", ["me@cluster:2222", "cluster:22"])
def test_port_goes_to_the_configuration_of_ssh(login):
    (problem,) = check_login(login)
    assert problem.code == "slurm-login-invalid"
    assert f"`Port {login.rpartition(':')[2]}` and `HostName cluster`" in problem.why
    assert [*check_login("me@fd00::1")] == []


@pytest.mark.parametrize("text", ["....", "\n.\n . ", ""])
def test_a_shell_that_prints_no_word_is_not_quoted(text):
    (problem,) = ssh_failures.explain_failure("cluster", text, 255).problems
    assert (problem.code, "says" in problem.why) == ("slurm-login-failed", False)


def test_unknown_failure_shows_what_ssh_says():
    (problem,) = ssh_failures.explain_failure(HOST, "kex: strange\n", 255).problems
    assert (problem.code, problem.why) == ("slurm-login-failed", "ssh says: kex: strange.")


@pytest.mark.parametrize(("line", "why"), [("exit 0", "exit code 0"), ("echo Closed for repairs; exit 3", "Closed")])
def test_shell_that_ends_before_the_command(refuse, login_node, line, why):
    (login_node.home / ".bashrc").write_text(f"{line}\n")
    problem = refuse()
    assert (problem.code, problem.title) == ("slurm-login-shell", f"the shell of {HOST} ended before it ran a command")
    assert why in problem.why
    assert problem.suggestions[0].text == f"ssh {HOST} echo it works"


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
    assert calls.call(f"me@{shell}", "robotrain_slurm.doctor:find_unwritable_folders", {}) == []


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
