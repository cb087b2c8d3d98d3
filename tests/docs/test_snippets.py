"""Every fenced block of the documents is run, or checked as far as its language allows.

A `python` block is
- a test file, run with pytest, if it holds a `def test_`;
- a script, run by a Python of its own, if it asks whether it is `__main__`;
- a module, if its first line is a comment with its file name: scripts after it may import it;
- else a program of its own, run here; `await` may stand at its top level.

What a `print(...)  # this` says in its comment must be printed, in that order.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import shlex
import subprocess
import sys
import textwrap
import tokenize
import tomllib
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
import click
import pytest
import trio

from actors.cli import main as troupe
from actors.config import TroupeConfig, load_config
from tests.docs.markdown import ROOT, Block, blocks, documents, prose

ALL = [block for document in documents() for block in blocks(document)]
PYTHON = [block for block in ALL if block.language == "python"]
TESTS = [block for block in PYTHON if re.search(r"^\s*(async )?def test_", block.text, re.M)]
PROGRAMS = [block for block in PYTHON if block not in TESTS]

FILE_NAME = re.compile(r"# (\w+\.py)\n")

TO_READ = {"text", "mermaid", "ini", "systemd", "json", "dockerfile"}
"""Languages of blocks that nothing here can check."""


def _of(language: str) -> Sequence[Block]:
    return [block for block in ALL if block.language == language]


def _names(found: Sequence[Block]) -> Sequence[str]:
    return [block.name for block in found]


# -- python --------------------------------------------------------------------------------


@pytest.mark.parametrize("block", PROGRAMS, ids=_names(PROGRAMS))
def test_a_program_in_the_documents_runs(
    block: Block,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if _is_script(block):
        printed = _run_script(block, tmp_path)
    else:
        _run_here(block, monkeypatch)
        printed = capsys.readouterr().out
    rest = iter(printed.splitlines())
    for line in _promised(block.text):
        assert line in rest, f"{block.name} does not print {line!r} here; it prints:\n{printed}"


def _run_here(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("snippet")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code = compile(block.source, str(block.document), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        main: Callable[[], types.CoroutineType[object, object, object]] = types.FunctionType(
            code, vars(module)
        )
        trio.run(main)
    else:
        exec(code, vars(module))


def _is_script(block: Block) -> bool:
    return "if __name__ ==" in block.text


def _run_script(block: Block, folder: Path) -> str:
    for other in PYTHON:
        named = FILE_NAME.match(other.text)
        if named and other.document == block.document:
            (folder / named[1]).write_text(other.text, encoding="utf-8")
    script = folder / "snippet.py"
    script.write_text(block.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{block.name}:\n{done.stdout}{done.stderr}"
    return done.stdout


def _promised(source: str) -> Sequence[str]:
    """What the comments behind `print` calls say is printed."""
    prints = {
        node.end_lineno
        for node in ast.walk(_parsed(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    }
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [
        token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT and token.start[0] in prints and token.start[1] > 0
    ]


def _parsed(source: str) -> ast.AST:
    tree: ast.AST = compile(
        source, "snippet", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    return tree


TEST_DOCUMENTS = sorted({block.document for block in TESTS})


@pytest.mark.parametrize("document", TEST_DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_tests_in_a_document_pass(document: Path, tmp_path: Path) -> None:
    mine = [block for block in TESTS if block.document == document]
    for block in mine:
        (tmp_path / f"test_line_{block.line}.py").write_text(block.text, encoding="utf-8")
    done = subprocess.run(
        # No configuration: what is shown must work in a project that has none.
        [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir=.", "-W", "error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{document} (files are named by line):\n{done.stdout}"
    shown = sum(len(re.findall(r"^\s*(?:async )?def test_", block.text, re.M)) for block in mine)
    ran = re.search(r"(\d+) passed", done.stdout)
    assert ran is not None
    assert int(ran[1]) >= shown, f"{shown} tests are shown, but:\n{done.stdout}"
    assert "skipped" not in done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Block]:
    """All python blocks as files; those with `await` at the top as bodies of async functions."""
    folder = tmp_path_factory.mktemp("snippets")
    written: dict[str, Block] = {}
    for number, block in enumerate(PYTHON):
        named = FILE_NAME.match(block.text)
        file = folder / (named[1] if named else f"snippet_{number}.py")
        text = block.text
        if block in PROGRAMS and not named and not _is_script(block):
            body = textwrap.indent(text, "    ")
            text = f"async def snippet() -> None:  # {block.name}\n{body}"
        else:
            text = f"{text}# {block.name}\n"
        file.write_text(text, encoding="utf-8")
        written[str(file)] = block
    return written


def _complaints(tool: Sequence[str], files: Mapping[str, Block]) -> str:
    """What a tool says of the files, in terms of the documents."""
    folder = Path(next(iter(files))).parent
    done = subprocess.run(
        [sys.executable, "-m", *tool, *files],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    if done.returncode == 0:
        return ""
    names = {Path(file).name: block.name for file, block in files.items()}
    return re.sub(
        r"(\w+\.py):(\d+)",
        lambda match: f"{names.get(match[1], match[1])} line {match[2]}",
        done.stdout + done.stderr,
    )


def test_the_snippets_type_check_as_strictly_as_the_product(files: Mapping[str, Block]) -> None:
    options = ["--strict", "--config-file=", "--enable-error-code=unused-awaitable"]
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'docs'}"
    assert _complaints(["mypy", *options, cache], files) == ""


def test_the_snippets_import_what_they_use_and_no_more(files: Mapping[str, Block]) -> None:
    options = ["check", "--isolated", "--select=E,F,B", "--line-length=104"]
    assert _complaints(["ruff", *options, "--output-format=concise"], files) == ""


# -- commands ------------------------------------------------------------------------------


COMMANDS = [*_of("console"), *_of("sh")]


@pytest.mark.parametrize("block", COMMANDS, ids=_names(COMMANDS))
def test_a_command_in_the_documents_exists(block: Block) -> None:
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":  # what was typed, and what was printed
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    commands = [words for line in lines if (words := shlex.split(line, comments=True))]
    assert commands, f"{block.name} shows no command; in a console block it begins with '$ '"
    for command in commands:
        problem = _problem_with(command) or _missing_file(command)
        assert problem is None, f"{block.name}: {shlex.join(command)!r}: {problem}"


def _missing_file(words: Sequence[str]) -> str | None:
    """Files of the repository that a command names are there."""
    for word in words[1:]:
        ours = re.fullmatch(r"(docs|examples|bench)/[\w./-]+|[\w-]+\.(lock|toml)", word)
        if ours and not (ROOT / word).exists():
            return f"there is no {word}"
    return None


def _problem_with(words: Sequence[str]) -> str | None:
    """Why a command cannot be run, if that can be seen from here."""
    while words and (words[0] == "sudo" or re.match(r"\w+=", words[0])):
        words = words[1:]
    match [Path(words[0]).name, *words[1:]]:
        case ["make", *targets]:
            missing = [word for word in targets if "=" not in word and word not in make_targets()]
            return f"the Makefile has no target {missing}" if missing else None
        case ["troupe", *arguments]:
            return _problem_with_troupe(arguments)
        case ["python" | "python3", "-m", module, *_]:
            return None if module in ("pytest", "venv") else f"what is {module}?"
        case ["python", script, *_]:
            return None if (ROOT / script).exists() else f"there is no {script}"
        case ["curl" | "docker" | "install" | "pip" | "podman" | "pytest" | "systemctl", *_]:
            return None
        case _:
            return "no test knows that command"


def _problem_with_troupe(arguments: Sequence[str]) -> str | None:
    command: click.Command = troupe
    words = iter(arguments)
    for word in words:
        if word.startswith("-"):
            continue
        if not isinstance(command, click.Group):
            break
        known = command.commands
        if word not in known:
            return f"troupe has no command {word}, it has {', '.join(known)}"
        command = known[word]
    options = {option for parameter in command.params for option in parameter.opts}
    asked = {word.partition("=")[0] for word in arguments if word.startswith("-")}
    unknown = asked - options - {"--help", "--version"}
    return f"it has no option {', '.join(sorted(unknown))}" if unknown else None


def make_targets() -> set[str]:
    """The targets of the Makefile that are meant for people."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets: set[str] = set()
    for line in re.findall(r"^\.PHONY:(.*)$", makefile, re.M):
        targets.update(line.split())
    return targets


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_named_in_running_text_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= make_targets()
    problems = [_problem_with_troupe([name]) for name in re.findall(r"`troupe ([a-z-]+)", text)]
    assert [problem for problem in problems if problem is not None] == []


# -- the rest ------------------------------------------------------------------------------


def test_configuration_in_the_documents_is_accepted(tmp_path: Path) -> None:
    sections = {field.name for field in attrs.fields(TroupeConfig)}
    for block in _of("toml"):
        if sections & set(tomllib.loads(block.text)):
            file = tmp_path / "config.toml"
            file.write_text(block.text, encoding="utf-8")
            keys = re.findall(r'env = "(\w+)"', block.text)  # as if all were set
            load_config(file, dict.fromkeys(keys, "key"))


def test_no_block_escapes_the_tests() -> None:
    """A block of another language, or of none, would be one that nobody checks."""
    known = {"python", "console", "sh", "toml", *TO_READ}
    strange = [f"{block.name}: {block.language!r}" for block in ALL if block.language not in known]
    assert not strange


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_is_hidden_in_an_indented_block(document: Path) -> None:
    """Markdown takes four blanks for code too; only fences are run, so only they are allowed."""
    before = ""
    for line in prose(document).splitlines():
        indented = line.startswith(("    ", "\t")) and not line.lstrip().startswith(("-", "*", "|"))
        assert not (indented and not before.strip()), line
        before = line
