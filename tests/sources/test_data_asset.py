"""Data assets: the tables of contract C.2 in the strict reading, and C.6."""

from pathlib import Path

import pytest
from robotrain.model.source import SourceError
from robotrain_sources.data_asset.kind import KIND

HERE = Path("/work")
SUBSCRIPTION = "azureml://subscriptions/s/resourcegroups/r"
PROVIDER = "providers/Microsoft.MachineLearningServices"
AT_9 = "whole number of at most 9"
FORM = "has the form"

ACCEPTED = (
    "azureml:a:1",
    "azureml:a:0",
    "azureml:a:42",
    "azureml:a-b_c.d:7",
    "azureml:A:10",
    "azureml:_x:1",
    "azureml:1x:1",
    "azureml:pusht-episodes:3",
    "azureml:episodes-day1:2",
    "azureml:x:123456789",
    f"{SUBSCRIPTION}/workspaces/w/data/n/versions/3",
    f"{SUBSCRIPTION}/{PROVIDER}/workspaces/w/data/n/versions/3",
    "azureml://locations/l/workspaces/w/data/n/versions/12",
    "azureml://registries/r/data/n/versions/1",
    "azureml:a.b:1",
    "azureml:a__b:1",
    f"azureml:{'n' * 255}:1",
)

REJECTED = (
    ("azureml:a", "needs a version", "azureml:a:VERSION"),
    ("azureml:a@latest", "needs a version", "azureml:a:VERSION"),
    ("azureml:a:latest", AT_9, "azureml:a:VERSION"),
    ("azureml:a:v1", AT_9, "azureml:a:VERSION"),
    ("azureml:a:1.0", AT_9, "azureml:a:VERSION"),
    ("azureml:a:01", AT_9, "azureml:a:1"),
    ("azureml:a:-1", AT_9, "azureml:a:VERSION"),
    ("azureml:a:", AT_9, "azureml:a:VERSION"),
    ("azureml:a:1:", "A data asset is", ""),
    ("azureml:a:１", AT_9, "azureml:a:VERSION"),
    ("azureml:a:1 ", "9 digits", "azureml:a:VERSION"),
    (" azureml:a:1", "white space", "azureml:a:1"),
    ("azureml://x/data/n/versions/03", "full name", ""),
    ("azureml://x/data/n/versions/latest", "full name", ""),
    ("azureml://x/data/n/versions/3/", "full name", ""),
    ("azureml://x/data/n/labels/latest", "label may change", ""),
    ("azureml://x/models/n/versions/3", "names a model", ""),
    (
        "azureml://datastores/d/paths/p",
        "datastore",
        "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
    ),
    ("azureml://data/n/versions/3", "full name", ""),
    ("AZUREML:a:1", "lower case", "azureml:a:1"),
    ("a:1", "starts with `azureml:`", "azureml:a:1"),
    ("user/ds", FORM, ""),
    ("hf://u/d", FORM, ""),
    ("", FORM, ""),
    ("https://acc.blob.core.windows.net/c/p", FORM, ""),
)
"""At most 64 assets is a rule over the list, and a platform's limit."""

REJECTED_THOUGH_THE_REFERENCE_ACCEPTS = (
    ("azureml:a:99999999999999999999", AT_9, "azureml:a:VERSION"),
    ("azureml:a:b:3", "A data asset is", ""),
    ("azureml::3", "A data asset is", ""),
    ("azureml://a:3", "full name", ""),
    ("azureml:a b:1", "A data asset is", ""),
    ("azureml:a@latest:1", "needs a version", "azureml:a:VERSION"),
    ("azureml://x/data//versions/1", "full name", ""),
    ("azureml://x/data/a/b/versions/1", "full name", ""),
    ("azureml://x/data/n/versions/a/versions/3", "full name", ""),
    ("azureml://x/data/n/versions/1", "full name", ""),
    ("azureml://registries/r/data//versions/1", "full name", ""),
    ("azureml://registries/r/data/a/b/versions/1", "full name", ""),
    ("azureml:-a:1", "A data asset is", ""),
    ("azureml:.a:1", "A data asset is", ""),
    ("azureml:a:9999999999", AT_9, "azureml:a:VERSION"),
    (f"azureml:{'n' * 256}:1", "255 at most", ""),
    ("azureml:a:+1", AT_9, "azureml:a:VERSION"),
    ("azureml:a:1e3", AT_9, "azureml:a:VERSION"),
)

BESIDE_THE_TABLES = (
    ("azureml:a:1\n", AT_9, "azureml:a:VERSION"),
    ("azureml:a:1?sig=s3cr3t", AT_9, "azureml:a:VERSION"),
    ("azureml://registries/r/data/n/versions/007", AT_9, "azureml://registries/r/data/n/versions/7"),
    (" AZUREML:a:01 ", "white space", "azureml:a:1"),
)


@pytest.mark.parametrize("text", ACCEPTED)
def test_an_accepted_name_is_printed_as_it_was_typed(text: str) -> None:
    assert str(KIND.parse(text, HERE)) == text


def test_the_spelling_of_a_resource_id_does_not_matter() -> None:
    typed = "azureml://subscriptions/s/resourceGroups/r/Providers/microsoft.machinelearningservices/workspaces/w/data/n/versions/3"
    assert str(KIND.parse(typed, HERE)) == f"{SUBSCRIPTION}/{PROVIDER}/workspaces/w/data/n/versions/3"


@pytest.mark.parametrize(
    ("text", "why", "instead"), REJECTED + REJECTED_THOUGH_THE_REFERENCE_ACCEPTS + BESIDE_THE_TABLES
)
def test_a_rejected_name_says_why_and_what_to_type(text: str, why: str, instead: str) -> None:
    with pytest.raises(SourceError, match=why) as raised:
        KIND.parse(text, HERE)
    assert raised.value.suggestion == instead
