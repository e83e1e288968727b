"""The program that starts a job in the container: any image's `python3` runs it, and it becomes the runtime."""

import json
from pathlib import Path

import pytest
from azureml_planned import job, plan
from robotrain.model.plan import Payload, write_plan_files
from robotrain_azureml.spec import render
from start_program import StartProgramTests, pack_runtime, start_python


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """The code of a job, which works in `tmp_path`."""
    packed = Payload(pack_runtime())
    write_plan_files(plan(job(job_name="é ☃"), packed=packed, work_dir=str(tmp_path / "a folder")), tmp_path / "plan")
    return tmp_path / "plan" / "code"


def begin(code: Path, before: str = "", **environ: str):
    (code / "start.py").write_text(before + render.START_PROGRAM)
    return start_python(*render.START_COMMAND.split()[1:], cwd=code, environ=environ)


class TestTheProgram(StartProgramTests):
    program = render.START_PROGRAM
    module = "zipfile"

    @pytest.fixture
    def start(self, code: Path):
        return lambda before="", **environ: begin(code, before, **environ)

    def test_it_holds_nothing_that_a_template_would_read(self) -> None:
        assert "$" not in self.program + render.START_COMMAND


def work(code: Path) -> str:
    return str(json.loads((code / "job.json").read_text())["placement"]["work"])


def test_it_unpacks_and_becomes_the_runtime(code: Path) -> None:
    started = begin(code, PYTHONPATH="/elsewhere")
    out, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (0, "")
    folder, size = work(code), len((code / "job.json").read_text())
    assert out == f"{started.pid} {folder} ['run', 'job.json'] {folder}/payload {size}\n"


def test_nothing_is_written_into_the_code(code: Path) -> None:
    begin(code).communicate(timeout=30)
    assert sorted(path.name for path in code.iterdir()) == ["job.json", "payload.zip", "start.py"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("payload.zip", b"PK\x03\x04 half"),
        ("payload.zip", None),
        ("job.json", None),
        ("job.json", b"{}"),
        ("job.json", b"[]"),
        ("job.json", b"\xff"),
        ("job.json", b'{"placement": {"work": "/proc/no/such"}}'),
    ],
)
def test_code_that_did_not_come_whole_is_told_in_a_sentence(code: Path, file: str, content: bytes | None) -> None:
    (code / file).unlink()
    if content is not None:
        (code / file).write_bytes(content)
    started = begin(code)
    _, err = started.communicate(timeout=30)
    assert started.returncode == 2
    assert err.startswith("error: the job cannot be unpacked: ")
    assert err.count("\n") == 1
