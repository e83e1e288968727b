"""A blob URL: the typed reference and its parser.

Suggestions are always the printed form of a parsed text, so they contain no query and no password. Standard library
only: container plugins import it.
"""

import re
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NoReturn
from urllib.parse import unquote

from robotrain_runtime.contract.failure import SourceError, suggest_normal_form

HOST = ".blob.core.windows.net"
FORM = f"https://ACCOUNT{HOST}/CONTAINER/PREFIX"
MAX_NAME_LENGTH = 1024

_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]*)://"
_HADOOP = r"(?i)(?:wasbs?|abfss?)://([^@/?#]+)@([^/?#]+)([^?#]*)"
_ACCOUNT = r"[a-z0-9]{3,24}"
_CONTAINER = r"\$(?:root|web|logs)|(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*"
_ENCODED = r"%[0-9A-Fa-f]{2}"
_EDGE = r"[/\s]+$"
_SIGNATURE = r"(?i)(?<![a-z0-9])sig="
_OTHER_CLOUDS = (".usgovcloudapi.net", ".chinacloudapi.cn", ".cloudapi.de")


@dataclass(frozen=True)
class BlobPrefix:
    """Every blob below a prefix. `str()` is the address in its normal form."""

    kind: ClassVar[str] = "blob_url"

    account: str
    container: str
    prefix: str

    def __str__(self) -> str:
        return f"https://{self.account}{HOST}/{self.container}/{self.prefix}"


def parse_blob_url(text: str) -> BlobPrefix:
    """Return the prefix that `text` addresses. Raise SourceError."""
    if re.search(_CONTROL, text):
        raise SourceError("A blob URL contains no control characters.")
    if text != text.strip():
        raise SourceError("There is white space around the URL.", _suggest_url(text.strip()))
    scheme = re.match(_SCHEME, text)
    if not scheme or scheme[1].lower() != "https":
        _raise_wrong_scheme(text, scheme[1].lower() if scheme else "")
    location = text[scheme.end() :]
    address = re.split(r"[?#]", location, maxsplit=1)[0]
    if location[len(address) :].startswith("?"):
        raise SourceError(
            "A query can contain a signature, and a job must not contain secrets: "
            "give the job's identity the role Storage Blob Data Reader and omit the query.",
            _suggest_url(f"https://{address}"),
        )
    if address != location:
        raise SourceError("A blob URL has no fragment (`#…`).", _suggest_url(f"https://{address}"))
    authority, slash, path = address.partition("/")
    account = _parse_account(authority, slash + path)
    return BlobPrefix(account, *_parse_path(account, path))


_suggest_url = partial(suggest_normal_form, parse_blob_url)


def _raise_wrong_scheme(text: str, scheme: str) -> NoReturn:
    if text.lower().startswith("azureml:"):
        is_datastore = text.lower().startswith("azureml://datastores/")
        reason = "An Azure ML name is not a blob URL" + (
            ": use the storage address behind it." if is_datastore else "."
        )
        raise SourceError(reason, FORM if is_datastore else "")
    if hadoop := re.fullmatch(_HADOOP, re.split(r"[?#]", text)[0]):
        container, host, path = hadoop.groups()
        https = f"https://{host}/{container}{path}"
        raise SourceError("A blob URL starts with https://, with the container after the host.", _suggest_url(https))
    if scheme == "http":
        raise SourceError("A blob URL starts with https://, not http://.", _suggest_url("https" + text[len("http") :]))
    host = re.split(r"[/?#]", text.removeprefix("//"))[0].lower()
    if not scheme and host.endswith(HOST):
        raise SourceError("A blob URL starts with https://.", _suggest_url("https://" + text.removeprefix("//")))
    raise SourceError(f"A blob URL has the form {FORM}.")


def _parse_account(authority: str, path: str) -> str:
    if "@" in authority:
        plain_host = authority.rpartition("@")[2]
        raise SourceError(
            "A blob URL contains no user name and no password.", _suggest_url(f"https://{plain_host}{path}")
        )
    host, colon, port = authority.partition(":")
    if colon and not authority.startswith("["):
        plain_host = f"https://{host}{path}" if not port or port.isdigit() else ""
        raise SourceError("A blob URL has no port.", plain_host and _suggest_url(plain_host))
    host = host.lower() if host.isascii() else host
    if host.endswith(".dfs.core.windows.net"):
        blob = host.removesuffix(".dfs.core.windows.net") + HOST
        reason = "This is the Data Lake endpoint: use the blob endpoint."
        raise SourceError(reason, _suggest_url(f"https://{blob}{path}"))
    if host.endswith(HOST + "."):
        raise SourceError("The host ends with a dot.", _suggest_url(f"https://{host.rstrip('.')}{path}"))
    if host.endswith(_OTHER_CLOUDS):
        raise SourceError("Only the public Azure cloud is supported, not a national one.")
    if not host.endswith(HOST):
        raise SourceError(f"The host of a blob URL is ACCOUNT{HOST}.")
    account = host.removesuffix(HOST)
    primary = re.sub(r"(?:\.privatelink|-secondary)+$", "", account)
    if primary != account:
        reason = "Use the account's public, primary host, without `.privatelink` and `-secondary`."
        raise SourceError(reason, _suggest_url(f"https://{primary}{HOST}{path}"))
    if "." in account:
        raise SourceError(f"The host is one account name before {HOST}; DNS zone endpoints are not supported.")
    if not re.fullmatch(_ACCOUNT, account):
        raise SourceError("A storage account's name is 3 to 24 lower-case letters and digits.")
    return account


def _parse_path(account: str, path: str) -> tuple[str, str]:
    container, _, prefix = path.lstrip("/").partition("/")
    if not container:
        raise SourceError("The container is missing.", f"https://{account}{HOST}/CONTAINER/PREFIX")
    if not re.fullmatch(_CONTAINER, container):
        raise SourceError("A container's name is 3 to 63 lower-case letters, digits and single dashes.")
    base = f"https://{account}{HOST}/{container}"
    if not prefix.strip("/"):
        raise SourceError("The prefix is missing: a whole container cannot be used.", f"{base}/PREFIX")
    prefix = prefix.rstrip("/")
    if signature := re.search(_SIGNATURE, prefix):
        plain_prefix = prefix[: signature.start()].partition("&")[0]
        raise SourceError(
            "The URL contains a signature (`sig=`), and a job must not contain secrets.",
            _suggest_url(f"{base}/{plain_prefix}"),
        )
    if re.search(_ENCODED, prefix):
        decoded = _decode_percent(prefix)
        reason = "Blob names are not percent-decoded: use the decoded name."
        raise SourceError(reason, decoded and _suggest_url(f"{base}/{decoded}"))
    if set(prefix) & set("'\"{}\\;"):
        raise SourceError("A prefix contains no quotes, braces, backslashes or semicolons.")
    segments = prefix.split("/")
    if "" in segments:
        raise SourceError(
            "The prefix has an empty segment (`//`).", _suggest_url(f"{base}/{re.sub('//+', '/', prefix.lstrip('/'))}")
        )
    if "." in segments or ".." in segments:
        raise SourceError("Blob names are not paths: `.` and `..` segments have no meaning.")
    if prefix != prefix.rstrip():
        raise SourceError("The prefix ends with white space.", _suggest_url(f"{base}/{re.sub(_EDGE, '', prefix)}"))
    if len(prefix) > MAX_NAME_LENGTH:
        raise SourceError(f"A blob's name has at most {MAX_NAME_LENGTH} characters.")
    return container, prefix


def _decode_percent(encoded: str) -> str:
    """Return the name behind a percent-encoded one; empty if it is ambiguous."""
    try:
        decoded = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        return ""
    return "" if re.search(_ENCODED, decoded) else decoded
