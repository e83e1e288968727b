"""Reads a secret where somebody says that it lies. What it holds is never repeated."""

from robotrain_sources.credential import asking_vault, vault
from robotrain_sources.fetching.answer import Refused

LONGEST = 64 * 1024


def read(named: str, should: str) -> str:
    """Its text, without the white space around it. named: a file, or the address of a secret in a key vault.

    should: what it should hold, for the sentence of an empty one. Raises Refused, with the secret's name.
    """
    text = (_of_vault(named) if vault.is_address(named) else _of_file(named, should)).strip()
    if not text:
        raise Refused(f"{_what(named)} is empty: it should hold {should}", "configuration")
    return text


def wrong(named: str, should: str) -> Refused:
    """For one that holds something else."""
    return Refused(f"{_what(named)} holds something else than {should}", "configuration")


def called(named: str) -> str:
    """Where it lies, as the end of a sentence: the token in …"""
    found = vault.of(named)
    return str(found) if found else named


def _what(named: str) -> str:
    return called(named) if vault.is_address(named) else f"the credential file {named}"


def _of_vault(named: str) -> str:
    if found := vault.of(named):
        return asking_vault.value(found)
    raise Refused(f"a secret that the job names is none of a key vault: it should read {vault.FORM}", "configuration")


def _of_file(file: str, should: str) -> str:
    try:
        with open(file, encoding="utf-8") as content:
            return content.read(LONGEST)
    except OSError as error:
        raise Refused(f"the credential file {file} cannot be read: {error.strerror}", "configuration") from None
    except ValueError:  # no text at all
        raise wrong(file, should) from None
