"""Artifacts of tracking runs, as they are typed: what is taken, and what is said of the rest."""

from pathlib import Path

import pytest
from robotrain.model.source import SourceError
from robotrain_sources.mlflow.kind import RUN_KIND as KIND

HERE = Path("/work")
ID = "0123456789abcdef0123456789abcdef"
FORM = "have the form"
CASE = "lower case"
CHARACTERS = "letters, digits and"
KEPT = "where a server keeps"

NAMED = (
    (f"runs:/{ID}/checkpoints/000400", f"runs:/{ID}/checkpoints/000400"),
    (f"runs:/{ID}/model/", f"runs:/{ID}/model"),
    ("runs:/lerobot-train-1a2b3c4d-1/policy/000400", "runs:/lerobot-train-1a2b3c4d-1/policy/000400"),
    ("runs:/loving_pear_3x/epoch=3-step=100.5/a+b~(c),d!", "runs:/loving_pear_3x/epoch=3-step=100.5/a+b~(c),d!"),
)

NOT_NAMED = (
    ("", FORM, ""),
    ("model", FORM, ""),
    (f"{ID}/model", FORM, ""),
    ("models:/act/3", FORM, ""),
    ("runs:", FORM, ""),
    ("runs:/", "id of a run", ""),
    (f"runs:/{ID}", "folder is missing", f"runs:/{ID}/PATH"),
    (f"runs:/{ID}/", "folder is missing", f"runs:/{ID}/PATH"),
    (f"runs://{ID}/model", "One slash", f"runs:/{ID}/model"),
    (f"runs:/{ID}//model", "One slash", f"runs:/{ID}/model"),
    (f"runs:/{ID}/a//b", "empty", ""),
    (f"runs:/{ID}/../model", "empty", ""),
    (f"runs:/{ID}/a/./b", "empty", ""),
    (f"runs:/{ID}/a b", CHARACTERS, ""),
    (f"runs:/{ID}/a%20b", CHARACTERS, ""),
    (f"runs:/{ID}/a?x=1", CHARACTERS, ""),
    (f"runs:/{ID}/a@b", CHARACTERS, ""),
    (f"runs:/{ID}/{{{{x}}}}", CHARACTERS, ""),
    (f"runs:/{ID}/é", CHARACTERS, ""),
    ("runs:/-a/model", "id of a run", ""),
    ("runs:/a.b/model", "id of a run", ""),
    (f"runs:/{'a' * 256}/model", "id of a run", ""),
    (f" runs:/{ID}/model\n", "white space", f"runs:/{ID}/model"),
    (f"RUNS:/{ID}/model", CASE, f"runs:/{ID}/model"),
    (f"mlflow-artifacts:/7/{ID}/artifacts/model/", KEPT, f"runs:/{ID}/model"),
    (f"mlflow-artifacts://host:5000/7/{ID}/artifacts/a/b", KEPT, f"runs:/{ID}/a/b"),
    (f"mlflow-artifacts:/7/{ID}/artifacts/a?sig=S3CRET", "secret", ""),
    (f"mlflow-artifacts:/7/{ID}/artifacts/a b", KEPT, ""),
)


@pytest.mark.parametrize(("text", "printed"), NAMED)
def test_a_folder_of_artifacts_is_printed_as_mlflow_knows_it(text: str, printed: str) -> None:
    assert str(KIND.parse(text, HERE)) == printed


@pytest.mark.parametrize(("text", "why", "instead"), NOT_NAMED)
def test_what_names_none_says_why_and_what_to_type(text: str, why: str, instead: str) -> None:
    with pytest.raises(SourceError, match=why) as raised:
        KIND.parse(text, HERE)
    assert raised.value.suggestion == instead
