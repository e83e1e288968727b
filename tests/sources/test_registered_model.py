"""Policies in a registry: the tables of contract C.3 and C.6 in the strict reading, for both kinds behind one flag."""

from pathlib import Path

import pytest
from robotrain.model.source import SourceError
from robotrain_sources.mlflow.kind import ASSET_KIND, KIND

HERE = Path("/work")
SUBSCRIPTION = "azureml://subscriptions/s/resourcegroups/r"
PROVIDER = "providers/Microsoft.MachineLearningServices"
AT_9 = "whole number of at most 9"
FORM = "has the form"
MOVES = "move from version to version"
ADDRESS = "An address is no"

REGISTERED = (
    ("a:1", "models:/a/1"),
    ("a:0", "models:/a/0"),
    ("models:/a/42", "models:/a/42"),
    ("a-b_c.d:7", "models:/a-b_c.d/7"),
    ("A:10", "models:/A/10"),
    ("_x:1", "models:/_x/1"),
    ("1x:1", "models:/1x/1"),
    ("models:/latest/3", "models:/latest/3"),
    ("x:123456789", "models:/x/123456789"),
    (f"{'n' * 255}:1", f"models:/{'n' * 255}/1"),
)

NOT_REGISTERED = (
    ("a@latest", MOVES, "a:VERSION"),
    ("a:latest", MOVES, "a:VERSION"),
    ("a@champion", MOVES, "a:VERSION"),
    ("models:/a@champion", MOVES, "a:VERSION"),
    ("models:/a/Production", MOVES, "a:VERSION"),
    ("models:/a/latest", MOVES, "a:VERSION"),
    ("a", "needs a version", ""),
    ("models:/a", "needs a version", ""),
    ("models:/m-0123456789abcdef", "needs a version", ""),
    ("a:", AT_9, "a:VERSION"),
    ("a:v1", AT_9, "a:VERSION"),
    ("a:1.0", AT_9, "a:VERSION"),
    ("a:-1", AT_9, "a:VERSION"),
    ("a:+1", AT_9, "a:VERSION"),
    ("a:1e3", AT_9, "a:VERSION"),
    ("a:07", AT_9, "a:7"),
    ("models:/a/007", AT_9, "a:7"),
    ("a:１", AT_9, "a:VERSION"),
    ("a:9999999999", AT_9, "a:VERSION"),
    ("a:1\n", "white space", "models:/a/1"),
    (" a:01 ", "white space", "a:1"),
    ("MODELS:/a/1", "lower case", "models:/a/1"),
    ("a:b:3", "255 at most", ""),
    (":3", "255 at most", ""),
    ("-a:1", "255 at most", ""),
    (".a:1", "255 at most", ""),
    ("a b:1", "255 at most", ""),
    (f"{'n' * 256}:1", "255 at most", ""),
    ("models:/a/b/3", "255 at most", ""),
    ("models:/a/1/", "255 at most", ""),
    ("models://profile/a/1", "255 at most", ""),
    ("", "255 at most", ""),
    ("azureml:a:1", "name of Azure ML", ""),
    ("runs:/0123/model", "artifact of a tracking run", ""),
    ("https://acc.blob.core.windows.net/c/p", ADDRESS, ""),
    ("https://example.com/x", ADDRESS, ""),
    ("http://acc/c", ADDRESS, ""),
    ("https://", ADDRESS, ""),
    ("user/repo", "255 at most", ""),
)

ASSETS = (
    *("azureml:a:1", "azureml:a:0", "azureml:a:42", "azureml:a-b_c.d:7", "azureml:A:10", "azureml:_x:1"),
    *("azureml:1x:1", "azureml:x:123456789", "azureml:a.b:1", "azureml:a__b:1", f"azureml:{'n' * 255}:1"),
    f"{SUBSCRIPTION}/workspaces/w/models/n/versions/7",
    f"{SUBSCRIPTION}/{PROVIDER}/workspaces/w/models/n/versions/7",
    "azureml://locations/l/workspaces/w/models/n/versions/12",
    "azureml://registries/r/models/n/versions/2",
)

NO_ASSETS = (
    ("azureml:a", "needs a version", "azureml:a:VERSION"),
    ("azureml:a@latest", "needs a version", "azureml:a:VERSION"),
    ("azureml:a:latest", AT_9, "azureml:a:VERSION"),
    ("azureml:a:07", AT_9, "azureml:a:7"),
    ("azureml:a:9999999999", AT_9, "azureml:a:VERSION"),
    ("azureml:a:+1", AT_9, "azureml:a:VERSION"),
    ("azureml:a:b:3", "A model is", ""),
    ("azureml::3", "A model is", ""),
    ("azureml:-a:1", "A model is", ""),
    (f"azureml:{'n' * 256}:1", "255 at most", ""),
    ("azureml://a:3", "full name", ""),
    ("azureml://x/models/n/versions/7", "full name", ""),
    ("azureml://x/models/n/versions/v1", "full name", ""),
    ("azureml://registries/r/models/n/versions/03", AT_9, "azureml://registries/r/models/n/versions/3"),
    ("azureml://registries/r/models//versions/1", "full name", ""),
    ("azureml://registries/r/models/a/b/versions/1", "full name", ""),
    ("azureml://registries/r/models/n/labels/latest", "label may change", ""),
    ("azureml://registries/r/data/n/versions/7", "names a data asset", ""),
    ("azureml://jobs/j/outputs/o", "register it first", ""),
    ("azureml://jobs/j/outputs/o/paths/a", "register it first", ""),
    ("azureml://jobs/j/outputs/artifacts/paths/../a", "register it first", ""),
    ("azureml://jobs/j/outputs/artifacts/paths/a/b/", "register it first", "--policy-model runs:/j/a/b"),
    ("azureml://datastores/d/paths/p", "storage address behind it", ""),
    ("AZUREML:a:1", "lower case", "azureml:a:1"),
    (" azureml:a:1", "white space", "azureml:a:1"),
    ("a:1", "starts with `azureml:`", "azureml:a:1"),
    ("user/repo", FORM, ""),
)


@pytest.mark.parametrize(("text", "printed"), REGISTERED)
def test_a_version_of_a_model_is_printed_as_the_registry_knows_it(text: str, printed: str) -> None:
    assert str(KIND.parse(text, HERE)) == printed


@pytest.mark.parametrize(("text", "why", "instead"), NOT_REGISTERED)
def test_what_names_no_version_says_why_and_what_to_type(text: str, why: str, instead: str) -> None:
    with pytest.raises(SourceError, match=why) as raised:
        KIND.parse(text, HERE)
    assert raised.value.suggestion == instead


@pytest.mark.parametrize("text", ASSETS)
def test_a_model_of_azure_ml_is_printed_as_it_was_typed(text: str) -> None:
    assert str(ASSET_KIND.parse(text, HERE)) == text


@pytest.mark.parametrize(("text", "why", "instead"), NO_ASSETS)
def test_what_is_no_model_of_azure_ml_says_why_and_what_to_type(text: str, why: str, instead: str) -> None:
    with pytest.raises(SourceError, match=why) as raised:
        ASSET_KIND.parse(text, HERE)
    assert raised.value.suggestion == instead


def test_the_spelling_of_a_resource_id_does_not_matter() -> None:
    typed = f"azureml://subscriptions/s/resourceGroups/r/{PROVIDER.upper()}/workspaces/w/models/n/versions/3"
    assert str(ASSET_KIND.parse(typed, HERE)) == f"{SUBSCRIPTION}/{PROVIDER}/workspaces/w/models/n/versions/3"
