"""What looks like a secret in a folder of code: refused before anything is sent, unless it is meant."""

import json

import pytest
from robotrain.store.secret_files import has_secret_name, holds_secret

SECRET_NAMES = """
hf_token netrc credentials.csv id_ed25519_github terraform.tfstate terraform.tfstate.backup prod.tfvars id_rsa key.pem
aws_credentials my-credentials.json api_key.txt wandb_key GITHUB_TOKEN token secrets.yaml db_password.txt .env.env
service-account-1.json client_secret_7.json access-tokens.json ngc-api.key npmrc pypirc HF_TOKEN.txt
"""
OTHER_NAMES = """
id_rsa.pub added_tokens.json special_tokens_map.json tokenizer.json tokenizer_config.json train.py keyboard.py
token_bucket.py secret_rules.py README.md key keys.json monkey.txt passwords.py hub.py password_reset.html
"""
HUB_TOKEN = "hf_" + "aB1cD2eF3gH4" * 3
TEXTS = {
    "settings.py": f'HF_TOKEN = "{HUB_TOKEN}"\n',
    "deploy_file": "-----BEGIN OPENSSH PRIVATE KEY-----\nabcdefgh\n",
    "notes.md": f"curl https://discord.com/api/webhooks/123456789012345678/{'aB1c' * 17}",
    "data.yaml": "url: https://a.blob.core.windows.net/box?sv=1&sig=" + "aB1%2F" * 8,
}
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"
NAMED_SECRETS = [
    ("conf.yaml", f"wandb_api_key: {KEY}"),
    ("conf.yaml", "db:\n  password: 'hunter2x'"),
    ("train.py", f'os.environ["WANDB_API_KEY"]="{KEY}"'),
    ("train.py", f'os.environ.setdefault("WANDB_API_KEY", "{KEY}")'),
    ("train.py", f'wandb.login(key="{KEY}")'),
    ("train.py", 'def connect(password: str = "hunter2x"): ...'),
    ("train.py", f'parser.add_argument("--api-key", type=str, default="{KEY}")'),
    ("train.ipynb", json.dumps([f'wandb.login(key="{KEY}")\n'])),
    ("run.sh", "export AWS_SECRET_ACCESS_KEY=wJ4lrXUtnFEM1/K7MDENG/bPxRf1CYq9TzKwEpLm"),
    ("run.sh", f"WANDB_API_KEY={KEY} python train.py"),
    ("run.sh", f"wandb login {KEY}"),
    ("Dockerfile", f"ENV WANDB_API_KEY {KEY}"),
    ("robot.launch", f'<env name="WANDB_API_KEY" value="{KEY}"/>'),
    ("conf.json", '{"password": "hunter2x"}'),
    ("notes.txt", "--index-url https://user:hunter2x@pypi.lab.example/simple"),
]
NO_SECRETS = [
    ("train.py", "token = args.hf_token"),
    ("train.py", 'password = os.environ["PW"]'),
    ("train.py", "password: str\ndef login(token: Optional[str] = None, password: SecretStr2048): ..."),
    ("train.py", 'token = get_token_v2abcdefgh()\nif password == "hunter2x": ...'),
    ("train.py", 'password = ""\napi_key = "YOUR_API_KEY"\ntoken = "hf_..."\nsecret = "<your key>"'),
    ("train.py", 'pad_token = "<pad>"\nload(token="charturnerv2", key="observation.images.top")'),
    ("train.py", 'url = f"https://{user}:{password}@host"'),
    ("train.py", 'login("https://huggingface.co/team1234567")'),
    ("run", "#!/usr/bin/env python\napi_key = config.key1234567a"),
    ("run.sh", "export WANDB_API_KEY=$KEY1234567 PASSWORD=$(cat ~/pw1234567) TOKEN=`a1234567`"),
    ("conf.yaml", "password:\napi_key: ''\nmax_token: 1234567890\ndb_password: ${PASSWORD1}\ntoken: null"),
    ("conf.yaml", "api_key: /run/secrets/wandb_key1234567\npassword: changeme123"),
    ("README.md", "the token: see section 1234567 of the manual; password: required"),
]
PLAIN_TEXTS = {
    "settings.py": 'HF_TOKEN = os.environ["HF_TOKEN"]  # hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n',
    "client.py": 'headers = {"Authorization": f"Bearer {token}"}\nurl = "https://user:password@host/"\n',
    "notebook.ipynb": json.dumps({"image/png": "eyJhbGciOiJIUzI1NiJ9" * 40, "html": "sk-toggleable__content_of_all"}),
    "weights.bin": TEXTS["settings.py"],
}


@pytest.mark.parametrize(("names", "expected"), [(SECRET_NAMES, True), (OTHER_NAMES, False)])
def test_names_of_secrets(names, expected):
    assert [name for name in names.split() if has_secret_name(name) is not expected] == []


@pytest.mark.parametrize(("texts", "expected"), [(TEXTS, True), (PLAIN_TEXTS, False)], ids=["tokens", "none"])
def test_tokens_in_files(texts, expected, tmp_path):
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert (name, holds_secret(str(tmp_path / name), len(text))) == (name, expected)


@pytest.mark.parametrize(("texts", "expected"), [(NAMED_SECRETS, True), (NO_SECRETS, False)], ids=["literal", "none"])
def test_only_a_literal_is_a_named_secret(texts, expected, tmp_path):
    for name, text in texts:
        (tmp_path / name).write_text(text)
        assert (text, holds_secret(str(tmp_path / name), len(text))) == (text, expected)


def test_a_file_that_looks_like_a_secret_is_refused_with_what_keeps_it_here_and_what_sends_it(robotrain, tmp_path):
    (tmp_path / "code/lib").mkdir(parents=True)
    (tmp_path / "code/train.py").write_text("print(1)\n")
    (tmp_path / "code/hf_token").write_text("not a real one")
    (tmp_path / "code/lib/settings.py").write_text(TEXTS["settings.py"])
    words = ("render", "command", "--platform", "local", "--code", tmp_path / "code", "--no-install")
    program = ("--", "python", "train.py")
    refused = robotrain(*words, "--json", *program)
    [problem] = refused.json["problems"]
    assert (refused.exit_code, problem["code"]) == (2, "upload-secret")
    assert "hf_token, lib/settings.py" in refused.stderr
    assert HUB_TOKEN not in refused.stderr
    assert "--allow-secret-file hf_token --allow-secret-file lib/settings.py" in refused.stderr
    (tmp_path / "code/.robotrainignore").write_text("/hf_token\n")
    allowed = robotrain(*words, "--allow-secret-file", "lib/settings.py", *program)
    assert allowed.exit_code == 0, allowed.stderr
