"""The text of a job: what every reader of it finds in it again, the names of its environment above all."""

import json

import azureml_planned as planned
import pytest
import yaml
from azureml_planned import assets, blobs, job, model, placement, plan, source, spec
from robotrain_azureml.spec import render


class TestNames:
    """What people find it by."""

    def test_the_experiment_is_the_one_that_was_said_else_that_of_the_workload(self) -> None:
        assert spec(plan(job(experiment_name="mine")))["experiment_name"] == "mine"
        assert spec(plan(job(workload="rosbag-act-train")))["experiment_name"] == "rosbag-act-train"

    def test_a_display_name_and_tags_are_texts_whatever_they_look_like(self) -> None:
        made = plan(job(), display_name="1e3", labels="team=arms,on=true,v=1.10,day=2026-01-01")
        assert spec(made)["display_name"] == "1e3"
        tags = spec(made)["tags"]
        assert {name: tags[name] for name in ("team", "on", "v", "day")} == {
            "team": "arms",
            "on": "true",
            "v": "1.10",
            "day": "2026-01-01",
        }

    def test_no_tag_takes_the_place_of_our_own(self) -> None:
        made = plan(job(), labels="robotrain.run=other")
        assert spec(made)["tags"]["robotrain.run"] == made.run


class TestVariables:
    """Names of the environment: texts that nothing on the way reads."""

    def test_every_one_is_a_quoted_text(self) -> None:
        lines = plan(job(*assets("azureml:a:3"))).files["job.yaml"].decode().split("\n")
        begin, end = lines.index("environment_variables:"), lines.index("inputs:")
        assert all(line.partition(": ")[2][0] == "'" for line in lines[begin + 1 : end])

    def test_without_an_identity_the_compute_has_the_say(self) -> None:
        assert "AZURE_CLIENT_ID" not in spec(plan(job()))["environment_variables"]

    def test_a_job_in_another_cloud_is_told_where_to_sign_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us")
        said = spec(plan(job()))["environment_variables"]
        assert said["AZURE_AUTHORITY_HOST"] == "https://login.microsoftonline.us"

    @pytest.mark.parametrize("tail", ["$(HOME)", "$$x", "${{inputs.x}}"])
    def test_a_dollar_that_would_be_read_is_the_same_url_written_otherwise(self, tail: str) -> None:
        odd = f"https://account1.blob.core.windows.net/train/a{tail}b"
        made = plan(job(*blobs(odd), source("blob_url", odd, "init_policy")))
        said = spec(made)["environment_variables"]
        assert json.loads(said["BLOB_URLS"]) == [odd]
        assert tail[:2] not in said["BLOB_URLS"]
        assert "INIT_FROM_POLICY_MODEL_SOURCE" not in said  # there it cannot be written otherwise
        assert placement(made).promised["BLOB_URLS"] == said["BLOB_URLS"]


class TestText:
    """The one writer of the file."""

    def test_it_is_one_document_of_plain_yaml(self) -> None:
        made = plan(job(*blobs("https://account1.blob.core.windows.net/train/é — ☃😀")), display_name="größe: 1 #\n'x'")
        content = made.files["job.yaml"]
        assert content.isascii()
        assert len(list(yaml.safe_load_all(content))) == 1
        assert spec(made)["display_name"] == "größe: 1 #\n'x'"

    def test_what_was_read_is_written_the_same(self) -> None:
        for of in (job(), job(*assets("azureml:a:3"), model("azureml:m:1"))):
            content = plan(of, display_name="a: b", labels="on=off,é=1").files["job.yaml"].decode()
            assert render.dump_yaml(planned.read(content)) == content

    @pytest.mark.parametrize("where", [{"display_name": "${{ x }}"}, {"labels": "a=${{x}}"}, {"labels": "${{x}}=a"}])
    def test_a_value_that_is_a_template_is_never_written(self, where: dict[str, str]) -> None:
        with pytest.raises(render.ExpressionError):
            plan(job(), **where)

    def test_a_long_name_is_read_again(self) -> None:
        assert spec(plan(job(), labels=f"{'x' * 1001}=1"))["tags"]["x" * 1001] == "1"
