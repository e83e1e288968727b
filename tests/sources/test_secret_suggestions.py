"""Suggestions for missing secrets, which differ between platforms."""

import contextlib

import pytest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_sources.blob_url import errors, identity, reference, target
from robotrain_sources.blob_url import fetch as blob_fetch
from robotrain_sources.huggingface import fetch
from robotrain_sources.transfer import container

NAME, WAY = "me/act_pusht", "--hf-credential NAME"
AT = reference.parse_blob_url("https://account.blob.core.windows.net/box/act")
SIGN_IN = ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID")


class ClientAuthenticationError(Exception):
    """As the sign-in's is called."""


def describe_refusal(way: str) -> str:
    files = fetch.open(NAME, "", "policy", "", way)
    with pytest.raises(Exception) as raised:
        list(files.list_files())
    return str(files.explain_error(raised.value))


@pytest.mark.parametrize(("shut", "token"), [("gated", ""), ("private", ""), ("", "hf_s3cretWRONG"), ("none", "right")])
def test_what_the_hub_does_not_show_names_the_platforms_way(hub, monkeypatch, shut, token):
    if shut != "none":
        hub.repository(NAME, {"config.json": b"{}"})
        hub.repositories[f"models/{NAME}"].shut = shut
    if token:
        monkeypatch.setenv("HF_TOKEN", hub.token if token == "right" else token)
    assert describe_refusal(WAY).endswith(WAY)
    assert WAY not in describe_refusal("")
    if not token:
        assert "HF_TOKEN" not in describe_refusal(WAY)
        assert "HF_TOKEN" in describe_refusal("")


def test_a_job_without_an_identity_is_told_how_to_give_it_one():
    way = "--data-credential NAME"
    text = str(errors.explain_blob_error(ClientAuthenticationError("no"), AT, None, remedy=way))
    assert text.endswith(f": {way}; an identity needs the role {identity.READER_ROLE}")
    assert "az login" in str(errors.explain_blob_error(ClientAuthenticationError("no"), AT, None))


@pytest.mark.slow
def test_survey_and_publish_preflight_suggest_the_platforms_way(
    hub, azure, azure_identity, data_python, tmp_path, monkeypatch
):
    for name in SIGN_IN:
        monkeypatch.delenv(name, raising=False)
    hub.repository(NAME, {"config.json": b"{}"})
    hub.repositories[f"models/{NAME}"].shut = "gated"
    ways = {"huggingface": WAY, "blob_url": "--data-credential NAME"}
    place = ContainerContext(cache=tmp_path, python=data_python, log_line=lambda line: None, credential_hints=ways)
    url = azure.url("box", "act")
    sources = [
        JobSource(role="policy", kind="huggingface", uri=NAME),
        JobSource(role="dataset", kind="blob_url", uri=url),
    ]
    made = container.deliver(sources, {"huggingface": fetch, "blob_url": blob_fetch}, place, {})
    with contextlib.closing(made):
        hub_said, blob_said = (summarize_problem(survey.problems[0]) for survey in made.survey())
    assert hub_said.endswith(WAY)
    assert f": {ways['blob_url']}; an identity needs" in blob_said
    (publish_said,) = target.inspect(url, place).problems
    assert f": {ways['blob_url']}; an identity needs the role Storage Blob Data Contributor" in publish_said
