"""The hashes of the locks: those of wheels that the target machines can install, and no others."""

import importlib.util
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from robotrain_runtime import data_environment
from robotrain_runtime.contract.container_plugin import read_lock
from robotrain_workloads.lerobot import versions

ROOT = Path(__file__).parents[2]
LINUX = "# for: CPython 3.12 on manylinux_2_28_x86_64\n"
ONES = {name: str(number) * 64 for number, name in enumerate(("linux", "newer", "mac", "arm", "pure", "old"), 1)}
WHEELS = {
    "linux": "thing-1.0-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "newer": "thing-1.0-cp312-cp312-manylinux_2_34_x86_64.whl",
    "mac": "thing-1.0-cp312-cp312-macosx_11_0_arm64.whl",
    "arm": "thing-1.0-cp310-abi3-manylinux_2_28_aarch64.whl",
    "pure": "thing-1.0-py2.py3-none-any.whl",
    "old": "thing-1.0-cp311-cp311-manylinux_2_28_x86_64.whl",
}
LOCKS = ("train", "eval", "aloha", "metaworld", "libero")


@pytest.fixture(scope="session")
def tool():
    at = importlib.util.spec_from_file_location("trim_hashes", ROOT / ".ci/trim_hashes.py")
    module = importlib.util.module_from_spec(at)
    at.loader.exec_module(module)
    return module


@pytest.fixture
def trim_lock(tool, tmp_path):
    """Which wheels' hashes are left of a lock: `trimmed(has={"linux", "mac"}, index={"linux", "mac"})`."""

    def trim(has, index=tuple(WHEELS), machines=LINUX) -> set[str]:
        source, lock, listed = (tmp_path / name for name in ("a.in", "a.txt", "pylock.toml"))
        source.write_text(machines)
        hashes = " \\\n".join(f"    --hash=sha256:{ONES[name]}" for name in has)
        lock.write_text(f"# by uv\nthing==1.0 ; sys_platform == 'linux' \\\n{hashes}\n    # via\n    #   -r a.in\n")
        wheels = [f'{{url="https://x/{WHEELS[name]}", hashes={{sha256="{ONES[name]}"}}}}' for name in index]
        listed.write_text(f'[[packages]]\nname = "thing"\nversion = "1.0"\nwheels = [{", ".join(wheels)}]\n')
        tool.main(source, lock, listed)
        text = lock.read_text()
        assert text.startswith("# by uv\nthing==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:")
        assert text.endswith("\n    # via\n    #   -r a.in\n")
        assert text.count(" \\\n") == text.count("--hash")
        return {name for name, digest in ONES.items() if digest in text}

    return trim


THREE_MACHINES = "# for: CPython 3.11 3.12 on manylinux_2_28_x86_64 manylinux_2_28_aarch64 macosx_26_0_arm64\n"
TWO_MACHINES = "# for: CPython 3.12 on manylinux_2_28_x86_64 macosx_26_0_arm64\n"


@pytest.mark.parametrize(
    ("has", "index", "machines", "expected"),
    [
        (WHEELS, WHEELS, LINUX, {"linux", "pure"}),
        (WHEELS, WHEELS, THREE_MACHINES, {"linux", "mac", "arm", "pure", "old"}),
        pytest.param(["linux"], ["linux", "mac", "arm"], TWO_MACHINES, {"linux", "mac"}, id="an added machine"),
    ],
)
def test_the_wheels_of_every_named_machine_stay_and_no_others(trim_lock, has, index, machines, expected):
    assert trim_lock(has, index, machines) == expected


def test_a_package_that_is_left_without_a_wheel_is_refused(trim_lock):
    with pytest.raises(SystemExit, match=r"thing==1.0 has no wheel"):
        trim_lock(has=["mac"], index=["mac"])


@pytest.mark.parametrize("built", ["", "# built: thing\n"])
def test_a_package_without_wheels_stays_with_its_source_if_it_is_named(tool, tmp_path, built):
    source, lock, listed = (tmp_path / name for name in ("a.in", "a.txt", "pylock.toml"))
    source.write_text(LINUX + built)
    text = f"thing==1.0 \\\n    --hash=sha256:{ONES['pure']}\n"
    lock.write_text(text)
    sdist = f'{{url="https://x/thing-1.0.tar.gz", hashes={{sha256="{ONES["pure"]}"}}}}'
    listed.write_text(f'[[packages]]\nname = "thing"\nversion = "1.0"\nsdist = {sdist}\n')
    if built:
        tool.main(source, lock, listed)
        assert lock.read_text() == built + text
    else:
        with pytest.raises(SystemExit, match=r"thing==1.0 has no wheel"):
            tool.main(source, lock, listed)


SETS = some.sets(some.sampled_from("abcde"))


@settings(max_examples=50)
@given(
    index=some.dictionaries(some.text("wxyz", min_size=1, max_size=2), SETS),
    machines=some.lists(SETS),
    data=some.data(),
)
def test_every_machine_that_could_install_a_package_still_can(tool, index, machines, data):
    wheels = {name: frozenset(fits) for name, fits in index.items()}
    had = data.draw(some.sets(some.sampled_from(sorted(wheels)))) if wheels else set()
    names = tool.choose_hashes(wheels, [frozenset(machine) for machine in machines], had)
    for machine in machines:
        assert any(fits & machine for fits in wheels.values()) == any(wheels[name] & machine for name in names)
    assert all(any(wheels[name] & machine for machine in machines) for name in names)


@pytest.mark.parametrize(
    ("lock", "each"),
    [
        *((version.get_lock(name), 2) for version in versions.list_versions() for name in LOCKS),
        (data_environment.ENVIRONMENT.lock, 6),
    ],
    ids=lambda value: f"{value.parent.name}-{value.stem}" if isinstance(value, Path) else "",
)
def test_a_lock_is_small_enough_to_travel_with_a_job(lock, each):
    text = read_lock(lock)
    packages = len(re.findall(r"^\S+==", text, re.MULTILINE))
    assert packages <= text.count("--hash=sha256:") < each * packages


@pytest.mark.parametrize("version", versions.list_versions(), ids=lambda version: version.name)
@pytest.mark.parametrize("name", LOCKS[1:])
def test_an_evaluation_runs_on_the_very_versions_that_trained(version, name):
    trained, evaluated = (_locked(version.get_lock(workload)) for workload in ("train", name))
    assert evaluated.items() >= trained.items()
    assert {"matplotlib", "gym-pusht"} <= evaluated.keys()
    assert "opencv-python" not in evaluated  # it would write over opencv-python-headless


def _locked(lock) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", read_lock(lock), re.MULTILINE))
