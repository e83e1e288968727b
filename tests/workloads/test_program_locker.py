"""The packages of a user's own program: what is locked, for which machine, and what a project's files may not."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pretend_index
import pytest
from problem_assertions import check_problems
from robotrain.errors import Rejected
from robotrain.model.job import Job
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.environments import torch_build, uv_program
from robotrain_workloads.package_lock import lock_inputs, lock_target, locking, program_locker
from robotrain_workloads.package_lock.lock_target import Target

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
    hashes_by_name, name = {}, ""
    for line in text.splitlines():
        name = match[1] if (match := re.match(r"([a-z][\w-]*) ?(?:==|@)", line)) else name
        hashes_by_name.setdefault(name, []).extend(re.findall(r"sha256:(\w+)", line))
    return {name: hashes for name, hashes in hashes_by_name.items() if name}


def test_requirements_are_locked_with_what_they_need_by_hash(lock, shelf):
    (shelf.parent / "limits.txt").write_text("joints<2.1\n")
    locked = lock("moves  # a comment\n-c limits.txt\n")
    joints = pretend_index.sha256(shelf / "joints-2.0-py3-none-any.whl")
    assert pins(locked.lock)["joints"] == [joints]
    assert "joints==2.0 \\\n" in locked.lock
    assert "    # via moves\n" in locked.lock
    assert locking.WHEELS_ONLY in locked.lock
    assert (locked.python, locked.origin, locked.summary) == ("3.12", "requirements.txt", "2 packages, Python 3.12")
    assert [note.code for note in locked.notes] == ["python-assumed"]


def test_equal_requirements_are_locked_once(lock, shelf, tmp_path, monkeypatch):
    first = lock("joints\n", python_version="3.11")
    pretend_index.wheel(shelf, "joints", "3.0")
    monkeypatch.setattr(locking, "run_uv", lambda *words: pytest.fail("uv runs again"))
    assert lock("joints\n", python_version="3.11").lock == first.lock
    monkeypatch.undo()
    monkeypatch.setenv("UV_FIND_LINKS", str(shelf))
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert "joints==3.0" in lock("joints>1\n", python_version="3.11").lock


UNLOCKABLE = f"""# an index: https://example.com
git+https://me:{PASSWORD}@evil.example/a.git@main
b @ git+ssh://git@evil.example/b.git
c @ https:evil.example/c-1.0-py3-none-any.whl
joints \\
    --extra-index-url https://me:{PASSWORD}@evil.example/simple
-i //evil.example
-fhttps:evil.example
-r https://evil.example/list.txt
-rlimits.txt
-r /etc/hostname
# goes on \\
d @ https:evil.example/d-1.0-py3-none-any.whl
-e .
./f
g-1.0-py3-none-any.whl
h @ ${{HOME}}
--pre
-c limits.txt
joints ==
"""


def test_every_line_that_names_a_place_is_refused_before_uv_runs(lock, shelf, monkeypatch):
    monkeypatch.setattr(locking, "run_uv", lambda *words: pytest.fail("uv runs"))
    (shelf.parent / "limits.txt").write_text("joints<2.1\nk @ file:k\n")
    problems = refused(lock, UNLOCKABLE)
    lines = [f"requirements.txt:{number}" for number in (*range(2, 6), *range(7, 12), *range(13, 19))]
    assert [problem.where for problem in problems] == [*lines, "limits.txt:2"]
    check_problems(problems[:1], "not-lockable requirements.txt:2")
    assert PASSWORD not in "".join(map(str, problems))


def test_a_list_names_only_lists_below_the_folder_of_the_first(lock, tmp_path, monkeypatch):
    monkeypatch.setattr(locking, "run_uv", lambda *words: pytest.fail("uv runs"))
    (tmp_path.parent / "theirs.txt").write_text("joints\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "linked.txt").symlink_to(tmp_path.parent / "theirs.txt")
    (tmp_path / "more/inner.txt").write_text("-r ../other.txt\n-r ../../theirs.txt\n")
    (tmp_path / "other.txt").write_text("moves\n")
    problems = refused(lock, "-r more/inner.txt\n-c ../theirs.txt\n-r linked.txt\n")
    assert [problem.where for problem in problems] == ["inner.txt:2", "requirements.txt:2", "requirements.txt:3"]
    check_problems(problems[:1], "not-lockable inner.txt:2")


def test_a_list_that_is_named_often_is_read_once(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text(f"-r {number + 1}.txt\n" * 2)
    (tmp_path / "10.txt").write_text("joints\n-r 0.txt\n")
    assert lock_inputs.read_requirements_file(tmp_path / "0.txt").requirements == ["joints"]


NAMING_PROJECTS = {
    'dependencies = ["a"]\n[tool.uv.sources]\na = {index = "theirs"}\n': 4,
    'dependencies = ["a"]\n[[tool.uv.index]]\nurl = "https://evil.example"\n': 4,
    'dependencies = ["a"]\n[tool.uv]\nextra-index-url = ["https://evil.example"]\n': 5,
    'dependencies = ["a"]\n[tool.uv.pip]\nindex-url = "https://mine.example"\n': 5,
    'dependencies = ["a"]\n[[tool.pdm.source]]\nurl = "https://mine.example"\n': 4,
    'dependencies = ["a"]\n[[tool.poetry.source]]\nurl = "https://mine.example"\n': 4,
    'dependencies = [\n  "a",\n  "b @ git+https://evil.example/b",\n]\n': 5,
    'dependencies = ["""a\n--index-url https:evil.example"""]\n': 3,
    'dependencies = ["-r /etc/hostname"]\n': 3,
}


@pytest.mark.parametrize("text", NAMING_PROJECTS)
def test_a_project_that_says_where_packages_come_from_needs_a_uv_lock(lock, text, monkeypatch):
    monkeypatch.setattr(locking, "run_uv", lambda *words: pytest.fail("uv runs"))
    problems = refused(lock, code={"pyproject.toml": f'[project]\nname = "mine"\n{text}'})
    check_problems(problems, f"not-lockable pyproject.toml:{NAMING_PROJECTS[text]}")


@pytest.mark.parametrize("text", ["[[index]]\nurl = 'https://mine.example'\n", "[pip]\nextra-index-url = ['/mine']\n"])
def test_a_uv_toml_beside_a_project_that_names_an_index_is_told(lock, text, monkeypatch):
    monkeypatch.setattr(locking, "run_uv", lambda *words: pytest.fail("uv runs"))
    project = '[project]\nname = "mine"\ndependencies = ["a"]\n'
    problems = refused(lock, code={"pyproject.toml": project, "uv.toml": text})
    check_problems(problems, f"not-lockable uv.toml:{1 if 'index]]' in text else 2}")


@pytest.mark.parametrize("text", ["[project]\ndynamic = ['dependencies']\n", "[tool.poetry.dependencies]\na = '*'\n"])
def test_a_project_that_does_not_list_its_packages_is_refused(lock, text):
    check_problems(refused(lock, code={"pyproject.toml": text}), "not-lockable pyproject.toml")


UNRESOLVABLE = {
    "joints>=2\njoints<2\n": "joints>=2 and joints<2",
    "joints==\n": "in `requirements.txt`",
    "grippers\n": "grippers==1.0 has no usable wheels",
    "no_such_thing\n": "no-such-thing was not found",
}


@pytest.mark.parametrize("text", UNRESOLVABLE)
def test_uv_says_in_its_words_what_it_cannot_resolve(lock, shelf, text):
    (shelf / "grippers-1.0.tar.gz").write_bytes(b"its setup.py would run")
    problems = refused(lock, text)
    check_problems(problems, "lock-failed requirements.txt")
    assert UNRESOLVABLE[text] in problems[0].why
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


@pytest.mark.parametrize(("python", "wheel"), [("3.11", FAST_WHEELS[0]), ("3.12", FAST_WHEELS[4])])
def test_only_the_wheels_of_a_uv_lock_that_fit_the_target_are_locked(lock, python, wheel):
    locked = lock(code=make_project(make_entry("fast", "1.0", *FAST_WHEELS)), python_version=python)
    assert pins(locked.lock) == {"fast": [digest(wheel)]}
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


@pytest.fixture
def requests(tmp_path, monkeypatch) -> Iterator[list[str]]:
    """The addresses that programs ask for."""
    (tmp_path / "tls").mkdir()
    indexes = pretend_index.Indexes(tmp_path / "tls", {})
    with pretend_index.served(indexes) as environ:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield indexes.asked


def test_a_package_of_the_projects_own_index_is_locked_by_address_which_is_not_asked(lock, requests):
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
    assert requests == []
    assert f"torch @ https://wheels.example/{TORCH_WHEEL} \\\n    --hash=sha256:{digest(TORCH_WHEEL)}\n" in locked
    assert "flash-attn @ https://files.example/" in locked
    assert "nvidia-nccl-cu12==2.26.2" in locked
    split = torch_build.split_lock(locked)  # --torch-backend replaces the build
    assert split.torch_pins == ("torch==2.7.0",)
    assert "nvidia-nccl-cu12" not in split.other_pins


def test_the_indexes_of_a_uv_toml_are_those_of_its_uv_lock(lock):
    registry = 'registry = "https://wheels.example/cu126"'
    project = make_project(make_entry("fast", "1.0", FAST_WHEELS[0], source=registry))
    project["uv.toml"] = '[[index]]\nurl = "https://wheels.example/cu126/"\n'
    assert "fast @ https://wheels.example/" in lock(code=project, python_version="3.11").lock


HOSTILE_CONFIG = 'no-such-setting = "uv.toml is read"\n'


def test_a_uv_lock_is_not_taken_for_that_of_a_workspace_in_a_folder_above(lock, tmp_path, monkeypatch):
    above, theirs = tmp_path / "above", make_project(make_entry("evil", "1.0", "evil-1.0-py3-none-any.whl"))
    above.mkdir()
    (above / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["robotrain-*"]\n')
    (above / "uv.lock").write_text(theirs["uv.lock"])
    (above / "uv.toml").write_text(HOSTILE_CONFIG)
    monkeypatch.setattr("tempfile.tempdir", str(above))
    locked = lock(code=make_project(make_entry("fast", "1.0", FAST_WHEELS[0])), python_version="3.11")
    assert list(pins(locked.lock)) == ["fast"]


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
    assert locking.WHEELS_ONLY not in locked


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


NAME_WITH_SETTINGS = 'a"\n[tool.uv]\ncache-dir = "/nowhere/theirs'
DAMAGED = [
    {"pyproject.toml": "[project]\ndependencies = 3\n"},
    {"pyproject.toml": "[project]\ndependencies = 'numpy'\n"},
    {"pyproject.toml": "[project]\ndependencies = ['a']\nrequires-python = 3\n"},
    {"pyproject.toml": "[project]\ndependencies = ['a']\nrequires-python = 'three'\n"},
    {"pyproject.toml": "[project\n"},
    {"pyproject.toml": "project = 3\ntool = 4\n"},
    {"uv.lock": "package = 3\n"},
    {"uv.lock": "not toml"},
    {"uv.lock": "version = 1\n[[package]]\nname = 3\n"},
    {"uv.lock": "version = 1\n", "pyproject.toml": "project = 'a'\n"},
    {"uv.lock": "version = 1\n", "pyproject.toml": f"[project]\nname = {json.dumps(NAME_WITH_SETTINGS)}\n"},
]


@pytest.mark.parametrize("code", DAMAGED)
def test_a_damaged_list_of_packages_is_told(lock, code):
    (problem,) = refused(lock, code=code)
    assert problem.code in ("file-unreadable", "lock-failed")


def test_a_workspace_without_a_project_of_its_own_has_the_packages_of_its_members(lock):
    member = (
        '[[package]]\nname = "a"\nversion = "1"\nsource = { virtual = "a" }\ndependencies = [{ name = "fast" }]\n\n'
    )
    content = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n[manifest]\nmembers = ["a"]\n\n' + member
    content += make_entry("fast", "1.0", FAST_WHEELS[0])
    code = {"uv.lock": content, "pyproject.toml": "[tool.uv.workspace]\nmembers = ['a']\n"}
    assert list(pins(lock(code=code, python_version="3.11").lock)) == ["fast"]


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


@pytest.mark.parametrize(("requested", "file", "requires", "version"), CHOICES)
def test_the_python_that_packages_are_locked_for(requested, file, requires, version):
    assert lock_target.choose_python(requested, file, requires, "uv.lock")[0] == version


@pytest.mark.parametrize(
    ("requested", "file", "requires", "code"),
    [
        (None, "", ">=3.14", "python-not-allowed"),
        ("3.10", "", ">=3.11", "python-not-allowed"),
        (None, "3.10", ">=3.11", "python-not-allowed"),
        ("pypy3", "", "", "value-invalid"),
    ],
)
def test_a_python_that_does_not_fit_is_refused(requested, file, requires, code):
    check_problems(refused(lock_target.choose_python, requested, file, requires, "uv.lock"), code)


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
    uv_toml = f"cache-dir = {json.dumps(str(tmp_path / 'theirs'))}\n[pip]\nno-deps = true\n"
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    text = '[project]\nname = "mine"\ndependencies = ["moves"]\n[tool.uv.pip]\nno-build = false\n'
    locked = lock(code={"pyproject.toml": text, "uv.toml": uv_toml})
    assert list(pins(locked.lock)) == ["joints", "moves"]
    assert locked.python == "3.11"
    assert not ran.exists()
    assert not (tmp_path / "theirs").exists()
