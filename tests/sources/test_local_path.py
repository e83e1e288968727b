"""Local folders in the container: used in place; of a policy the model, wherever in a checkpoint one points."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource, RoleName
from robotrain_sources.local_path import container
from robotrain_sources.local_path.kind import KIND

MODEL = "pretrained_model"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The outputs of a LeRobot training: two checkpoints, and `last`, a link to the second."""
    run = tmp_path / "outputs"
    for step in ("000200", "000400"):
        model, state = run / "checkpoints" / step / MODEL, run / "checkpoints" / step / "training_state"
        model.mkdir(parents=True)
        state.mkdir()
        (model / "config.json").write_text('{"type": "act"}')
        (model / "model.safetensors").write_text(f"weights of {step}")
        (state / "training_step.json").write_text(f'{{"step": {int(step)}}}')
    (run / "checkpoints/last").symlink_to("000400")
    return run


@pytest.fixture
def trained(run: Path) -> Path:
    """The last checkpoint, sealed as the runtime seals it."""
    folder = run / "checkpoints/000400"
    checkpoint.seal_checkpoint(folder, step=400, run="lerobot-train-1a2b3c4d-1", job="1a2b3c4d", model=MODEL)
    return folder


def source(folder: Path, role: RoleName = "policy", pin: str = "") -> JobSource:
    return JobSource(role=role, kind="local_path", uri=str(KIND.parse(str(folder), Path("/"))), pin=pin)


def run_preflight(folder: Path, role: RoleName = "policy", pin: str = "") -> list[str]:
    return list(container.preflight(source(folder, role, pin), ContainerContext(cache=folder)))


def fetch_policy(folder: Path, role: RoleName = "policy", pin: str = "") -> Path:
    return container.fetch(source(folder, role, pin), ContainerContext(cache=folder))


def resolve_pin(folder: Path, role: RoleName = "policy") -> str:
    assert KIND.pinning is not None
    return KIND.pinning.resolve(KIND.parse(str(folder), Path("/")), role)


@pytest.mark.parametrize("role", ["policy", "init_policy"])
@pytest.mark.parametrize("way", ["000400", f"000400/{MODEL}", "last", f"last/{MODEL}", "last/"])
def test_a_checkpoint_its_model_and_the_link_to_it_are_one_policy(run: Path, way: str, role: RoleName) -> None:
    folder = run / "checkpoints" / way
    assert run_preflight(folder, role) == []
    assert fetch_policy(folder, role).resolve() == run / "checkpoints/000400" / MODEL
    assert resolve_pin(folder, role) == resolve_pin(run / "checkpoints/000400" / MODEL, role)


def test_a_policy_that_lies_alone_is_used_as_it_lies(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "checkpoints/000200" / MODEL, tmp_path / "mine")
    assert run_preflight(tmp_path / "mine") == []
    assert fetch_policy(tmp_path / "mine") == tmp_path / "mine"
    assert resolve_pin(tmp_path / "mine") == resolve_pin(run / "checkpoints/000200")


def test_the_pin_of_a_link_notices_that_the_training_went_on(run: Path) -> None:
    pin = resolve_pin(run / "checkpoints/last")
    (run / "checkpoints/last").unlink()
    (run / "checkpoints/last").symlink_to("000200")
    (sentence,) = run_preflight(run / "checkpoints/last", pin=pin)
    assert f"{run}/checkpoints/last/{MODEL} changed since it was pinned" in str(sentence)


def test_what_a_training_needs_beside_the_model_does_not_count_for_a_policy(trained: Path) -> None:
    pin = resolve_pin(trained)
    shutil.rmtree(trained / "training_state")
    assert run_preflight(trained, pin=pin) == []
    assert fetch_policy(trained, pin=pin) == trained / MODEL


def test_a_policy_without_weights_is_told_as_that(run: Path) -> None:
    (run / "checkpoints/000400" / MODEL / "model.safetensors").unlink()
    (sentence,) = run_preflight(run / "checkpoints/000400")
    check_refusals([sentence], "data-unusable")
    with pytest.raises(OSError) as refused:
        fetch_policy(run / "checkpoints/000400")
    check_refusals(refused.value, "os-error")


def test_a_policy_of_any_files_is_used_as_it_lies_for_a_workload_that_takes_them(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints/7"
    folder.mkdir(parents=True)
    (folder / "state.pt").write_text("weights")
    checkpoint.seal_checkpoint(folder, step=7, run="command-1a2b3c4d-1", job="1a2b3c4d")
    pin, place = resolve_pin(folder), ContainerContext(cache=folder, takes_any_policy=True)
    check_refusals(run_preflight(folder, pin=pin), "data-unusable")
    assert list(container.preflight(source(folder, pin=pin), place)) == []
    assert container.fetch(source(folder, pin=pin), place) == folder
    (folder / "state.pt").write_text("changed")
    with pytest.raises(OSError) as refused:
        container.fetch(source(folder, pin=pin), place)
    check_refusals(refused.value, "os-error")


def test_an_adapter_is_a_policy_without_weights_of_its_own(run: Path) -> None:
    folder = run / "checkpoints/000400" / MODEL
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")
    assert run_preflight(folder) == []
    (folder / "adapter_model.safetensors").unlink()
    check_refusals(run_preflight(folder), "data-unusable")


@pytest.mark.parametrize("role", ["policy", "dataset"])
def test_a_file_is_not_a_folder(run: Path, role: RoleName) -> None:
    (sentence,) = run_preflight(run / "checkpoints/000400" / MODEL / "model.safetensors", role)
    assert f"model.safetensors is not a folder: use the folder of the {role}" in str(sentence)


@pytest.mark.parametrize("way", ["", MODEL])
def test_a_sealed_policy_is_verified_byte_by_byte(trained: Path, way: str) -> None:
    assert fetch_policy(trained / way) == trained / MODEL
    (trained / MODEL / "model.safetensors").write_text("weights of 00040o")
    with pytest.raises(OSError) as refused:
        fetch_policy(trained / way)
    check_refusals(refused.value, "os-error")


def test_a_sealed_policy_that_lost_a_file_is_told(trained: Path) -> None:
    checkpoint.seal_checkpoint(trained, step=400, run="r", job="j", model=MODEL)
    (trained / MODEL / "more.json").touch()
    checkpoint.seal_checkpoint(trained, step=400, run="r", job="j", model=MODEL)
    (trained / MODEL / "more.json").unlink()
    with pytest.raises(OSError) as refused:
        fetch_policy(trained)
    check_refusals(refused.value, "os-error")


def test_to_go_on_with_a_training_all_of_its_checkpoint_must_be_as_it_was(trained: Path) -> None:
    assert fetch_policy(trained, "resume") == trained
    (trained / "training_state/training_step.json").write_text('{"step": 401}')
    assert fetch_policy(trained) == trained / MODEL
    with pytest.raises(OSError) as refused:
        fetch_policy(trained, "resume")
    check_refusals(refused.value, "os-error")


def test_a_model_that_is_named_otherwise_is_found_by_its_seal(run: Path) -> None:
    folder = run / "checkpoints/000400"
    (folder / MODEL).rename(folder / "weights")
    assert run_preflight(folder)
    checkpoint.seal_checkpoint(folder, step=400, run="r", job="j", model="weights")
    assert fetch_policy(folder) == folder / "weights"


def dataset_source(path: Path) -> JobSource:
    return JobSource(role="dataset", kind="local_path", uri=str(path))


def test_a_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    assert list(container.preflight(dataset_source(tmp_path), ContainerContext(cache=tmp_path / "cache"))) == []
    assert container.fetch(dataset_source(tmp_path), ContainerContext(cache=tmp_path / "cache")) == tmp_path
    assert not (tmp_path / "cache").exists()


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    (sentence,) = container.preflight(dataset_source(tmp_path / "gone"), ContainerContext(cache=tmp_path))
    assert str(tmp_path / "gone") in str(sentence)
    with pytest.raises(OSError) as refused:
        container.fetch(dataset_source(tmp_path / "gone"), ContainerContext(cache=tmp_path))
    check_refusals(refused.value, "os-error")


def test_an_unreadable_folder_is_one_sentence(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o300)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from robotrain_runtime.contract.document import JobSource\n"
        "from robotrain_runtime.contract.container_plugin import ContainerContext\n"
        "from robotrain_sources.local_path import container\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "source = JobSource(role='dataset', kind='local_path', uri=sys.argv[1])\n"
        "print(*container.preflight(source, ContainerContext(cache=Path())))"
    )
    for folder in (tmp_path, *(parent for parent in tmp_path.parents if "pytest-of-" in str(parent))):
        folder.chmod(0o755)
    completed = subprocess.run([sys.executable, "-c", code, str(shut)], capture_output=True, text=True, check=True)
    shut.chmod(0o700)
    assert completed.stdout == f"The folder {shut} cannot be read by the user that runs the job.\n"
