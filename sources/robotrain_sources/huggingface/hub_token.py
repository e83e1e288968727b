"""The token that the Hub is shown, and where it comes from."""

import importlib
import re
from dataclasses import dataclass, field

from robotrain_sources.credential import reading

FORM = "a token of the Hub (hf_…), and nothing else"


@dataclass(frozen=True, slots=True)
class Token:
    """text: in no printed form of this; empty for none. what: as a sentence names it; empty for none."""

    text: str = field(default="", repr=False)
    what: str = ""


def of(credential: str) -> Token:
    """That of the file or the secret `credential`, else the one of this machine. Raises Refused."""
    if credential:
        text = reading.read(credential, FORM)
        if not re.fullmatch(r"[!-~]{8,4096}", text):
            raise reading.wrong(credential, FORM)
        return Token(text, f"the token in {reading.called(credential)}")
    text = importlib.import_module("huggingface_hub").get_token() or ""
    return Token(text, "your token (HF_TOKEN)" if text else "")
