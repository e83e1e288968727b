"""The settings as this folder says them: the environment, `.env` files, robotrain.toml, and Terraform's outputs."""

from pathlib import Path

from robotrain import project as projects
from robotrain import terraform_place
from robotrain.coerce import coerce
from robotrain.layers import dotenv_layers, environment
from robotrain.problem import Rejected
from robotrain.provenance import own_name
from robotrain.request import Request
from robotrain.stack import Stack
from robotrain.terraform import Terraform

from robotrain_azureml.settings import Settings

PLATFORM = "azureml"


def settings(asking: bool = False) -> Settings:
    """What is not valid counts as not said. asking: Terraform's outputs are read as well, which takes a moment."""
    request = _request(asking)
    tables = request.project.settings(PLATFORM) if request.project else []
    typed, _ = coerce(Settings, Stack(request).values(Settings, {}, {}, tables))
    found: Settings = typed
    return found


def terraform() -> str:
    """The folder that Terraform's outputs would be read in, as it is shown; empty for none."""
    request = _request(asking=False)
    try:
        found = terraform_place.find(request.names, request.project, Path.cwd())
    except Rejected:
        return ""
    return terraform_place.shown(found) if found else ""


def _request(asking: bool) -> Request:
    here = Path.cwd()
    names = (environment(), *dotenv_layers(here))
    profile = next((value for layer in names if (value := layer.first((own_name("profile"),)))), None)
    project = projects.chosen(here, profile)
    return Request(names=names, project=project, terraform=Terraform(names, project, here) if asking else None)
