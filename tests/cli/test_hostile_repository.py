"""A folder is not trusted because one stands in it: no file of a project chooses what runs on this machine."""

import os
import time
from pathlib import Path

import pytest
from robotrain.config import variables

JOB = ("lerobot-train", "-d", "lerobot/pusht")


@pytest.fixture
def trap_program(tmp_path):
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
def test_no_command_runs_a_program_that_a_file_names(robotrain, trap_program, file, command, platform):
    Path(file).write_text(FILES[file])
    job = ("job.yaml",) if file == "job.yaml" else JOB
    answer = robotrain(*command, *job, "--platform", platform)
    assert not trap_program.exists()
    assert "[setting-not-trusted]" in answer.stderr
    assert file in answer.stderr
    assert answer.exit_code == 2


@pytest.mark.parametrize(
    ("file", "platform"),
    [("robotrain.toml", "osmo"), (".env", "osmo"), (".env.local", "osmo"), ("robotrain.toml", "local")],
)
def test_doctor_runs_no_program_that_a_file_names(robotrain, trap_program, file, platform):
    Path(file).write_text(FILES[file])
    robotrain("doctor", "--platform", platform, "--online")
    assert not trap_program.exists()


MODULES = ("importlib", "json", "pip", "robotrain_local", "robotrain_runtime", "runpy", "sitecustomize", "subprocess")


@pytest.fixture
def import_traces(tmp_path):
    """A file that the modules of the current folder create when a child process imports them."""
    for name in MODULES:
        Path(f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\n")
    return tmp_path / "imported"


WITHOUT_UV = [("doctor",), pytest.param(("submit", "--dry-run", *JOB), marks=pytest.mark.slow)]


@pytest.mark.slow
@pytest.mark.parametrize("words", WITHOUT_UV)
def test_no_child_process_imports_a_module_of_the_folder(robotrain, import_traces, monkeypatch, tmp_path, words):
    """As on a machine without uv, where pip is looked for to download it."""
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv("UV", raising=False)
    robotrain(*words, "--platform", "local")
    assert not import_traces.exists()


def test_flag_and_environment_choose_the_program(robotrain, trap_program, monkeypatch):
    Path("robotrain.toml").write_text(FILES["robotrain.toml"])
    answer = robotrain("explain", *JOB, "--platform", "local", "--environment", "/opt/mine", "--json")
    assert answer.exit_code == 2  # the file is named all the same
    Path("robotrain.toml").unlink()
    monkeypatch.setenv("ROBOTRAIN_ENVIRONMENT", "/opt/mine")
    answer = robotrain("explain", *JOB, "--platform", "local", "--json")
    rows = {row["name"]: row for row in answer.json["values"]}
    assert (answer.exit_code, rows["environment"]["value"]) == (0, "/opt/mine")


def test_addresses_chosen_by_files_are_printed_before_submission(robotrain, tmp_path):
    Path("job.yaml").write_text(
        f"workload: lerobot-train\nsources: {{dataset: [{{local_path: {tmp_path}/elsewhere}}]}}\n"
        "parameters: {publish_url: https://acc.blob.core.windows.net/box/out}\n"
        "platforms: {osmo: {tracking_uri: https://tracker.example}}\n"
    )
    Path("robotrain.toml").write_text('[platforms.osmo]\nstorage_account = "theiraccount"\n')
    answer = robotrain("submit", "job.yaml", "--platform", "osmo", "--dry-run")
    output = answer.stderr[answer.stderr.index("[chosen-by-file]") :]
    for text in ("box/out (job.yaml:3)", "https://tracker.example (job.yaml:4)", "theiraccount", f"{tmp_path}/else"):
        assert text in output, output
    local = robotrain("submit", "job.yaml", "--platform", "local", "--dry-run")
    notes = local.stderr.partition("error:")[0]
    assert "[chosen-by-file]" in notes
    assert f"local_path {tmp_path}/else" not in notes, "what is in it stays here"
    answer = robotrain("submit", *JOB, "--platform", "osmo", "--tracking-uri", "https://tracker.example", "--dry-run")
    assert "--tracking-uri" not in answer.stderr.partition("[chosen-by-file]")[2].partition("error:")[0]


def test_env_file_that_expands_without_limit_is_refused(robotrain):
    Path(".env").write_text(f"A={'x' * 100_000}\nB={'${A}' * 30_000}\n")
    assert "[env-file-too-large]" in robotrain("explain", *JOB, "--platform", "local").stderr
    lines = "".join(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 41))
    Path(".env").write_text("A0=aaaa\n" + lines)
    answer = robotrain("explain", *JOB, "--platform", "local")
    assert (answer.exit_code, "[env-file-too-large]" in answer.stderr, ".env:" in answer.stderr) == (2, True, True)


@pytest.mark.parametrize("file", [".env", "robotrain.toml", "job.yaml"])
def test_file_of_megabytes_is_refused(robotrain, file):
    Path(file).write_text({".env": "A=", "robotrain.toml": "x = '", "job.yaml": "x: "}[file] + "y" * 2_000_000)
    answer = robotrain("explain", *(("job.yaml",) if file == "job.yaml" else JOB), "--platform", "local")
    assert (answer.exit_code, "larger than 256 KiB" in answer.stderr.replace("It", "it")) == (2, True), answer.stderr


COSTLY_LINES = {
    "references that do not end": "A=" + "${" * 60_000,
    "one that ends at last": "A=" + "${" * 60_000 + ":x}",
    "defaults that do not end": "A=" + "${a:-" * 50_000,
    "blanks": "A=x" + " " * 200_000 + "y",
    "quotes": "A='" * 60_000,
}


def test_an_env_file_is_read_in_linear_time(tmp_path):
    for name, line in COSTLY_LINES.items():
        (tmp_path / ".env").write_text(line)
        started = time.process_time()
        variables.read_dotenv(tmp_path / ".env")
        assert time.process_time() - started < 2, name  # a second time for each `${` takes minutes


def test_references_of_an_env_file_are_filled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("ONE", "1")
    values = {
        "${ONE}/x": "1/x",
        "a${ONE:-2}b${NONE:-2}c${NONE}": "a1b2c",
        "${ONE": "${ONE",
        "${a:b}": "${a:b}",
        "$ONE": "$ONE",
    }
    for text, value in values.items():
        (tmp_path / ".env").write_text(f"A={text}\n")
        assert variables.read_dotenv(tmp_path / ".env").values["A"].value == value


LOCAL = (*JOB, "--platform", "local")
READERS = {
    "job.yaml": ("explain", "job.yaml", "--platform", "local"),
    "pipeline.yaml": ("pipeline", "render", "pipeline.yaml", "--platform", "local"),
    ".env": ("explain", *LOCAL),
    ".env.local": ("explain", *LOCAL),
    "robotrain.toml": ("explain", *LOCAL),
}


@pytest.mark.parametrize("file", READERS)
def test_a_pipe_or_a_device_is_not_read(robotrain, file):
    for kind in ("a pipe", "/dev/zero"):
        if kind == "a pipe":
            os.mkfifo(file)
        else:
            Path(file).symlink_to(kind)
        answer = robotrain(*READERS[file])  # a wait would fail the test
        if not file.startswith(".env") and file != "robotrain.toml":  # these are looked for, not named
            answer.check(2, "regular file")
        Path(file).unlink()


@pytest.mark.parametrize(
    ("file", "line"), [("job.yaml", "key{}: 1\n"), ("robotrain.toml", "key{} = 1\n"), (".env", "no assignment {}\n")]
)
def test_output_about_a_file_of_errors_is_bounded(robotrain, file, line):
    Path(file).write_text("".join(map(line.format, range(2_000))))
    command = READERS[file]
    answer = robotrain(*command, "--json")
    assert answer.exit_code == 2
    assert len(answer.stderr) < 60_000
    assert len(answer.stdout) < 500_000
