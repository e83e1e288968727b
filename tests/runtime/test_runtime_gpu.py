"""What the driver says of the machine's GPUs, and what a job asks of them."""

import pytest
from robotrain_runtime.contract.container_plugin import GpuRequirement
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.contract.problem import Suggestion
from robotrain_runtime.machine import hardware

FIRST = "GPU-0a1b1c2d-0e1f-4a5b-8c7d-000000000001"
H100 = f"NVIDIA H100 80GB HBM3, 570.86.15, 9.0, {FIRST}"
OTHER_H100 = "NVIDIA H100 80GB HBM3, 570.86.15, 9.0, GPU-2c3d1c2d-0e1f-4a5b-8c7d-000000000002"
T4 = "Tesla T4, 535.104.05, 7.5, GPU-77771c2d-0e1f-4a5b-8c7d-000000000003"


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A machine whose nvidia-smi says these lines; with `None` it has none."""
    monkeypatch.delenv(hardware.VISIBLE_DEVICES, raising=False)

    def says(*lines: str, code: int = 0) -> None:
        words = "".join(f"echo '{line}'\n" for line in lines)
        guard = f'[ "$*" = "{" ".join(hardware.NVIDIA_SMI_QUERY)}" ] || exit 64\n'
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{guard}{words}exit {code}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return says


def codes(requirement: GpuRequirement | None, **placement) -> list[str]:
    return [
        finding.code
        for finding in hardware.find_gpu_problems(requirement, Placement(work="/w", cache="/c", **placement))
    ]


def test_a_machine_that_has_what_is_asked_for(driver):
    driver(H100, OTHER_H100)
    assert codes(GpuRequirement(count=2, bf16=True, cuda="12.8")) == []
    gpu = hardware.query_gpus()[0]
    assert (gpu.name, gpu.driver, gpu.capability) == ("NVIDIA H100 80GB HBM3", "570.86.15", (9, 0))
    assert gpu.uuid == FIRST


def test_a_job_that_asks_for_none_asks_nobody(driver):
    assert codes(None) == []


def test_a_machine_without_a_driver(driver):
    (finding,) = hardware.find_gpu_problems(GpuRequirement(count=2), Placement(work="/w", cache="/c"))
    assert finding.title == "the job asks for 2 GPUs, and this machine shows none"
    assert "no nvidia-smi on PATH" in finding.why


def test_a_driver_that_does_not_work_is_quoted(driver):
    driver("NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.", code=9)
    (finding,) = hardware.find_gpu_problems(GpuRequirement(count=1), Placement(work="/w", cache="/c"))
    assert "could not communicate" in finding.why


@pytest.mark.parametrize(
    ("gpus", "without", "way"),
    [((), "", None), ((), "--device cpu", "--device cpu"), ((H100,), "--device cpu", "--num-gpus 1")],
)
def test_a_number_of_gpus_is_suggested_only_where_there_are_some(driver, gpus, without, way):
    driver(*gpus)
    requirement = GpuRequirement(count=2, without=Suggestion(without))
    (finding,) = hardware.find_gpu_problems(requirement, Placement(work="/w", cache="/c"))
    assert [shown_way.text for shown_way in finding.suggestions[1:]] == ([way] if way else [])


VISIBLE = [
    *((None, 2), ("1", 1), ("", 0), ("-1", 0), ("0,7,1", 1), ("0,0", 1), ("1,0", 2)),
    *(("GPU-0a1b,GPU-2c3d", 2), ("GPU-0a1b,GPU-0a1b", 1), ("GPU-ffff", 0), ("GPU-", 0), (FIRST, 1), ("MIG-1,MIG-2", 2)),
]


@pytest.mark.parametrize(("visible", "left"), VISIBLE)
def test_what_cuda_is_told_to_see_counts(driver, monkeypatch, visible, left):
    driver(H100, OTHER_H100)
    if visible is not None:
        monkeypatch.setenv(hardware.VISIBLE_DEVICES, visible)
    findings = list(hardware.find_gpu_problems(GpuRequirement(count=2), Placement(work="/w", cache="/c")))
    assert [finding.title for finding in findings] == (
        [] if left == 2 else [f"the job asks for 2 GPUs, and this machine shows {left}"]
    )
    hidden = {0: "it hides 2 GPUs of this machine", 1: "it hides 1 GPU of this machine"}
    assert [str(finding.suggestions[0]) for finding in findings] == [
        f"unset CUDA_VISIBLE_DEVICES   {hidden[left]}" for _ in findings
    ]


@pytest.mark.parametrize(
    ("version", "cuda", "fits"),
    [
        ("525.60.13", "12.8", True),
        ("525.60.12", "12.8", False),
        ("570.86.15", "13.0", False),
        ("450.80.02", "11.8", True),
        ("300.1", "", True),
    ],
)
def test_a_driver_too_old_for_the_cuda_of_the_lock_is_told(driver, version, cuda, fits):
    driver(f"NVIDIA A100, {version}, 8.0, {FIRST}")
    assert codes(GpuRequirement(count=1, cuda=cuda)) == ([] if fits else ["gpu-driver"])


@pytest.mark.parametrize(
    ("placement", "fits"),
    [
        ({"torch_backend": "cu126"}, True),
        ({"torch_backend": "cu130"}, False),
        ({"torch_backend": "auto"}, True),
        ({"environment": "/mine"}, True),
    ],
)
def test_another_pytorch_than_the_locked_one_has_another_cuda(driver, placement, fits):
    driver(f"NVIDIA A100, 535.104.05, 8.0, {FIRST}")
    assert codes(GpuRequirement(count=1, cuda="13.0"), **placement) == ([] if fits else ["gpu-driver"])


def test_a_job_that_takes_a_gpu_if_there_is_one_needs_its_driver(driver):
    assert codes(GpuRequirement(count=0, cuda="13.0")) == []
    driver(f"NVIDIA A100, 535.104.05, 8.0, {FIRST}")
    assert codes(GpuRequirement(count=0, cuda="13.0")) == ["gpu-driver"]
    assert codes(GpuRequirement(count=0, cuda="12.8")) == []


def test_a_gpu_that_cannot_compute_in_bf16_is_told_with_what_can_be_done(driver):
    driver(H100, T4)
    assert codes(GpuRequirement(count=1, bf16=True)) == []
    (finding,) = hardware.find_gpu_problems(GpuRequirement(count=2, bf16=True), Placement(work="/w", cache="/c"))
    assert finding.title == "the job computes in bf16, and Tesla T4 cannot"
    assert finding.suggestions[0].text == "--mixed-precision fp16"


def test_all_problems_of_the_gpus_are_reported_together(driver):
    driver(f"Tesla T4, 440.33.01, 7.5, {FIRST}")
    assert codes(GpuRequirement(count=2, bf16=True, cuda="12.8")) == ["gpu-too-few", "gpu-driver", "gpu-bf16"]
