"""The bootstrap program, which starts the runtime with the Python of any image."""

import ast
import base64
import bz2
import io
import random
import re
import zipfile
from pathlib import Path

import pytest
import yaml
from osmo_plans import unpack_archive
from osmo_stand_in.service.submission import redact
from robotrain.model.plan import Payload
from robotrain.redaction import holds_secret
from robotrain.submission.packing import pack_modules
from robotrain.submission.plan_secrets import ENCODED_ARCHIVE
from robotrain_osmo.spec import render, workflow
from robotrain_osmo.spec.compact_source import compact_module
from robotrain_runtime.contract.document import DOCUMENT_FILE
from start_program import StartProgramTests, pack_runtime, start, zip_files


def pack_archive(payload: Payload, document: bytes) -> bytes:
    return render.pack_documents(payload, {DOCUMENT_FILE: document})


@pytest.fixture
def packed_job(tmp_path: Path) -> Path:
    place = tmp_path / "job"
    place.write_bytes(pack_archive(Payload(pack_runtime()), b"{}"))
    return place


def run_task_command(place: str, folder: Path, **environ: str):
    return start(*render.make_task_command(place, str(folder)), environ=environ)


class TestTheProgram(StartProgramTests):
    program = render.make_task_command("", "")[6]

    @pytest.fixture
    def start(self, packed_job: Path, tmp_path: Path):
        return lambda **environ: run_task_command(str(packed_job), tmp_path / "run", **environ)

    def test_it_holds_nothing_that_a_template_or_kubernetes_would_read(self) -> None:
        for word in render.make_task_command("archive", "folder"):
            assert workflow.GUARD.find_syntax(word) == ""
            assert not re.search(r"\$[({]", word)


def test_it_unpacks_and_becomes_the_runtime(packed_job: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a folder" / "run"
    started = run_task_command("${BROUGHT}/job", folder, BROUGHT=str(packed_job.parent), PYTHONPATH="/elsewhere")
    out, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (0, "")
    assert out.split("\n")[0] == f"{started.pid} {folder} ['run', 'job.json'] {folder}/payload 2"


def test_an_archive_that_did_not_come_whole_is_told_in_a_sentence(tmp_path: Path) -> None:
    whole = pack_archive(Payload(zip_files(noise="#" + "x" * 40_000, other="y" * 40_000)), b"{}")
    for size in (20, len(whole) // 2, len(whole) - 30):
        (tmp_path / f"torn-{size}").write_bytes(whole[:size])
    for place in (*map(str, tmp_path.glob("torn-*")), "${BROUGHT}/payload.tar.bz2"):
        started = run_task_command(place, tmp_path / "run", BROUGHT="/nowhere")
        _, err = started.communicate(timeout=30)
        assert started.returncode == 2
        assert err.startswith("error: the job cannot be unpacked: ")


@pytest.mark.parametrize("seed", range(5))
def test_an_archive_reads_back_and_no_engine_reads_it(seed: int) -> None:
    """Neither templates, nor variables, nor secrets, nor YAML."""
    noise = random.Random(seed).randbytes(20_000)
    archive = render.pack_documents(Payload(zip_files()), {"noise": noise})
    text = workflow.dump_workflow({"files": [render.ARCHIVE_FILE]}, archive)
    assert redact(text) == text
    assert not holds_secret(re.sub(ENCODED_ARCHIVE, "", text))
    assert len(text.splitlines()) == 4
    (file,) = yaml.safe_load(text)["files"]
    assert base64.b64decode(file["contents"]) == archive
    assert unpack_archive(archive)["noise"] == noise


def test_check_for_secrets_excuses_only_the_archive() -> None:
    archive = bz2.compress(random.Random(0).randbytes(500))
    text, other = base64.b64encode(archive).decode(), f"b: '{'QUJD' * 500}'"
    left = re.sub(ENCODED_ARCHIVE, "", f"a: '{text}'\n{other}")
    assert left.endswith(other)
    assert text not in left


def test_equal_payloads_are_equal_archives() -> None:
    payload, other = Payload(zip_files(a="1", b="2")), Payload(zip_files(b="2", a="1"))
    assert pack_archive(payload, b"{}") == pack_archive(other, b"{}")
    assert pack_archive(payload, b"{}") != pack_archive(payload, b"[]")


def parse_statements(source: bytes) -> tuple[str, list[int]]:
    """Return a module without docstrings and what stands in their place, and the line of each statement."""
    tree = ast.parse(source)
    lines = []
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [
                statement for statement in body if not is_string(statement) and not isinstance(statement, ast.Pass)
            ]
            lines += [statement.lineno for statement in node.body]
    return ast.dump(tree), lines


def is_string(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(statement, ast.Expr) and isinstance(getattr(value, "value", None), str)


def test_modules_of_a_payload_have_the_same_statements_on_the_same_lines_without_docstrings() -> None:
    plugins = ("robotrain_workloads.lerobot_eval.container", "robotrain_sources.blob_url.fetch")
    with zipfile.ZipFile(io.BytesIO(pack_modules(plugins).archive)) as archive:
        modules = {name: archive.read(name) for name in archive.namelist() if name.endswith(".py")}
    assert len(modules) > 150
    for name, content in [*modules.items()][::4]:  # the slow kit reads all
        compact = compact_module(name, content)
        assert parse_statements(content) == parse_statements(compact), name
        assert not compact.lstrip().startswith(b'"""'), name
        compile(compact, name, "exec")
    assert compact_module("robotrain_mine/container.py", b'"""Mine."""') == b'"""Mine."""'


def test_a_body_of_nothing_but_strings_stays_a_body() -> None:
    source = b'class A:\n    """What it is."""\n    """More."""\n'
    compact = compact_module("robotrain_runtime/a.py", source)
    compile(compact, "a.py", "exec")
    assert b"..." not in compact  # TorchScript compiles methods from their source, and has none
    assert b"it is" not in compact


def test_comments_are_left_out_and_what_looks_like_one_stays() -> None:
    for source, expected in (
        ('A = "#1 – b"  # why\n# alone\nB = """\n# of a text\n"""\n', 'A = "#1 – b"\n\nB = """\n# of a text\n"""\n'),
        ("A = ''  # '\nB = '\\'# b'\t# it's\n", "A = ''\nB = '\\'# b'\n"),
        ('A = """"# a" \\"""#"""# """\nB = r"\\\\"  #\n', 'A = """"# a" \\"""#"""\nB = r"\\\\"\n'),
        ("A = f'{B}#' \"'#\" '''\n'#'''  # '''\n", "A = f'{B}#' \"'#\" '''\n'#'''\n"),
    ):
        assert compact_module("robotrain_runtime/a.py", source.encode()).decode() == expected, source


def test_a_payload_is_packed_once_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path))
    payload, added, add = Payload(zip_files(a="once")), [], render._add_member
    monkeypatch.setattr(
        render, "_add_member", lambda packed, path, content: added.append(path) or add(packed, path, content)
    )
    first = pack_archive(payload, b"{}")
    for damaged in (False, True):
        if damaged:
            next((tmp_path / "computed").iterdir()).write_bytes(b"torn")
        render._compress_payload.cache_clear()  # as in another process
        assert pack_archive(payload, b"{}") == first
    assert added.count("payload/a") == 2
