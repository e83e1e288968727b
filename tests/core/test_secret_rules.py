"""What counts as a secret: shapes of tokens, and names whose values are secrets; what looks similar does not."""

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from robotrain.redaction import HIDDEN, redact, redact_sentence
from robotrain_runtime.contract import gitleaks_shapes, secret_rules

WORD = "Zq7Xk2Vw9Rt4Lm8N"
NAMED = (
    f"export HF_TOKEN={WORD}",
    "HF_TOKEN=hunter",
    f"HF_TOKEN: {WORD}",
    f"--hf-token={WORD}",
    "pwd:hunter2",
    "pwd: hunter2",
    "the password: hunter2",
    "db_password=abc",
    "client_secret=abc",
    "token=abc",
    '{"token":"abc"}',
    "access_token=abc",
    "api_key=x1",
    f"api_key=/{WORD}/{WORD}",
    f"the_token={WORD}",
    f"credentials: {WORD}",
    "curl -u me:hunter2 https://host.example",
    "--user=me:hunter2",
    "---u me:hunter2",
    "–u me:hunter2",
    "curl --proxy-user me:hunter2",
)
HARMLESS = (
    "--policy.language_token=task",
    "--policy.action_token=VQ",
    "--policy.pad_token=abcdefgh12",
    "--policy.use_token=true",
    "--max_token=128",
    "monkey_token: banana",
    "xoxo-hugs-and-kisses",
    "eyJoke-2026-11-22",
    "--token=$HF_TOKEN",
    "--password=",
    "HF_TOKEN=TOKEN",
    "--payload-file hf_token=/path/to/file",
    "--hf-credential=hf",
    "The token: see https://host.example/docs",
    "the secret: it is read by the job",
    "azureml:api-key:3",
    "docker run -u 1000:1000",
    "-u $(id -u):$(id -g)",
    "python -u train.py",
    "facebook/dinov2@0123456789abcdef0123456789abcdef01234567",
    f"image@sha256:{'4b1d' * 16}",
)


def test_a_secret_is_known_by_the_name_before_it_and_hidden():
    for text in NAMED:
        assert secret_rules.value_holds_secret(text), text
        for shown in (redact(f"see {text}"), redact_sentence(f"see {text}")):
            assert shown.endswith(HIDDEN), text
            assert not re.search(f"hunter|{WORD}|abc|x1", shown)


@pytest.mark.parametrize("query", ["sig=", "Signature=", "X-Goog-Date=1&X-Goog-Signature=", "x=1&X-Amz-Signature="])
def test_an_address_with_a_signature_is_a_secret(query):
    assert secret_rules.holds_secret(f"https://storage.example/b/c?{query}abc")
    assert not secret_rules.holds_secret(f"https://storage.example/b/c?no{query.replace('=', '-')}abc")


def test_what_only_looks_like_a_secret_is_shown():
    for text in HARMLESS:
        assert not secret_rules.value_holds_secret(text), text
        assert redact_sentence(text) == text


@pytest.mark.parametrize(
    ("words", "secrets"),
    [
        (["--api-key", "abc"], [1]),
        (["-u", "me:hunter2"], [1]),
        (["-u", "1000:1000"], []),
        (["--policy.action_token", "VQ"], []),
        (["--name=../../etc/passwd", "<a href='x'>"], []),
        (["--a", "b", f"--hub_token={WORD}"], [2]),
    ],
)
def test_an_argument_is_a_secret_by_the_option_before_it(words, secrets):
    assert secret_rules.find_secret_arguments(words) == secrets


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        ("huggingface_token_of_the_manipulation_team_2026", False),
        ("the-long-name-of-a-credential-of-the-robotics-team-2026", False),
        ("hf_token:key", False),
        ("0a1b2c3d" * 5, True),
        ("hf_" + "aB1c" * 8, True),
        ("aB1/" * 21 + "ab==", True),
        ("aB1c" * 9, True),
    ],
)
def test_the_name_of_a_secret_is_no_secret(text, is_secret):
    assert secret_rules.looks_like_secret(text) is is_secret


def test_a_shape_of_gitleaks_is_found_by_its_words_and_hidden():
    for markers, pattern in gitleaks_shapes.SHAPES:
        check_shape(markers, pattern)


def check_shape(markers, pattern):
    @settings(max_examples=1, suppress_health_check=list(HealthCheck), database=None, deadline=None)
    @given(st.from_regex(re.compile(re.sub(r"\(\?![^)]*\)", "", pattern), re.ASCII), fullmatch=True))
    def check(token):
        assert any(marker in token.lower() for marker in markers)
        assert secret_rules.holds_secret(f"see {token}, which")
        assert token not in redact(f"see {token}, which", max_length=5000)

    check()


PIECES = ("a.", "token", "password:", "-u a", "eyJ", "authorization ", "bearer ", "a:/@", "sk-", "hf_", "xapp-1-A-1-")


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_text_is_searched_in_linear_time(piece):
    started = time.process_time()
    secret_rules.value_holds_secret(piece * (100_000 // len(piece)) + "=")
    assert time.process_time() - started < 1


def test_no_pattern_of_gitleaks_is_compiled_for_an_ordinary_sentence(monkeypatch):
    compiled = []
    monkeypatch.setattr(re, "compile", lambda pattern, flags=0: compiled.append(pattern))
    for text in ("the dataset lerobot/pusht has no feature `action`", "/data/pusht/episodes/day-1", "x" * 1000):
        assert not secret_rules.list_possible_shapes(text)
    assert not compiled
