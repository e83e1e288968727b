"""The address of a secret in a key vault of Azure, in any of its clouds. Standard library only."""

import re
from dataclasses import dataclass

FORM = "https://VAULT.vault.azure.net/secrets/NAME"
SUFFIXES = ("vault.azure.net", "vault.usgovcloudapi.net", "vault.azure.cn")
_VAULT, _NAME, _VERSION = r"[a-z][a-z0-9-]{1,22}[a-z0-9]", r"[0-9A-Za-z-]{1,127}", r"[0-9A-Za-z]{32}"
_ADDRESS = rf"https://({_VAULT})\.({'|'.join(map(re.escape, SUFFIXES))})/secrets/({_NAME})(?:/({_VERSION}))?/?"


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret. suffix: of the vault's host. version: empty for the newest."""

    vault: str
    suffix: str
    name: str
    version: str = ""

    def __str__(self) -> str:
        which = f"version {self.version} of the secret" if self.version else "the secret"
        return f"{which} {self.name} of the key vault {self.vault}"

    @property
    def host(self) -> str:
        """Who is asked for it."""
        return f"{self.vault}.{self.suffix}"

    @property
    def address(self) -> str:
        """Where it is asked for."""
        return f"https://{self.host}/secrets/{self.name}" + (f"/{self.version}" if self.version else "")

    @property
    def scope(self) -> str:
        """What a token has to be for."""
        return f"https://{self.suffix}/.default"


def is_address(text: str) -> bool:
    """Whether it is an address, and no file."""
    return "://" in text


def of(text: str) -> Secret | None:
    """The secret that an address names; None for anything else. The host's case does not count."""
    found = re.fullmatch(_ADDRESS, re.sub(r"^[^/]*//[^/]*", lambda host: host[0].lower(), text))
    return Secret(found[1], found[2], found[3], found[4] or "") if found else None
