"""Repositories of the Hub: the table of contract C.6, and revisions."""

from pathlib import Path

import pytest
from robotrain.model.source import SourceError
from robotrain_sources.huggingface.kind import KIND

HERE = Path("/work")
ID = "id is OWNER/NAME"
ADDRESS = "not its address"

ACCEPTED = (
    *(
        "lerobot/aloha_sim_insertion_human",
        "lerobot/pusht",
        "user/dataset",
        "u/d",
        "user/my-dataset",
        "user/my.dataset",
    ),
    *("user/my_dataset", "User/DataSet", "user123/ds", "123/456", "org-name/ds", "org.name/ds", "org_name/ds"),
    *("a/" + "b" * 96, "gpt2", "pusht", "user/v1.0", "user/ds-v2", "nvidia/GR00T-N1.5-3B", "user/a_b-c.d", "_u/d"),
    *("u/_d", "u/d_", "u/0", "user/dataset123", "lerobot/xarm_lift_medium"),
)

REJECTED = (
    ("", ID, ""),
    ("/", "local folder", ""),
    ("user/", "slash", "user"),
    ("/ds", "local folder", ""),
    ("a/b/c", ID, ""),
    ("user/ds/", "slash", "user/ds"),
    ("user//ds", ID, ""),
    ("-u/d", ID, ""),
    ("u/-d", ID, ""),
    ("u/d-", ID, ""),
    (".u/d", ID, ""),
    ("u/.d", ID, ""),
    ("u/d.", ID, ""),
    ("u/d--e", ID, ""),
    ("u--v/d", ID, ""),
    ("u/d..e", ID, ""),
    ("u/../d", ID, ""),
    ("../d", "local folder", ""),
    ("./d", "local folder", ""),
    ("u/d.git", "git", "u/d"),
    ("u/d e", ID, ""),
    ("u/d\n", "white space", "u/d"),
    ("u/d?x", ID, ""),
    ("u/d#x", ID, ""),
    ("u/d:3", ID, ""),
    ("azureml:x:1", "blob URL of its files", ""),
    ("azureml://x", "Azure ML", ""),
    ("hf://u/d", ADDRESS, "u/d"),
    ("https://huggingface.co/u/d", ADDRESS, "u/d"),
    ("u\\d", ID, ""),
    ("a/" + "b" * 97, ID, ""),
    ("u/é", ID, ""),
    ("~/d", "local folder", ""),
    ("$HOME/d", ID, ""),
    ("{{x}}/d", ID, ""),
    ("u/d'", ID, ""),
)
"""`u/d@main` is in the table of rejected ids; it is judged on the part before `@`."""

REVISIONS = (
    *("main", "v1.0", "feature/x", "refs/pr/1", "a-b_c", "1", "a@b", "é", "0123456789abcdef0123456789abcdef01234567"),
)

NO_REVISIONS = (
    *(
        "-x",
        "/x",
        "x/",
        "x.",
        "x.lock",
        "x.lock/y",
        "a..b",
        "a b",
        "a~b",
        "a^b",
        "a:b",
        "a?b",
        "a*b",
        "a[b",
        "a\\b",
        "@",
    ),
    *(
        "a//b",
        ".x",
        "a/.x",
        "a#b",
        "a@{b",
        "{{x}}",
        "a\tb",
        "a\x7fb",
        "a\u202eb",
        "a\udcffb",
        "x" * 256,
        "a&b",
        "a=b",
        "a%2fb",
    ),
)

ADDRESSES = (
    ("https://huggingface.co/datasets/u/d", "u/d"),
    ("https://huggingface.co/datasets/u/d/", "u/d"),
    ("HTTPS://hf.co/datasets/u/d/tree/v1.0/meta?x=s3cr3t#s3cr3t", "u/d@v1.0"),
    ("https://user:s3cr3t@huggingface.co/datasets/u/d?token=s3cr3t", "u/d"),
    ("huggingface.co/datasets/u/d", "u/d"),
    ("hf://datasets/u/d@main/meta/info.json", "u/d@main"),
    ("hf://datasets/u/d.git", "u/d"),
    ("https://huggingface.co/datasets/u", ""),
)


@pytest.mark.parametrize("text", ACCEPTED)
def test_an_accepted_id_is_printed_as_it_was_typed(text: str) -> None:
    assert str(KIND.parse(text, HERE)) == text


@pytest.mark.parametrize(("text", "why", "instead"), REJECTED)
def test_a_rejected_id_says_why_and_what_to_type(text: str, why: str, instead: str) -> None:
    with pytest.raises(SourceError, match=why) as raised:
        KIND.parse(text, HERE)
    assert raised.value.suggestion == instead


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_is_a_branch_a_tag_or_a_commit(revision: str) -> None:
    source = KIND.parse(f"u/d@{revision}", HERE)
    assert (str(source), source) == (f"u/d@{revision}", KIND.parse(str(source), HERE))


@pytest.mark.parametrize("revision", NO_REVISIONS)
def test_what_git_takes_for_no_name_is_no_revision(revision: str) -> None:
    with pytest.raises(SourceError, match="as git names them") as raised:
        KIND.parse(f"u/d@{revision}", HERE)
    assert raised.value.suggestion == "u/d@REVISION"


def test_an_empty_revision_is_a_slip() -> None:
    with pytest.raises(SourceError, match="is missing") as raised:
        KIND.parse("u/d@", HERE)
    assert raised.value.suggestion == "u/d"


@pytest.mark.parametrize(("address", "instead"), ADDRESSES)
def test_an_address_of_the_hub_is_answered_with_the_id(address: str, instead: str) -> None:
    with pytest.raises(SourceError) as raised:
        KIND.parse(address, HERE)
    assert raised.value.suggestion == instead


@pytest.mark.parametrize("text", ["hf_" + "a1" * 17, "user/hf_" + "a1" * 17, "u/d@ghp_" + "a1" * 18])
def test_a_pasted_token_is_not_taken_for_a_name(text: str) -> None:
    with pytest.raises(SourceError, match="access token") as raised:
        KIND.parse(text, HERE)
    assert raised.value.suggestion == ""


def test_a_hub_dataset_stands_alone_and_says_what_names_a_merged_one() -> None:
    assert KIND.roles["dataset"].exclusive
    assert "--dataset-id NAME" in KIND.roles["dataset"].combine_hint
