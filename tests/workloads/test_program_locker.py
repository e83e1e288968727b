"""The packages of a user's own program: what is locked, for which machine, what cannot be, and that nothing runs."""

import hashlib
import json
import re
from pathlib import Path

import pretend_index
import pytest
from messages import check_problems
from robotrain.errors import Rejected
from robotrain.model.job import Job
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.environments import torch_build, uv_program
from robotrain_workloads.command_lock import lock_target, program_locker
from robotrain_workloads.command_lock.lock_target import Target

pytestmark = pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")
PASSWORD = "aVerySecretWord1"


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    """The folder of files that stands in for the package index."""
    folder = tmp_path / "shelf"
    pretend_index.wheel(folder, "moves", "1.0", needs=("joints>=2",))
    for version in ("1.0", "2.0", "2.1"):
        pretend_index.wheel(folder, "joints", version)
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_OFFLINE", "1")
    return folder


@pytest.fixture
def lock(tmp_path):
    """Lock the packages of a job: `lock(requirements="numpy", python_version="3.11")`, `lock(code={"uv.lock": …})`."""

    def run(requirements="", code=None, **parameters):
        values = dict.fromkeys(program_locker.PARAMETERS) | {"install": True, "allow_builds": False} | parameters
        if requirements:
            (tmp_path / "requirements.txt").write_text(requirements)
            values["requirements"] = str(tmp_path / "requirements.txt")
        sources = ()
        if code is not None:
            (tmp_path / "code").mkdir(exist_ok=True)
            for name, text in code.items():
                (tmp_path / "code" / name).write_text(text)
            sources = (JobSource(role="code", kind="local_path", uri=str(tmp_path / "code")),)
        job = Job(workload="command", parameters=tuple(values.items()), sources=sources)
        return program_locker.lock_program(job, lambda line: None)

    return run


def refused(make, *arguments, **parameters) -> list:
    with pytest.raises(Rejected) as rejected:
        make(*arguments, **parameters)
    return list(rejected.value.problems)


def pins(text: str) -> dict[str, list[str]]:
    """The hashes of each package of a lock."""
    found, name = {}, ""
    for line in text.splitlines():
        name = match[1] if (match := re.match(r"([a-z][\w-]*) ?(?:==|@)", line)) else name
        found.setdefault(name, []).extend(re.findall(r"sha256:(\w+)", line))
    return {name: hashes for name, hashes in found.items() if name}


def test_requirements_are_locked_with_what_they_need_by_hash(lock, shelf):
    (shelf.parent / "limits.txt").write_text("joints<2.1\n")
    locked = lock("moves  # a comment\n-c limits.txt\n")
    joints = pretend_index.sha256(shelf / "joints-2.0-py3-none-any.whl")
    assert pins(locked.lock)["joints"] == [joints]
    assert "joints==2.0 \\\n" in locked.lock
    assert "    # via moves\n" in locked.lock
    assert program_locker.WHEELS_ONLY in locked.lock
    assert (locked.python, locked.origin, locked.summary) == ("3.12", "requirements.txt", "2 packages, Python 3.12")
    assert [note.code for note in locked.notes] == ["python-assumed"]


def test_equal_requirements_are_locked_once(lock, shelf, tmp_path, monkeypatch):
    first = lock("joints\n", python_version="3.11")
    pretend_index.wheel(shelf, "joints", "3.0")
    monkeypatch.setattr(program_locker.uv_resolution, "run_uv", lambda *words: pytest.fail("uv runs again"))
    assert lock("joints\n", python_version="3.11").lock == first.lock
    monkeypatch.undo()
    monkeypatch.setenv("UV_FIND_LINKS", str(shelf))
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert "joints==3.0" in lock("joints>1\n", python_version="3.11").lock


UNLOCKABLE = f"""
git+https://me:{PASSWORD}@example.com/a.git@main
b @ git+https://example.com/b.git
c @ https://me:{PASSWORD}@example.com/c-1.0-py3-none-any.whl
-e .
./d
--extra-index-url https://me:{PASSWORD}@example.com/simple
--pre
joints ==
joints
"""


def test_all_that_cannot_be_locked_is_named_at_once_without_secrets(lock, shelf):
    problems = refused(lock, UNLOCKABLE)
    lines = [f"not-lockable requirements.txt:{number}" for number in range(2, 9)]
    check_problems(problems, *lines, "requirement-invalid requirements.txt:9")
    assert all(one.suggestions for one in problems)
    assert PASSWORD not in "".join(map(str, problems))


def test_all_packages_without_a_wheel_are_named_at_once(lock, shelf):
    for name in ("grippers", "wheels"):
        (shelf / f"{name}-1.0.tar.gz").write_bytes(b"its setup.py would run")
    for problem in refused(lock, "grippers\njoints\nwheels==1.0\n"):
        check_problems([problem], "not-lockable")


def test_requirements_that_exclude_each_other_are_explained_by_uv(lock, shelf):
    problems = refused(lock, "joints>=2\njoints<2\n")
    check_problems(problems, "lock-failed")
    assert str(shelf) not in str(problems[0])


def make_entry(
    name: str, version: str, *files: str, source: str = 'registry = "https://index.example/simple"', needs: str = ""
) -> str:
    """A package of a uv.lock; the hash of a file is that of its name."""
    lines = [f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ {source} }}']
    lines += [f'dependencies = [{{ name = "{needs}" }}]'] if needs else []
    entries = []
    for file in files:
        host = source.rpartition("//")[2].partition("/")[0]
        entries.append(f'{{ url = "https://{host}/{file}", hash = "sha256:{digest(file)}", size = 1000 }}')
    lines += [f"sdist = {entry}" for file, entry in zip(files, entries, strict=True) if file.endswith(".tar.gz")]
    wheels = [f"    {entry}," for file, entry in zip(files, entries, strict=True) if file.endswith(".whl")]
    lines += ["wheels = [", *wheels, "]"] if wheels else []
    return "\n".join(lines) + "\n\n"


def digest(file: str) -> str:
    return hashlib.sha256(file.encode()).hexdigest()


def make_project(*entries: str, needs: str = "", tool: str = "", requires: str = ">=3.10") -> dict[str, str]:
    """The files of a project whose uv.lock has these packages."""
    names = re.findall(r'^name = "(.*)"', "".join(entries), re.MULTILINE)
    needed = needs or "".join(f'    {{ name = "{name}" }},\n' for name in names)
    own = f'[[package]]\nname = "mine"\nversion = "1"\nsource = {{ virtual = "." }}\ndependencies = [\n{needed}]\n'
    head = f'version = 1\nrevision = 3\nrequires-python = "{requires}"\n\n'
    listed = json.dumps(sorted({*names}))
    project = (
        f'[project]\nname = "mine"\nversion = "1"\nrequires-python = "{requires}"\ndependencies = {listed}\n{tool}'
    )
    return {"uv.lock": head + own + "\n" + "".join(entries), "pyproject.toml": project}


FAST_WHEELS = (
    "fast-1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "fast-1.0-cp311-cp311-musllinux_1_2_x86_64.whl",
    "fast-1.0-cp311-cp311-manylinux_2_28_aarch64.whl",
    "fast-1.0-cp311-cp311-macosx_11_0_arm64.whl",
    "fast-1.0-cp312-cp312-manylinux_2_28_x86_64.whl",
    "fast-1.0-cp312-cp312-manylinux_2_35_x86_64.whl",
    "fast-1.0.tar.gz",
)


@pytest.mark.parametrize(("python", "kept"), [("3.11", FAST_WHEELS[0]), ("3.12", FAST_WHEELS[4])])
def test_only_the_wheels_of_a_uv_lock_that_fit_the_target_are_locked(lock, python, kept):
    locked = lock(code=make_project(make_entry("fast", "1.0", *FAST_WHEELS)), python_version=python)
    assert pins(locked.lock) == {"fast": [digest(kept)]}
    assert locked.origin == "uv.lock"


def test_the_packages_of_another_python_or_system_are_left_out(lock):
    project = make_project(
        make_entry("old", "1.0", "old-1.0-py3-none-any.whl"),
        make_entry("win", "1.0", "win-1.0-py3-none-any.whl"),
        needs='    { name = "old", marker = "python_full_version < \'3.11\'" },\n'
        '    { name = "win", marker = "sys_platform == \'win32\'" },\n',
    )
    assert pins(lock(code=project, python_version="3.12").lock) == {}
    assert list(pins(lock(code=project, python_version="3.10").lock)) == ["old"]


OWN_INDEX = '[[tool.uv.index]]\nname = "cu"\nurl = "https://wheels.example/cu126"\nexplicit = true\n'
TORCH_WHEEL = "torch-2.7.0%2Bcu126-cp312-cp312-manylinux_2_28_x86_64.whl"


def test_a_package_of_the_projects_own_index_is_locked_by_address(lock):
    registry, needs = 'registry = "https://wheels.example/cu126"', "nvidia-nccl-cu12"
    torch = make_entry("torch", "2.7.0+cu126", TORCH_WHEEL, source=registry, needs=needs)
    nccl = make_entry("nvidia-nccl-cu12", "2.26.2", "nvidia_nccl_cu12-2.26.2-py3-none-manylinux2014_x86_64.whl")
    flash = make_entry(
        "flash-attn",
        "2.7",
        "flash_attn-2.7-cp312-cp312-linux_x86_64.whl",
        source='url = "https://files.example/flash_attn-2.7-cp312-cp312-linux_x86_64.whl"',
    )
    project = make_project(torch, flash, tool=OWN_INDEX)
    project["uv.lock"] += nccl
    locked = lock(code=project).lock
    assert f"torch @ https://wheels.example/{TORCH_WHEEL} \\\n    --hash=sha256:{digest(TORCH_WHEEL)}\n" in locked
    assert "flash-attn @ https://files.example/" in locked
    assert "nvidia-nccl-cu12==2.26.2" in locked
    split = torch_build.split_lock(locked)  # --torch-backend replaces the build
    assert split.torch_pins == ("torch==2.7.0",)
    assert "nvidia-nccl-cu12" not in split.other_pins


def test_what_is_no_package_of_an_index_is_named(lock):
    project = make_project(
        make_entry("fast", "1.0", FAST_WHEELS[0]),
        make_entry(
            "mygit", "1.0", source='git = "https://example.com/a?rev=main#0123456789012345678901234567890123456789"'
        ),
        make_entry("mypath", "1.0", source='editable = "../mypath"'),
        make_entry(
            "sealed",
            "1.0",
            "sealed-1.0-py3-none-any.whl?sig=aVerySecretWord1",
            source='registry = "https://me.example/x"',
        ),
        tool='[[tool.uv.index]]\nurl = "https://me.example/x"\n',
    )
    problems = refused(lock, code=project, python_version="3.12")
    assert len(problems) == 4
    for problem in problems:
        check_problems([problem], problem.code)
    assert PASSWORD not in "".join(map(str, problems))


def test_a_package_without_a_wheel_is_built_in_the_job_if_that_is_allowed(lock):
    project = make_project(make_entry("fast", "1.0", "fast-1.0.tar.gz"))
    check_problems(refused(lock, code=project), "not-lockable")
    locked = lock(code=project, allow_builds=True).lock
    assert pins(locked) == {"fast": [digest("fast-1.0.tar.gz")]}
    assert program_locker.WHEELS_ONLY not in locked


def test_a_requirements_file_with_hashes_may_be_built_as_it_is(lock, shelf):
    text = f"fast==1.0 --hash=sha256:{digest('a')}\nwin==1; sys_platform == 'win32' --hash=sha256:{digest('b')}\n"
    assert pins(lock(text, allow_builds=True).lock) == {"fast": [digest("a")]}


def test_a_uv_lock_that_lacks_a_dependency_is_older_than_its_project(lock):
    project = make_project(make_entry("fast", "1.0", FAST_WHEELS[0]))
    project["pyproject.toml"] = project["pyproject.toml"].replace('"fast"', '"fast", "New_One>=2"')
    check_problems(refused(lock, code=project), "not-lockable")


def test_the_dependencies_of_a_pyproject_are_locked(lock, shelf):
    text = '[project]\nname = "mine"\ndependencies = ["moves"]\nrequires-python = "<3.12"\n'
    locked = lock(code={"pyproject.toml": text})
    assert list(pins(locked.lock)) == ["joints", "moves"]
    assert (locked.origin, locked.python) == ("pyproject.toml", "3.11")


def test_the_projects_own_packages_are_part_of_the_code(lock, tmp_path):
    for folder in ("src", "packages/tools/src", "packages/flat"):
        (tmp_path / "code" / folder).mkdir(parents=True)
    project = make_project(
        make_entry("fast", "1.0", FAST_WHEELS[0]),
        make_entry("tools", "1.0", source='editable = "packages/tools"'),
        make_entry("flat", "1.0", source='directory = "packages/flat"'),
    )
    project["uv.lock"] = project["uv.lock"].replace('virtual = "."', 'editable = "."')
    locked = lock(code=project, python_version="3.11")
    assert list(pins(locked.lock)) == ["fast"]
    (note,) = locked.notes
    assert note.suggestions[0].text == "--set-env PYTHONPATH=src:packages/tools/src:packages/flat"
    assert lock(code=project, python_version="3.11", environ='{"PYTHONPATH": "src"}').notes == ()


DAMAGED = [
    {"pyproject.toml": "[project]\ndependencies = 3\n"},
    {"pyproject.toml": "[project]\ndependencies = ['a']\nrequires-python = 3\n"},
    {"pyproject.toml": "[project\n"},
    {"pyproject.toml": "project = 3\ntool = 4\n"},
    {"uv.lock": "package = 3\n"},
    {"uv.lock": "not toml"},
    {"uv.lock": "version = 1\n[[package]]\nname = 3\n"},
    {"uv.lock": "version = 1\n", "pyproject.toml": "project = 'a'\n"},
]


@pytest.mark.parametrize("code", DAMAGED)
def test_a_damaged_list_of_packages_is_told(lock, code):
    (problem,) = refused(lock, code=code)
    assert problem.code in ("file-unreadable", "requirement-invalid", "lock-failed")


@pytest.mark.parametrize("line", ["-r /etc/hostname", "-r ../id_rsa", "-c https://example.com/limits.txt"])
def test_only_lists_of_packages_are_read_beside_a_requirements_file(lock, line):
    assert [one.code for one in refused(lock, f"{line}\n")] == ["not-lockable"]


def test_a_workspace_without_a_project_of_its_own_has_the_packages_of_its_members(lock):
    member = (
        '[[package]]\nname = "a"\nversion = "1"\nsource = { virtual = "a" }\ndependencies = [{ name = "fast" }]\n\n'
    )
    content = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n[manifest]\nmembers = ["a"]\n\n' + member
    content += make_entry("fast", "1.0", FAST_WHEELS[0])
    code = {"uv.lock": content, "pyproject.toml": "[tool.uv.workspace]\nmembers = ['a']\n"}
    assert list(pins(lock(code=code, python_version="3.11").lock)) == ["fast"]


def test_the_name_of_a_project_brings_no_settings_of_uv(lock, monkeypatch):
    monkeypatch.setattr(program_locker.uv_resolution, "run_uv", lambda *words: pytest.fail("uv runs"))
    name = json.dumps('a"\n[tool.uv]\ncache-dir = "/tmp/theirs')
    (problem,) = refused(lock, code={"uv.lock": "version = 1\n", "pyproject.toml": f"[project]\nname = {name}\n"})
    assert problem.code == "file-unreadable"


UNKNOWN_PROJECTS = [
    '[project]\nname = "mine"\ndynamic = ["dependencies"]\n',
    '[project]\nname = "mine"\ndependencies = ["a"]\n[tool.uv.sources]\na = {index = "theirs"}\n',
    '[project]\nname = "mine"\ndependencies = ["a"]\n[[tool.uv.index]]\nurl = "https://theirs.example"\n',
    '[project]\nname = "mine"\ndependencies = ["a"]\n[tool.uv]\nextra-index-url = ["https://theirs.example"]\n',
    '[project]\nname = "mine"\ndependencies = ["a @ git+https://example.com/a"]\n',
    '[tool.poetry.dependencies]\na = "*"\n',
]


@pytest.mark.parametrize("text", UNKNOWN_PROJECTS)
def test_a_project_that_says_where_packages_come_from_needs_a_uv_lock(lock, text, monkeypatch):
    monkeypatch.setattr(program_locker.uv_resolution, "run_uv", lambda *words: pytest.fail("uv runs"))
    problems = refused(lock, code={"pyproject.toml": text})
    assert {one.code for one in problems} == {"not-lockable"}


@pytest.mark.parametrize(
    "code", [None, {}, {"pyproject.toml": "[tool.ruff]\n"}, {"pyproject.toml": "[project]\nname = 'a'\n"}]
)
def test_a_program_without_a_list_of_packages_has_nothing_to_lock(lock, code):
    assert lock(code=code) is None


def test_nothing_is_locked_with_no_install(lock):
    assert lock("joints\n", install=False) is None


def test_a_shipped_environment_is_the_very_lock_of_its_workload(lock):
    from robotrain_workloads.lerobot_train import container

    locked = lock(shipped_environment="lerobot-train")
    assert locked.lock == container.ENVIRONMENT.lock.read_text()
    assert locked.python == container.ENVIRONMENT.python


CHOICES = [
    # --python-version, .python-version, requires-python, the version
    (None, "", "", "3.12"),
    (None, "", ">=3.9", "3.12"),
    (None, "", ">=3.10,<3.12", "3.11"),
    (None, "", "==3.10.*", "3.10"),
    (None, "", ">=3.11.4", "3.12"),
    (None, "", ">3.12.99", "3.13"),
    (None, "# pyenv\n3.10.13\n", ">=3.9", "3.10"),
    (None, "cpython-3.11.7-linux", "", "3.11"),
    (None, "my-virtualenv", "", "3.12"),
    ("3.13", "3.10", "", "3.13"),
    ("3.11.4", "", "", "3.11"),
]


@pytest.mark.parametrize(("given", "file", "requires", "version"), CHOICES)
def test_the_python_that_packages_are_locked_for(given, file, requires, version):
    assert lock_target.choose_python(given, file, requires, "uv.lock").version == version


@pytest.mark.parametrize(
    ("given", "file", "requires", "code"),
    [
        (None, "", ">=3.14", "python-not-allowed"),
        ("3.10", "", ">=3.11", "python-not-allowed"),
        (None, "3.10", ">=3.11", "python-not-allowed"),
        (None, "", "three", "requirement-invalid"),
        ("pypy3", "", "", "value-invalid"),
    ],
)
def test_a_python_that_does_not_fit_is_refused(given, file, requires, code):
    check_problems(refused(lock_target.choose_python, given, file, requires, "uv.lock"), code)


def test_a_wheel_for_newer_systems_is_the_last_resort():
    names = dict.fromkeys(("a-1-cp312-abi3-manylinux_2_31_x86_64.whl", "a-1-cp38-abi3-manylinux_2_35_x86_64.whl"))
    assert Target("3.12").choose_wheels(names) == list(names)
    older = {"a-1-cp310-abi3-manylinux1_x86_64.whl": None, **names}
    assert Target("3.12").choose_wheels(older) == ["a-1-cp310-abi3-manylinux1_x86_64.whl"]


HOSTILE_PROGRAM = "#!/bin/sh\ntouch {ran}\n"


def test_nothing_of_a_project_runs_or_is_a_configuration(lock, shelf, tmp_path, monkeypatch):
    ran, code = tmp_path / "ran", tmp_path / "code"
    for folder in (code / ".venv/bin", code / "bin"):
        folder.mkdir(parents=True)
        for name in ("python", "python3", "git", "uv"):
            (folder / name).write_text(HOSTILE_PROGRAM.format(ran=ran))
            (folder / name).chmod(0o755)
    (code / "setup.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (code / ".python-version").write_text("3.11\n")
    monkeypatch.chdir(code)
    uv_toml = f'no-index = false\nindex-url = "http://127.0.0.1:9/{PASSWORD}"\nfind-links = []\n'
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    text = '[project]\nname = "mine"\ndependencies = ["moves"]\n[tool.uv.pip]\nno-build = false\n'
    locked = lock(code={"pyproject.toml": text, "uv.toml": uv_toml})
    assert list(pins(locked.lock)) == ["joints", "moves"]
    assert locked.python == "3.11"
    assert not ran.exists()
