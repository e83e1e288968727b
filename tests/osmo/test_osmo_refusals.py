"""Error texts of the `osmo` command and the problems that they become, a row for each text."""

import json

import pytest
from osmo_stand_in import config
from osmo_stand_in.service.submission import draw_machines
from robotrain.errors import Rejected, format_problem
from robotrain.external_command import ProcessResult
from robotrain_osmo.client import failures, service
from robotrain_runtime.contract.deadline import call_with_deadline

SERVER_SAID = "Server responded with status code 400\n"
VERSIONS = (
    "WARNING: New client 6.4.0 available.\nCurrent version: 6.3.1.\n"
    "Please update by running the install command in the documentation.\n"
)
PYDANTIC = (
    "2 validation errors for VersionedWorkflowSpec\nworkflow.tasks.0.image\n"
    "  Field required [type=missing, input_value={'imagex': '...: [{'url': 's3://b/k'}]}, input_type=dict]\n"
    "    For further information visit https://errors.pydantic.dev/2.12/v/missing\nworkflow.tasks.0.imagex\n"
    "  Extra inputs are not permitted [type=extra_forbidden, input_value='ubuntu:24.04', input_type=str]\n"
    "    For further information visit https://errors.pydantic.dev/2.12/v/extra_forbidden"
)
REFUSED_CONNECTION = (
    "\nCannot connect to OSMO service, with error:\nHTTPConnectionPool(host='127.0.0.1', port=1): Max retries exceeded "
    "with url: /api/x (Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f>: Failed to "
    "establish a new connection: [Errno 111] Connection refused'))\n"
)
CORRUPT = (
    "not enough values to unpack (expected 3, got 1)\nTraceback (most recent call last):\n"
    '  File "/usr/local/osmo/src/cli/cli.py", line 112, in main\n    args.func(service_client, args)\n'
    '  File "/usr/local/osmo/src/lib/utils/login.py", line 340, in refresh_id_token\nValueError: not enough values\n'
)


def print_failure(message: str, status: int = 400) -> str:
    """A refusal as `-t json` prints it on stdout."""
    return json.dumps({"message": message, "code": status}, indent=2)


def print_submit_failure(message: str) -> str:
    return print_failure(f"Workflow hello submit failed:\n{message}")


def print_server_error(status: int, body: str) -> str:
    return print_failure(f"Status Code: {status}\nHeader:\n  date: Fri\n  server: uvicorn\nBody:\n{body}", status)


def resource_table(*reasons: str) -> str:
    """Why no machine will do, a machine a row, as OSMO 6.4 has it."""
    tables = [
        draw_machines(
            config.expose_machine(
                "default", "gpu", {"cpu": 64 - index, "memory": "128Gi", "storage": "1000Gi", "gpu": 8}
            ),
            f"Assertion failed for task train: {reason}",
        ).splitlines()
        for index, reason in enumerate(reasons)
    ]
    rows = "\n".join([*tables[0], *(rows[-1] for rows in tables[1:])])
    return (
        f"Resource validation failed for task: train\n{rows}\n"
        'Please check available resources with "osmo resource list".'
    )


UNKNOWN = False  # OSMO may have the workflow all the same
# message, code of the problem, words in it
SUBMIT_REFUSALS = [
    ("Could not find the credential: nope.", "client-failed", "Could not find the credential"),
    (resource_table("Value 9000Gi too high for memory"), "platform-refused", "Value 9000Gi too high for memory"),
    (resource_table("Value 9 breaks a rule"), "client-failed", "Resource validation failed for task: train"),
    (
        PYDANTIC,
        "platform-refused",
        "image Field required workflow.tasks.0.imagex Extra inputs are not permitted.",
    ),
]
OTHER_REFUSALS = [
    ("Could not find dataset or collection pusht in bucket b", "resource-unknown", "in the bu"),
    (
        "Dataset/Collection pusht does not have any entry fitting the parameters in bucket b.",
        "resource-unknown",
        "dataset pusht in the bucket b",
    ),
    ("Access token ci has expired.", "platform-signed-out", "osmo login URL"),
    ("User me cannot submit more than 3 ongoing workflows.", "runs-over-limit", "3 concurrent workflows"),
    (
        "Resource validation failed for task: train\n"
        "Assertion failed for task train: Value 0.0 needs to be greater than 0 for CPU",
        "platform-refused",
        "Value 0.0 needs to be greater than 0 for CPU",
    ),
    ("Name abc is too long. It must be 64 characters or less.", "platform-refused", "too long"),
    ("Your client is out of date. Client version is 6.0.0 but", "client-version", "client is out of date"),
]
# exit code, output, code of the problem, words in it, and whether the failure is certain
ROWS = [
    *((1, print_submit_failure(message), code, words) for message, code, words in SUBMIT_REFUSALS),
    *((2, print_failure(message), code, words) for message, code, words in OTHER_REFUSALS),
    (
        10,
        print_server_error(
            500, '{"message": "Internal server error: Bucket lerobot-datasets is not set in the configs"}'
        ),
        "resource-unknown",
        "osmo bucket list",
    ),
    (2, print_failure('Must login first with "login" command', 1), "platform-signed-out", "osmo login URL"),
    (2, 'Error message: Must login first with "login" command\nError code: 1', "platform-signed-out", "osmo login"),
    (
        10,
        print_failure(
            'Unable to refresh login token (status code 400): {"error":"x"}\nPlease re-login with "osmo login"', 1
        ),
        "platform-signed-out",
        "osmo login URL",
    ),
    (2, print_failure(CORRUPT, 1), "platform-signed-out", "osmo login URL"),
    (2, print_failure("RBAC: access denied", 403), "platform-forbidden", "profile list"),
    (
        1,
        print_failure("Workflow submit failed:\na rule of the submit"),
        "client-failed",
        "command failed: a rule of the submit",
    ),
    (
        2,
        print_failure(
            '{"detail":[{"type":"enum","loc":["query","priority"],"msg":"Input should be \'HIGH\'","input":"zz"}]}', 422
        ),
        "platform-refused",
        "Input should be 'HIGH'",
    ),
    (
        1,
        print_failure("Jinja substitution failure: <class 'TimeoutError'>: Process exceeded time limit of 0.5 seconds"),
        "osmo-render-time",
        "half a second",
    ),
    (1, print_failure("Jinja Template Error: 'x' is undefined"), "platform-refused", "'x' is undefined"),
    (
        10,
        print_server_error(500, '{"message":"Internal server error: Unknown URI scheme: https"}'),
        "platform-refused",
        "Unknown URI scheme: https",
    ),
    (10, print_server_error(500, '{"message":"Internal server error: boom"}'), "platform-busy", "boom.", UNKNOWN),
    (10, print_server_error(502, "<html><title>502</title></html>"), "platform-busy", "(HTTP 502)", UNKNOWN),
    (75, print_failure("slow down", 429), "platform-busy", "too many requests"),
    (10, print_failure(REFUSED_CONNECTION, 1), "platform-away", "Connection refused"),
    (
        10,
        print_failure(
            "\nCannot connect to OSMO service, with error:\nHTTPSConnectionPool(host='o'): (Caused by "
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
            "self-signed certificate (_ssl.c:1007)')))\n",
            1,
        ),
        "platform-away",
        "self-signed certificate",
    ),
    (2, print_failure("Traceback …\nConnectionError: Connection reset by peer", 1), "client-failed", "reset", UNKNOWN),
    (
        10,
        print_failure(
            "\nCannot connect to OSMO service, with error:\n('Connection aborted.', RemoteDisconnected('closed'))\n", 1
        ),
        "platform-away",
        "lost",
        UNKNOWN,
    ),
    (
        10,
        print_failure(
            "\nCannot connect to OSMO service, with error:\nHTTPSConnectionPool(host='o'): Read timed out.\n", 1
        ),
        "platform-away",
        "OSMO is slow",
        UNKNOWN,
    ),
    (
        10,
        print_failure(
            "\nError decoding JSON: Expecting value\nOriginal text: <html>401 Unauthorized, sign in</html>\n", 1
        ),
        "osmo-not-osmo",
        "osmo login URL",
        UNKNOWN,
    ),
    (2, print_failure('{"detail":"Not Found"}', 404), "client-version", "osmo version"),
    (2, "Error message: Workflow nope-1 is not found.\nError code: 400", "run-gone", "nope-1", UNKNOWN),
    (2, "Error message: NoCredentialsError: Unable to locate credentials\n", "osmo-storage-signed-out", "az login"),
    (2, "Error message: AuthorizationPermissionMismatch: not auth…", "osmo-storage-forbidden", "Contributor"),
    (3, "", "osmo-interrupted", "interrupted", UNKNOWN),
    (-9, "", "client-failed", "signal 9", UNKNOWN),
    (1, print_failure("a rule that nobody foresaw"), "client-failed", "a rule that nobody foresaw"),
    (1, print_failure("no access with hf_abcdefghijklmnopqrstuvwx here"), "client-failed", "no access with"),
    (2, print_failure("another rule", 409), "client-failed", "another rule", UNKNOWN),
    (2, print_failure("Error: server closed the connection unexpectedly", 400), "client-failed", "closed", UNKNOWN),
    (
        10,
        print_server_error(500, '{"message": "Internal server error: 1 validation error for SubmitResponse"}'),
        "platform-busy",
        "SubmitResponse",
        UNKNOWN,
    ),
    (2, print_failure("boom\nTraceback (most recent call last):\nKeyError: 'a'", 1), "client-failed", "boom", UNKNOWN),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[2]}-{row[0]}" for row in ROWS])
def test_output_of_osmo_becomes_a_problem_with_cause_and_suggestion(row):
    exit_code, output, code, words, *unknown = row
    refusal = failures.diagnose_failure(
        ProcessResult(exit_code, output, VERSIONS + SERVER_SAID), ("workflow", "submit")
    )
    assert refusal is not None
    assert (refusal.to_problem().code, refusal.certain) == (code, not unknown)
    text = format_problem(refusal.to_problem())
    assert words in text
    assert "hf_abc" not in text
    assert "pydantic" not in text
    assert "Header" not in text
    assert "{1}" not in text


def test_question_without_time_names_the_variable(tmp_path):
    command = tmp_path / "osmo"
    command.write_text("#!/bin/sh\nexec sleep 30\n")
    command.chmod(0o755)
    with pytest.raises(failures.CommandFailed) as raised:
        call_with_deadline(lambda: service.query_text(str(command), "workflow", "list"), 0.2)
    assert "ROBOTRAIN_NETWORK_SECONDS=3" in [way.text for way in raised.value.problems[0].suggestions]
    with pytest.raises(failures.CommandFailed) as raised:
        service.query_text(str(command), "workflow", "list", seconds=0.2)
    assert "ROBOTRAIN" not in str([way.text for way in raised.value.problems[0].suggestions])


def test_exit_code_0_is_success_whatever_is_printed():
    assert failures.diagnose_failure(ProcessResult(0, print_failure("Must login first"), "")) is None


USAGE = "usage: osmo workflow list [-h]\nosmo workflow list: error: unrecognized arguments: --offset 3\n"


@pytest.mark.parametrize(
    ("result", "code", "certain", "reason"),
    [
        (ProcessResult(2, "", USAGE), "client-version", True, "unrecognized arguments: --offset 3"),
        (ProcessResult(-15, "", "", timed_out=True), "platform-away", False, "The command was killed."),
    ],
)
def test_usage_error_and_timeout_have_codes_of_their_own(result, code, certain, reason):
    refusal = failures.diagnose_failure(result)
    assert refusal is not None
    assert (refusal.code, refusal.certain) == (code, certain)
    assert reason in refusal.why


@pytest.mark.parametrize(
    ("answer", "passing"),
    [
        (ProcessResult(exit_code=1, stdout="", stderr="Must login first\n"), False),
        (ProcessResult(exit_code=1, stdout="", stderr="RBAC: access denied\n"), False),
        (ProcessResult(exit_code=1, stdout="", stderr=REFUSED_CONNECTION), True),
        (ProcessResult(exit_code=1, stdout=print_failure("Internal Server Error", 503), stderr=""), True),
        (ProcessResult(exit_code=1, stdout="", stderr="words that nobody foresaw\n"), True),
    ],
)
def test_only_failures_that_may_pass_are_transient(answer, passing):
    assert failures.CommandFailed(failures.diagnose_failure(answer)).transient is passing


def test_missing_command_names_its_option(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Rejected) as raised:
        service.query_json("osmo", "version")
    [problem] = raised.value.problems
    assert (problem.code, problem.where) == ("submit-command-missing", "--osmo-cli")
    assert "PATH" in problem.why


def test_rate_limited_query_is_repeated(tmp_path):
    program, calls = tmp_path / "osmo", tmp_path / "calls"
    program.write_text(f"#!/bin/sh\necho x >> {calls}; test $(wc -l < {calls}) -gt 1 && echo '{{}}' || exit 75\n")
    program.chmod(0o755)
    assert service.query_json(str(program), "pool", "list") == {}
    assert calls.read_text() == "x\nx\n"
