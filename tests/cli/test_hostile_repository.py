"""A folder is not trusted because one stands in it: no file of a project chooses what runs on this machine."""

from pathlib import Path

import pytest

JOB = ("lerobot-train", "-d", "lerobot/pusht")


@pytest.fixture
def trap(tmp_path):
    """A program that leaves a mark when it runs, also as an environment's Python: the program, and the mark."""
    mark = tmp_path / "it ran"
    program = Path.cwd() / "x.sh"
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\nexit 1\n")
    program.chmod(0o755)
    python = Path.cwd() / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(program)
    return mark


FILES = {
    "robotrain.toml": '[platforms.osmo]\nosmo_cli = "./x.sh"\n[platforms.local]\nenvironment = "venv"\n',
    ".env": "ROBOTRAIN_OSMO_CLI=./x.sh\nROBOTRAIN_ENVIRONMENT=venv\nOSMO_CLI=./x.sh\n",
    ".env.local": "ROBOTRAIN_OSMO_CLI=./x.sh\nROBOTRAIN_ENVIRONMENT=venv\n",
    "job.yaml": "workload: lerobot-train\nsources: {dataset: [{huggingface: lerobot/pusht}]}\n"
    "platforms: {osmo: {osmo_cli: ./x.sh, pool: default}, local: {environment: venv}}\n",
}
COMMANDS = [
    ("submit", "--dry-run"),
    *(pytest.param(command, marks=pytest.mark.slow) for command in (("submit",), ("render",), ("explain",))),
]


@pytest.mark.parametrize("platform", ["osmo", "local"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("file", FILES)
def test_no_command_runs_a_program_that_a_file_names(robotrain, trap, file, command, platform):
    Path(file).write_text(FILES[file])
    job = ("job.yaml",) if file == "job.yaml" else JOB
    answer = robotrain(*command, *job, "--platform", platform)
    assert not trap.exists()
    assert "[setting-not-trusted]" in answer.stderr
    assert file in answer.stderr
    assert answer.exit_code == 2


@pytest.mark.parametrize("platform", ["osmo", "local"])
@pytest.mark.parametrize("file", [name for name in FILES if name != "job.yaml"])
def test_doctor_runs_none_either(uncounted_cache, robotrain, trap, file, platform):
    Path(file).write_text(FILES[file])
    robotrain("doctor", "--platform", platform, "--online")
    assert not trap.exists()


def test_a_flag_and_the_environment_choose(robotrain, trap, monkeypatch):
    Path("robotrain.toml").write_text(FILES["robotrain.toml"])
    answer = robotrain("explain", *JOB, "--platform", "local", "--environment", "/opt/mine", "--json")
    assert answer.exit_code == 2  # the file is named all the same
    Path("robotrain.toml").unlink()
    monkeypatch.setenv("ROBOTRAIN_ENVIRONMENT", "/opt/mine")
    answer = robotrain("explain", *JOB, "--platform", "local", "--json")
    rows = {row["name"]: row for row in answer.json["values"]}
    assert (answer.exit_code, rows["environment"]["value"]) == (0, "/opt/mine")


def test_what_files_choose_is_said_before_anything_is_sent(robotrain, tmp_path):
    Path("job.yaml").write_text(
        f"workload: lerobot-train\nsources: {{dataset: [{{local_path: {tmp_path}/elsewhere}}]}}\n"
        "parameters: {publish_url: https://acc.blob.core.windows.net/box/out}\n"
        "platforms: {osmo: {tracking_uri: https://tracker.example}}\n"
    )
    Path("robotrain.toml").write_text('[platforms.osmo]\nstorage_account = "theiraccount"\n')
    answer = robotrain("submit", "job.yaml", "--platform", "osmo", "--dry-run")
    said = answer.stderr[answer.stderr.index("[chosen-by-file]") :]
    for text in ("box/out (job.yaml:3)", "https://tracker.example (job.yaml:4)", "theiraccount", f"{tmp_path}/else"):
        assert text in said, said
    answer = robotrain("submit", *JOB, "--platform", "osmo", "--tracking-uri", "https://tracker.example", "--dry-run")
    assert "--tracking-uri" not in answer.stderr.partition("[chosen-by-file]")[2].partition("error:")[0]


def test_an_env_file_that_multiplies_itself_is_refused(robotrain):
    Path(".env").write_text(f"A={'x' * 100_000}\nB={'${A}' * 30_000}\n")
    assert "[env-file-too-large]" in robotrain("explain", *JOB, "--platform", "local").stderr
    lines = "".join(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 41))
    Path(".env").write_text("A0=aaaa\n" + lines)
    answer = robotrain("explain", *JOB, "--platform", "local")
    assert (answer.exit_code, "[env-file-too-large]" in answer.stderr, ".env:" in answer.stderr) == (2, True, True)


@pytest.mark.parametrize("file", [".env", "robotrain.toml", "job.yaml"])
def test_a_file_of_megabytes_is_not_read(robotrain, file):
    Path(file).write_text({".env": "A=", "robotrain.toml": "x = '", "job.yaml": "x: "}[file] + "y" * 2_000_000)
    answer = robotrain("explain", *(("job.yaml",) if file == "job.yaml" else JOB), "--platform", "local")
    assert (answer.exit_code, "larger than 256 KiB" in answer.stderr.replace("It", "it")) == (2, True), answer.stderr
