"""Weights of torchvision that a new policy starts from: named by LeRobot, brought by the job, given as a file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn
from job_documents import PLATFORMS, check_findings, format_finding, get_work, read_job, read_request
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.torchvision import weights_table
from robotrain_workloads.lerobot import image_weights
from robotrain_workloads.lerobot_train import container

ROOT = Path(__file__).parents[2]
CAMERA, STATES = (ROOT / f"examples/{name}/dataset" for name in ("pusht-camera", "pusht-mini"))
RESNET18, RESNET34 = (f"ResNet{number}_Weights.IMAGENET1K_V1" for number in (18, 34))
DIGEST = weights_table.WEIGHTS[RESNET18][1]
OPTION = "--policy.pretrained_backbone_weights"
NULL = f"{OPTION}=null"
OSMO = PLATFORMS["osmo"]
FOLDER = "--dataset-path", CAMERA


@pytest.fixture
def bring(robotrain):
    """Render a job; return the backbones that it brings, with their pins, and whether nobody gave them."""

    def run(*words, after=(), platform=PLATFORMS["local"], pin="--pin"):
        tail = ("--", *after) if after else ()
        answer = robotrain("render", "lerobot-train", *platform, *words, *filter(None, [pin]), "--json", *tail)
        answer.check(0)
        sources = read_job(answer)["sources"]
        return [
            (source["uri"], source["pin"], source.get("implied", False))
            for source in sources
            if source["role"] == "backbone"
        ], answer.stderr

    return run


@pytest.mark.parametrize(
    ("words", "after", "name"),
    [
        (FOLDER, (), RESNET18),
        ((*FOLDER, "--policy-type", "diffusion"), (), RESNET18),
        ((*FOLDER, "--policy-type", "vqbet"), (), RESNET18),
        (FOLDER, (f"{OPTION}=IMAGENET1K_V1",), RESNET18),
        (FOLDER, ("--policy.vision_backbone", "resnet34", OPTION, RESNET34), RESNET34),
        (FOLDER, ("--policy.vision_backbone=resnet34", f"{OPTION}=DEFAULT"), "ResNet34_Weights.DEFAULT"),
        (FOLDER, (NULL,), ""),
        (("--dataset-path", STATES), (), ""),
        ((*FOLDER, "--policy-type", "tdmpc"), (), ""),
        (("--dataset-path", "/not/here"), (), RESNET18),
    ],
)
def test_a_job_brings_the_weights_that_its_new_policy_names(bring, words, after, name):
    backbones, _ = bring(*words, after=after)
    assert backbones == ([(name, weights_table.WEIGHTS[name][1], True)] if name else [])


PLAN_BOTH = """
import sys
from robotrain.cli import main
for after in ((), (NULL,)):
    sys.argv[1:] = (*LINE, "--", *after)
    try:
        main()
    except SystemExit as ended:
        print("ended", ended.code or 0)
    print("imported" if "robotrain_workloads.lerobot_train.container" in sys.modules else "not imported")
"""


def test_a_plan_of_a_new_policy_imports_nothing_of_the_container_side():
    """It would take a tenth of the time."""
    line = ["render", "lerobot-train", *PLATFORMS["azureml"], "--blob-url", "https://acct.blob.core.windows.net/set/a"]
    program = f"NULL, LINE = {NULL!r}, {line!r}\n{PLAN_BOTH}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    with_weights, without, _ = done.stdout.split("not imported\n")
    assert ('"implied": true' in with_weights, '"implied": true' in without) == (True, False), done.stderr


def test_the_names_that_options_take_are_those_of_the_table():
    names = [name for network in image_weights.NETWORKS for name in image_weights.list_known(network)]
    assert sorted(names) == sorted(weights_table.WEIGHTS)


@pytest.mark.parametrize("role", ["--policy-path", "--resume-from"])
def test_a_job_that_starts_from_a_policy_brings_none(bring, role, policy, saved):
    start = policy("start", type="act") if role == "--policy-path" else saved("checkpoints/000003", 3)
    assert bring(*FOLDER, role, start, pin="")[0] == []


def test_what_a_dataset_of_the_hub_has_decides(bring, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with HubStandIn() as hub:
        for name, folder in (("lab/states", STATES), ("lab/pictures", CAMERA)):
            files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.glob("meta/*.json")}
            hub.repository(name, files, "dataset")
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        assert bring("-d", "lab/states")[0] == []
        assert bring("-d", "lab/pictures", platform=OSMO)[0] == [(RESNET18, DIGEST, True)]
        assert bring("-d", "lab/states", pin="")[0] == [(RESNET18, "", True)], "nobody looked"


def test_a_given_file_stands_for_the_weights(bring, robotrain, tmp_path):
    file, other = tmp_path / "mine.pth", tmp_path / "mine.safetensors"
    for path in (file, other):
        path.write_bytes(b"weights")
    backbones, said = bring(*FOLDER, "--backbone-path", file)
    assert [(uri, implied) for uri, _, implied in backbones] == [(str(file), False)]
    assert "[source-doubtful]" in said, "it has another digest"
    assert backbones[0][1].startswith("folder:")
    answer = robotrain(
        "render",
        "lerobot-train",
        "--platform",
        "local",
        *FOLDER,
        *(word for path in (file, other) for word in ("--backbone-path", path)),
    )
    answer.check_problems(2, "sources-conflict")


def test_a_file_is_uploaded_alone_under_its_name(tmp_path):
    from robotrain_sources.local_path import folder_content, pin, upload
    from robotrain_sources.local_path.kind import LocalFolder

    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/0123").write_bytes(b"weights")
    link = tmp_path / "mine.pth"
    link.symlink_to("cache/0123")
    plan = type(
        "Plan",
        (),
        {"job": type("Job", (), {"sources": (JobSource(role="backbone", kind="local_path", uri=str(link)),)})},
    )
    folder = upload.select_uploaded_part(plan, str(link))
    assert [path.name for path in folder.iterdir()] == ["mine.pth"]
    assert pin.compute_folder_digest(folder).pin == pin.resolve_pin(LocalFolder(str(link)), "backbone")
    assert not folder_content.is_changed(link, pin.compute_folder_digest(folder).pin)
    assert not upload.scan_folder(folder).unsupported


def get_pairs(document, data):
    """The launcher's options about weights, and where PyTorch looks."""
    command = container.work(document, data, Path(document.placement.work))
    request = read_request(command.arguments)
    return (request.weights, request.weights_name, request.given_weights), command.environ.get("TORCH_HOME")


def test_the_trainer_gets_the_file_of_its_weights(training, tmp_path):
    folder = tmp_path / "fetched"
    folder.mkdir()
    (folder / "resnet18-f37072fd.pth").touch()
    source = JobSource(role="backbone", kind="torchvision", uri=RESNET18, pin=DIGEST)
    document = training(CAMERA, starts={"backbone": source})
    data = dict(zip(document.sources, (CAMERA, folder), strict=True))
    words, home = get_pairs(document, data)
    assert words == (str(folder / "resnet18-f37072fd.pth"), RESNET18, False)
    assert home == str(tmp_path / "work/torch")

    file = tmp_path / "mine.safetensors"
    file.touch()
    document = training(CAMERA, starts={"backbone": file})
    words, _ = get_pairs(document, dict(zip(document.sources, (CAMERA, file), strict=True)))
    assert words == (str(file), RESNET18, True)


@pytest.mark.parametrize(
    ("option", "way"),
    [("--policy.vision_backbone=resnet34", f"{OPTION}={RESNET34}"), ("--policy.use_group_norm=true", NULL)],
)
def test_weights_that_lerobot_would_fail_on_are_refused_if_pictures_are_read(training, option, way):
    def find(root, *args):
        document = training(root, args=args, policy_type="diffusion")
        findings = map(format_finding, container.compare(document, {document.sources[0]: root}))
        return [finding for finding in findings if "Weights" in finding]

    check_findings(find(CAMERA, option), fact=way)
    assert find(STATES, option) == find(CAMERA, option, way) == []


def test_a_start_replaces_weights_that_an_option_names(training, policy, pusht):
    document = training(pusht, starts={"policy": policy("start", type="act")}, args=[f"{OPTION}={RESNET18}"])
    arguments = get_work(document).arguments
    assert [word for word in arguments if word.startswith(OPTION)] == [NULL]
    data = {source: Path(source.uri) for source in document.sources}
    check_findings(
        [warning for warning in container.list_warnings(document, data) if "has no effect" in warning],
        fact="--policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1",
    )


PLACE = """
import json, sys
from pathlib import Path
import torch, torchvision
from safetensors.torch import save_file
from robotrain_workloads.lerobot_training import weights_file

class Boom:
    def __reduce__(self):
        return (open, ("boom", "w"))

name, folder = "ResNet18_Weights.IMAGENET1K_V1", Path(sys.argv[1])
network = torchvision.models.resnet18().state_dict()
made = {key: torch.rand_like(value.float()).to(value.dtype) for key, value in network.items()}
body = {key: value for key, value in made.items() if not key.startswith("fc.")}
torch.save(made, folder / "made.pth")
save_file(body, folder / "made.safetensors")
torch.save({"conv1.weight": made["conv1.weight"]}, folder / "part.pth")
torch.save({"conv1.weight": Boom()}, folder / "boom.pth")
(folder / "text.pth").write_text("weights")
told = {}
for file in ("made.pth", "made.safetensors", "part.pth", "boom.pth", "text.pth"):
    try:
        warning = weights_file.place_weights(folder / file, name, is_given=True)
        found = torchvision.models.resnet18(weights=name).state_dict()
        told[file] = [warning, all(torch.equal(found[key], value) for key, value in body.items())]
    except weights_file.WeightsError as error:
        told[file] = str(error)
try:
    weights_file.place_weights(folder / "made.pth", name, is_given=False)
except weights_file.WeightsError as error:
    told["fetched"] = str(error)
weights_file.find_digest_problem = lambda file, name: ""  # as of a file that was downloaded and verified
weights_file.place_weights(folder / "made.pth", name, is_given=False)
found = torchvision.models.resnet18(weights=name).state_dict()
told["linked"] = all(torch.equal(found[key], value) for key, value in made.items())
told["boom"] = Path("boom").exists()
print(json.dumps(told))
"""


@pytest.mark.slow
def test_a_given_file_is_read_without_its_code_and_saved_again(training_environment, tmp_path):
    packages = os.pathsep.join(str(ROOT / name) for name in ("workloads", "runtime"))
    environ = {**os.environ, "PYTHONPATH": packages, "TORCH_HOME": str(tmp_path / "home")}
    words = [f"{training_environment}/bin/python", "-c", PLACE, str(tmp_path)]
    done = subprocess.run(words, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    for name in ("made.pth", "made.safetensors"):
        warning, is_equal = told[name]
        assert is_equal
        assert "its SHA-256 is" in warning
    assert "does not fit resnet18" in told["part.pth"]
    assert "cannot be read as weights" in told["boom.pth"]
    assert "cannot be read as weights" in told["text.pth"]
    assert "is not torchvision's" in told["fetched"]
    assert told["linked"]
    assert not told["boom"]


@pytest.mark.slow
def test_the_table_of_weights_is_that_of_torchvision(training_environment):
    networks = [f"ResNet{number}_Weights" for number in (18, 34, 50, 101, 152)]
    code = f"""
import json, torchvision.models
kinds = [getattr(torchvision.models, name) for name in {networks}]
rows = [(f"{{kind.__name__}}.{{name}}", kind[name].url) for kind in kinds for name in kind.__members__]
print(json.dumps({{name: url.rpartition("/")[2] for name, url in rows}}))
"""
    command = [f"{training_environment}/bin/python", "-c", code]
    files = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    table = {name: (address.rpartition("/")[2], digest) for name, (address, digest) in weights_table.WEIGHTS.items()}
    assert files == {name: file for name, (file, _) in table.items()}
    assert all(file.endswith(f"-{digest[:8]}.pth") for file, digest in table.values())
