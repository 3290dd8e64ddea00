"""What would only go wrong on another system, as far as it can be seen on this one."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.journey import PROGRAM, environment

SOURCES = [ROOT / "core", *sorted(ROOT.glob("plugins/*_plugin"))]
ENCODING_AT = {"read_text": 0, "write_text": 1}
"""Where the encoding stands among the arguments if it is not named."""
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}


def unnamed_encodings(source: str) -> Iterator[int]:
    """Lines that open a file as text in whatever encoding the system prefers."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function, named = node.func, {keyword.arg: keyword.value for keyword in node.keywords}
        if isinstance(function, ast.Attribute) and function.attr in ENCODING_AT:
            given = "encoding" in named or len(node.args) > ENCODING_AT[function.attr]
            if not given and ast.unparse(function.value) != "formatter":  # click's, of help pages
                yield node.lineno
        elif _opens_text(function, node.args, named) and "encoding" not in named:
            yield node.lineno


def _opens_text(
    function: ast.expr, arguments: list[ast.expr], named: dict[str | None, ast.expr]
) -> bool:
    """Whether this is `open(path, mode)` or `path.open(mode)`, without a b in the mode."""
    if isinstance(function, ast.Name) and function.id == "open":
        place = 1
    elif isinstance(function, ast.Attribute) and function.attr == "open":
        place = 0
    else:
        return False
    mode = named.get("mode") or (arguments[place] if len(arguments) > place else None)
    if mode is None:
        return isinstance(function, ast.Name)  # a method `open` of something else takes no mode
    return isinstance(mode, ast.Constant) and "b" not in str(mode.value)


def posix_imports(source: str) -> Iterator[int]:
    """Lines that import, outside of a branch or a function, what Windows does not have."""
    for node in ast.parse(source).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if POSIX_ONLY & set(names):
            yield node.lineno


def found(check, folders: list[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        for line in check(path.read_text(encoding="utf-8"))
    ]


def test_every_text_file_is_opened_with_its_encoding():
    assert found(unnamed_encodings, [folder / "src" for folder in SOURCES]) == []


def test_nothing_that_windows_lacks_is_imported_at_once():
    assert found(posix_imports, [*SOURCES, ROOT / "tests"]) == []


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (unnamed_encodings, "path.read_text()"),
        (unnamed_encodings, "path.write_text('x', newline='')"),
        (unnamed_encodings, "path.open('a')"),
        (unnamed_encodings, "open(path)"),
        (posix_imports, "import fcntl"),
    ],
)
def test_the_mistakes_are_seen(check, source: str):
    assert list(check(source)) == [1]


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (unnamed_encodings, "path.read_text('utf-8')"),
        (unnamed_encodings, "path.open('rb')"),
        (unnamed_encodings, "TokenShards.open(folder)"),
        (posix_imports, "if here:\n    import fcntl"),
    ],
)
def test_what_is_right_is_let_pass(check, source: str):
    assert list(check(source)) == []


WESTERN = "import io, sys; sys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'cp1252'); "


def test_a_pipe_gets_utf_8_whatever_the_system_prefers(tmp_path: Path):
    """On Windows, Python encodes what goes into a pipe in an old code page."""
    shown = subprocess.run(
        [sys.executable, "-c", WESTERN + PROGRAM, "plugins", "install", "--help"],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    assert "…" in shown.stdout.decode("utf-8")
