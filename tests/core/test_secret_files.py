"""What looks like a secret in a folder of code: refused before anything is sent, unless it is meant."""

import json

import pytest
from robotrain.store.secret_files import has_secret_name, holds_token

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
    "data.yaml": "url: https://a.blob.core.windows.net/c?sv=1&sig=" + "aB1%2F" * 8,
}
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
        assert (name, holds_token(str(tmp_path / name), len(text))) == (name, expected)


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
