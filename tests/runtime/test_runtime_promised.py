"""Names of the environment that say again what the document says: where they differ, nothing starts."""

import pytest
from robotrain_runtime.contract.event import Outcome
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.environments import run_environment

URLS = '["https://a/one", "https://a/two"]'


def test_the_same_json_is_taken():
    there = URLS.replace("/", "\\/").replace(", ", ",\n")
    assert there != URLS
    run_environment.check_promised_variables({"BLOB_URLS": URLS}, {"BLOB_URLS": there})


def test_each_name_that_differs_is_told_before_anything_is_done(run, job):
    made = job("print('hello')", promised={"BLOB_URLS": URLS, "GONE": "secret"})
    ran = run(made, BLOB_URLS=URLS.replace("two", "three"))
    assert (ran.exit_code, ran.ordinary) == (2, [])
    assert [type(record.event) for record in ran.records] == [Outcome]
    assert ran.outcome["fault"] == "configuration"
    reasons = ran.outcome["reason"].split("; ", 1)
    for reason, facts in zip(reasons, (("BLOB_URLS", "36", "34", "30"), ("GONE", "not set", "6")), strict=True):
        assert all(fact in reason for fact in facts)
    assert "secret" not in ran.outcome["reason"]


@pytest.mark.parametrize(("said", "there"), [("[1]", "[true]"), ("1", "1.0"), ('["a","b"]', '["b","a"]'), ("a", "a ")])
def test_what_only_looks_alike_differs(said, there):
    with pytest.raises(JobFailed, match="A in the environment differs"):
        run_environment.check_promised_variables({"A": said}, {"A": there})
