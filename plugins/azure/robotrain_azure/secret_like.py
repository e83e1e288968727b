"""Texts that look like a secret itself, where the name of one was asked for."""

import re

_TOKEN = (
    r"(?i)hf_[a-z0-9]{16,}|[a-z0-9+/]{80,}={0,2}|eyj[\w.-]{8,}"
    r"|wandb_v\d_\w{16,}|\w{40,}|(?<![a-z0-9])[a-f0-9]{32,}(?![a-z0-9])"
)
"""What tokens look like. Older keys of Weights & Biases, and those of storage, have nothing of their own but length."""


def looks_secret(text: str) -> bool:
    """Whether it should not be repeated, nor sent anywhere."""
    return bool(re.search(_TOKEN, text))
