"""No secret that a user gives by mistake is kept or printed: shapes of secrets, in every place that takes text."""

import re
from pathlib import Path

import pytest
import yaml
from robotrain.redaction import redact
from robotrain.store import files
from robotrain_runtime.contract import secret_rules

WORD = "Zq7Xk2Vw9Rt4Lm8N"
"""A part of every secret: where it stands, the secret leaked."""
LOWER, HEX = WORD.lower(), "5ecde7a1b2c3d4e5f6a7b8c9d0e1f2a3"
SHAPES = {
    "password=": f"password={WORD}",
    "api key": f"wandb.api_key={WORD}",
    "api key, quoted": f'{{"api_key": "{WORD}"}}',
    "client secret=": f"client_secret={WORD}",
    "access token": f"access-token: {WORD}",
    "pwd": f"Server=db;Pwd={WORD}",
    "bearer": f"Authorization: Bearer {WORD}",
    "basic": f"Authorization: Basic {WORD}==",
    "user and password": f"https://user:{WORD}@host.example/x",
    "one-part userinfo": f"https://{WORD}@host.example/x",
    "SAS": f"https://acc.blob.core.windows.net/box/one?sv=2024-01-01&sig={WORD}",
    "signature": f"sig={WORD}{WORD}{WORD}%3D",
    "login": f'python -c wandb.login(key="{WORD}")',
    "connection string": f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={WORD}==",
    "storage key": (WORD * 6)[:86] + "==",
    "JWT": f"eyJhbGciOiJI{WORD}.eyJzdWIi{WORD}.{WORD}",
    "PEM": f"-----BEGIN RSA PRIVATE KEY-----\n{WORD}\n-----END RSA PRIVATE KEY-----",
    "Hugging Face": f"hf_{WORD}{WORD}",
    "GitHub": f"ghp_{WORD}{WORD}ab",
    "GitHub, fine-grained": f"github_pat_{WORD}_{WORD}",
    "GitLab": f"glpat-{WORD}{WORD}",
    "Slack": f"xoxb-123456789012-{WORD}",
    "Google": f"AIza{WORD}{WORD}abc",
    "NGC": f"nvapi-{WORD}{WORD}",
    "npm": f"npm_{WORD}{WORD}abcd",
    "Databricks": f"dapi{HEX}",
    "Azure client secret": f"abc8Q~{WORD}{WORD}ab",
    "OpenAI": f"sk-proj-{WORD}{WORD}",
    "W&B": f"wandb_v1_{WORD}{WORD}",
    "AWS": "AKIAZQ7XK2VW9RT4LM8N",
    "export": f"export HF_TOKEN={WORD}",
    "pwd:": f"pwd:{WORD}",
    "user of curl": f"curl -u user:{WORD}",
    "Slack webhook": f"https://hooks.slack.com/services/T0123ABCD/B0123ABCD/{WORD}{WORD}",
    "SendGrid": f"SG.{WORD}abcdef.{WORD}{WORD}abcdefghijk",
    "Groq": f"gsk_{WORD}{WORD}{WORD}abcd",
    "xAI": f"xai-{WORD * 5}",
    "Vault": f"hvs.{WORD * 6}",
    "Doppler": f"dp.pt.{WORD}{WORD}abcdefghijk",
    "Grafana": f"glsa_{WORD}{WORD}_0a1b2c3d",
    "DigitalOcean": f"dop_v1_{HEX}{HEX}",
    "Hugging Face organization": f"api_org_{WORD}{WORD}ab",
    "Databricks OAuth": f"dose{HEX}",
}
TEXTS = (
    *("--job-name", "--experiment-name", "--register-checkpoint", "--dataset-id", "--lerobot-version"),
    *("--output-dir", "--publish-url"),
)
SETTINGS = {
    "local": ("--tracking-uri", "--python"),
    "osmo": (
        *("--tracking-uri", "--pool", "--gpu-platform", "--image", "--labels", "--buckets", "--storage-account"),
        *("--workspace-name", "--work-dir", "--hf-credential", "--blob-credential"),
    ),
    "azureml": (
        "--compute",
        "--image",
        "--environment",
        "--workspace-name",
        "--resource-group",
        "--datastore",
        "--labels",
    ),
}
SOURCES = ("--blob-url", "--dataset-asset", "--dataset-repo-id", "--dataset-path", "--policy-model", "--resume-from")
PLACES = [(platform, flag) for platform, flags in SETTINGS.items() for flag in (*TEXTS, *flags, *SOURCES)]


def assert_kept_nowhere(secret: str, answer, *folders: Path) -> None:
    canaries = [canary for canary in (WORD, LOWER, HEX, "AKIAZQ7X") if canary in secret or canary == LOWER]
    for text in (answer.stdout, answer.stderr, *(path.read_text(errors="replace") for path in walk(*folders))):
        for canary in canaries:
            assert canary not in text, secret


def walk(*folders: Path):
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def check_place(robotrain, platform: str, flag: str, secret: str) -> None:
    answer = robotrain("submit", "lerobot-train", "--platform", platform, "-d", "lerobot/pusht", flag, secret)
    assert answer.exit_code == 2, (flag, secret, answer.stderr)
    assert_kept_nowhere(secret, answer, files.get_state_folder())
    answer = robotrain(
        "explain", "lerobot-train", "--platform", platform, "-d", "lerobot/pusht", flag, secret, "--json"
    )
    assert_kept_nowhere(secret, answer, files.get_state_folder())


def test_each_shape_is_known_and_hidden():
    for shape, secret in SHAPES.items():
        assert secret_rules.value_holds_secret(secret), shape
        assert not {WORD, LOWER, HEX} & {*re.findall(f"{WORD}|{LOWER}|{HEX}", redact(f"see {secret}"))}, shape


@pytest.mark.parametrize("shape", [*SHAPES][::5])
def test_a_shape_is_refused_in_some_place(robotrain, shape):
    platform, flag = PLACES[list(SHAPES).index(shape) % len(PLACES)]
    check_place(robotrain, platform, flag, SHAPES[shape])


@pytest.mark.slow
@pytest.mark.parametrize(("platform", "flag"), PLACES)
def test_every_place_refuses_a_third_of_the_shapes(robotrain, platform, flag):
    """A URL with a secret is among each third."""
    for secret in list(SHAPES.values())[PLACES.index((platform, flag)) % 3 :: 3]:
        check_place(robotrain, platform, flag, secret)


@pytest.mark.slow
@pytest.mark.parametrize("platform", SETTINGS)
@pytest.mark.parametrize("name", ["API_TOKEN=", ""])
def test_a_secret_in_place_of_its_reference_is_refused(robotrain, platform, name):
    for secret in SHAPES.values():
        check_place(robotrain, platform, "--secret", f"{name}{secret}")


def test_no_trainer_argument_holds_a_secret(robotrain):
    secrets = list(SHAPES.values())
    for arguments in (secrets, [f"--note={secret}" for secret in secrets]):
        for part in (arguments[at : at + 20] for at in range(0, len(arguments), 20)):  # 50 problems are printed
            answer = robotrain("submit", "lerobot-train", "--platform", "local", "-d", "x/y", "--", *part)
            assert (answer.exit_code, answer.stderr.count("[secret-in-job]")) == (2, len(part)), answer.stderr
            for secret in secrets:
                assert_kept_nowhere(secret, answer, files.get_state_folder())


LINES = (
    ("submit", "lerobot-train", "--platform", "local", "-d", "x/y", "--note", "{}"),
    ("submit", "lerobot-train", "--platform", "local", "-d", "x/y", "--name", "{}"),
    ("submit", "lerobot-train", "--platform", "local", "--dataset-path", "{}"),
    ("submit", "lerobot-train", "--platform", "local", "-d", "x/y", "--job-file", "{}"),
    ("submit", "{}"),
    ("rename", "train-1", "{}"),
    ("rename", "train-1", "--note", "{}"),
    ("runs", "{}"),
    ("status", "{}"),
    ("report", "{}"),
    ("init", "--example", "{}"),
    ("from-lerobot", "--", "lerobot-train", "--job_name={}", "--dataset.repo_id=x/y", "--policy.type=act"),
    ("publish", "train-1", "hf://o/n@{}"),
    ("publish", "train-1", "hf://o {}/n"),
    ("publish", "train-1", "hf://o/n {}"),
    ("publish", "train-1", "https://huggingface.co/o/n/tree/{}"),
    ("{}",),
)


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_no_secret_is_kept_or_repeated_whatever_takes_the_text(robotrain, scripted, line):
    scripted.run("train-1", state="succeeded", started=1e9, ended=1e9 + 60)
    name = ("export", "Hugging Face", "user of curl")[LINES.index(line) % 3]
    answer = robotrain(*(word.format(SHAPES[name]) for word in line))
    assert_kept_nowhere(SHAPES[name], answer, files.get_state_folder())


@pytest.mark.parametrize(
    ("command", "form"),
    [
        ("submit", f"--hf-token={WORD}"),
        ("explain", f"--hf-token {WORD}"),
        ("train", f"--hub_token {WORD}"),
        ("sweep", f"--password {WORD}"),
        ("pipeline", f"--hf-token {WORD}"),
    ],
)
def test_the_value_of_an_unknown_option_that_names_a_secret_is_not_repeated(robotrain, command, form):
    answer = robotrain(command, *form.split(" "), "--platform", "local", "-d", "x/y")
    assert answer.exit_code == 2
    assert_kept_nowhere(WORD, answer)


ON_LOCAL = ("submit", "--platform", "local", "-d", "lab/cups")
REFUSED = (
    ("submit", "--platform", "osmo", "--blob-url", f"https://acc.blob.core.windows.net/box/p#{WORD}"),
    ("submit", "--platform", "local", "-d", f"https://hf_{WORD}abcdefgh@huggingface.co/datasets/u/d"),
    ("submit", "--platform", "azureml", "--dataset-asset", f"azureml:a:1?token={WORD}"),
    (*ON_LOCAL, "--batch-size", f"https://h/x?sig={WORD}"),
    (*ON_LOCAL, f"https://h/x?sig={WORD}"),
    (*ON_LOCAL, f"batch_size=hf_{WORD}{WORD}"),
    (*ON_LOCAL, "--job-name", f"--https://u:{WORD}@h/x"),
    (*ON_LOCAL, "--tracking-uri", f"https://h/x#{WORD}"),
    (*ON_LOCAL, "--set", f"hf_{WORD}{WORD}"),
    (*ON_LOCAL, "--set", f"hf_{WORD}{WORD}=1"),
    (*ON_LOCAL, "--set", f"job_name=hf_{WORD}{WORD}"),
    (*ON_LOCAL, "--set", f"https://u:{WORD}@h/x=1"),
    (*ON_LOCAL, "--set", f"sources.dataset.blob_url=https://h/c?sig={WORD}"),
    (*ON_LOCAL, "--", f"--policy.type=https://h/x?sig={WORD}"),
    (*ON_LOCAL, "--", "--policy.repo_id", f"https://u:{WORD}@h/x"),
    ("submit", f"hf_{WORD}{WORD}.yaml"),
    ("platforms", f"hf_{WORD}{WORD}"),
    ("status", f"hf_{WORD}{WORD}"),
    (*ON_LOCAL, f"---u user:{WORD}"),
    (*ON_LOCAL, "---u", f"user:{WORD}"),
    (*ON_LOCAL, f"–u user:{WORD}"),
)


@pytest.mark.parametrize("line", REFUSED, ids=" ".join)
def test_a_line_with_a_secret_in_an_odd_place_is_refused_without_it(robotrain, line):
    has_json = "--" not in line and REFUSED.index(line) % 2
    answer = robotrain(*line, *["--json"] * has_json)
    assert answer.exit_code == 2
    assert_kept_nowhere(WORD, answer, files.get_state_folder())


NAMES = ("--password", "--wandb.api_key", "--hub_token", "--client-secret", "--db.passwd", "--credentials")


def test_a_trainer_argument_whose_name_says_secret_is_refused(robotrain):
    forms = [(name, "{}={}" if at % 2 else "{} {}") for at, name in enumerate(NAMES)]
    arguments = [word for name, form in forms for word in form.format(name, WORD).split(" ")]
    answer = robotrain("submit", "lerobot-train", "--platform", "local", "-d", "x/y", "--", *arguments)
    answer.check(2, "secret-in-job", *(form.format(name, "<redacted>") for name, form in forms))
    assert_kept_nowhere(WORD, answer, files.get_state_folder())


@pytest.mark.parametrize(
    ("words", "form"),
    [
        (("--", "--api_key", "NAME"), ("--api_key", WORD)),
        (("--set", 'trainer_args=["--steps=3"]'), (f"--api_key={WORD}",)),
    ],
)
def test_a_secret_of_the_job_file_is_refused_also_where_another_value_replaces_it(robotrain, words, form):
    job = {"sources": {"dataset": [{"huggingface": "x/y"}]}, "trainer_args": [*form]}
    Path("job.yaml").write_text(yaml.safe_dump(job))
    for command in ("submit", "explain"):
        answer = robotrain(command, "job.yaml", "--platform", "local", "--json", *words)
        assert (answer.exit_code, "secret-in-job" in answer.stdout + answer.stderr) == (2, True)
        assert_kept_nowhere(WORD, answer, files.get_state_folder())


def test_a_harmless_trainer_argument_passes(robotrain):
    arguments = (
        "--policy.pad_token=abcdefgh12",
        "--token=$HF_TOKEN",
        "--token=$(cat ~/.hf_token)",
        "--password=",
        "--policy.use_token=true",
        "--max_token=128",
        "--dataset.image_key=observation.image",
        "--policy.tokenizer_name=google/paligemma-3b",
    )
    answer = robotrain("explain", "lerobot-train", "--platform", "local", "-d", "x/y", "--", *arguments)
    assert "secret-in-job" not in answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_no_secret_of_a_file_or_the_environment_is_kept(robotrain, shape, monkeypatch):
    secret, here = SHAPES[shape], Path.cwd()
    job = {"workload": "lerobot-train", "sources": {"dataset": [{"huggingface": "x/y"}]}}
    job["parameters"] = {"job_name": secret}
    (here / "job.yaml").write_text(yaml.safe_dump(job))
    (here / "robotrain.toml").write_text(
        f"[workloads.lerobot-train]\nexperiment_name = {secret!r}\n".replace("\\n", " ")
    )
    monkeypatch.setenv("REGISTER_CHECKPOINT", secret)
    for command in ("submit", "explain", "render"):
        answer = robotrain(command, "job.yaml", "--platform", "local")
        assert answer.exit_code == 2, answer.stderr
        assert_kept_nowhere(secret, answer, files.get_state_folder())
    answer = robotrain("submit", "job.yaml", "--platform", "local", "--set", f"seed={secret}")
    assert_kept_nowhere(secret, answer, files.get_state_folder())


@pytest.mark.parametrize("flag", ["--experiment-name", "--save-as"])
def test_control_characters_and_long_texts_are_not_printed(robotrain, flag):
    for text in ("a\u009bb\x7fc", "x" * 200_000):
        for more in ((), ("--json",)):
            answer = robotrain("submit", "lerobot-train", "--platform", "azureml", "-d", "x/y", flag, text, *more)
            assert not {"\u009b", "\x7f"} & set(answer.stderr + answer.stdout)
            assert len(answer.stderr + answer.stdout) < 20_000
