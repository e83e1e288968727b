"""Who is signed in: a file of the user's own, `login.yaml` in the command's folder of settings."""

import base64
import json
import os
import time
from pathlib import Path

from osmo_stand_in.cli.errors import OsmoError, ServerError
from osmo_stand_in.config import URL

FILE = "login.yaml"
WHY = '{"error":"invalid_grant","error_description":"Token is not active"}'


def folder() -> Path:
    """Where the command keeps its settings."""
    return Path(os.environ["OSMO_CONFIG_FILE_DIR"])


def sign_in(folder: Path, user: str, seconds: float = 86400.0) -> None:
    """Keep a token that holds for so long."""
    claims = json.dumps({"name": user, "exp": time.time() + seconds}).encode()
    keep(folder, f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln")


def keep(folder: Path, token: str) -> None:
    """Keep a token. JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    login = {"id_token": token, "refresh_token": "refresh", "refresh_url": f"{URL}/api/auth/jwt/access_token"}
    file.write_text(json.dumps({"name": "", "url": URL, "osmo_token": True, "token_login": login, "dev_login": None}))
    file.chmod(0o600)


def sign_out(folder: Path) -> None:
    """Forget it."""
    (folder / FILE).unlink(missing_ok=True)


def check() -> None:
    """Someone is signed in. Raises OsmoError; ValueError when the file is damaged, as the command does not expect."""
    try:
        login = json.loads((folder() / FILE).read_text())
    except FileNotFoundError:
        raise OsmoError('Must login first with "login" command') from None
    _, payload, _ = login["token_login"]["id_token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    if claims["exp"] - 3 < time.time():
        raise ServerError(f'Unable to refresh login token (status code 400): {WHY}\nPlease re-login with "osmo login"')
