"""The workflows of six jobs as in `workflows/*.yaml`, without the program and the archive."""

import re
from pathlib import Path

import pytest
from osmo_plans import ONE, PINNED, TWO, blobs, job, read_workflow, render_plan, source
from osmo_stand_in.service.spec import read_workflow as accept_workflow
from robotrain.model.plan import Plan

FOLDER = Path(__file__).parent / "workflows"
TRACKED = {"tracking_uri": None, "subscription_id": "SUB-AZ", "resource_group": "rg-tf", "workspace_name": "ws-tf"}
STORED = {"storage_account": "sttf"}

MADE = {
    "two-blob-urls": lambda: render_plan(job(*blobs(ONE, TWO), register_checkpoint="my_model", val_split=0), **TRACKED),
    "hub": lambda: render_plan(job(source("huggingface", "lerobot/pusht@v3.0"), wandb=True), hf_credential="hf_token"),
    "osmo-dataset-6.3": lambda: render_plan(
        job(source("osmo_dataset", "my-data:7")), server="6.3", dataset_bucket="my-bucket"
    ),
    "osmo-dataset-6.4": lambda: render_plan(
        job(source("osmo_dataset", "my-data")), dataset_bucket="my-bucket", labels="team=arms", **STORED
    ),
    "uploaded-folder": lambda: render_plan(
        job(source("local_path", "/home/me/pusht", pin=PINNED), num_gpus=2), shared_memory="mount", **STORED
    ),
    "checkpoints-to-s3": lambda: render_plan(job(publish_url="s3://robots/runs"), blob_credential="store"),
}


SEARCH = r"(?m)^( {8}- )\|-\n {10}tried=\n(?: {10}.*\n)+"


def format_workflow(of: Plan) -> str:
    """Without the programs that start the job, what is in the archive, and digests."""
    text = of.files["workflow.yaml"].decode()
    text = re.sub(SEARCH, r"\1(the program that finds the Python of the image)\n", text)
    text = re.sub(r"(?m)^( {8}- )\|-\n(?: {10}.*\n|\n)+", r"\1(the program that unpacks the job)\n", text)
    text = re.sub(r"contents: '[^']+'", "contents: (the archive)", text)
    text = re.sub(r"(ROBOTRAIN_PLAN: )'\w{32}'", r"\1(a digest)", text)
    return text.replace(of.run, "RUN")


@pytest.mark.parametrize("name", MADE)
def test_workflow_is_the_stored_one(name: str) -> None:
    assert format_workflow(MADE[name]()) == (FOLDER / f"{name}.yaml").read_text()


def test_service_accepts_the_secrets_of_a_program() -> None:
    made = render_plan(job(), secrets='{"API_TOKEN": "team:api"}')
    assert accept_workflow({"workflow": read_workflow(made)}, (6, 4, 0)).name == made.run


def test_every_stored_workflow_is_rendered() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(MADE)


@pytest.mark.parametrize("name", MADE)
def test_service_of_its_version_accepts_it(name: str) -> None:
    made = MADE[name]()
    version = (6, 3, 1) if name.endswith("6.3") else (6, 4, 0)
    assert accept_workflow({"workflow": read_workflow(made)}, version).name == made.run
