from __future__ import annotations

import ast
import re
from pathlib import Path

LONGEST = 350
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}


def test_files_are_short(modules: list[Path]) -> None:
    """No file of code is longer than a person reads in one sitting."""
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_names_say_something(modules: list[Path]) -> None:
    """No module or package has a name that would fit any content."""
    assert [path for path in modules if EMPTY_NAMES & {path.stem, path.parent.name}] == []


def test_every_room_says_what_it_is_for(root: Path, modules: list[Path]) -> None:
    """Every source file begins with a docstring that is a sentence."""
    sources = [path for path in modules if "tests" not in path.relative_to(root).parts and path.name != "conftest.py"]
    docstrings = {path: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in sources}
    assert [path for path, text in docstrings.items() if not text or "." not in text] == []


def test_every_test_states_a_fact(modules: list[Path]) -> None:
    """Every test function has a docstring, a sentence that ends like one."""
    silent: list[str] = []
    for path in modules:
        if not path.name.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                text = ast.get_docstring(node)
                if text is None or not text.split("\n\n")[0].rstrip().endswith((".", "?", "!")):
                    silent.append(f"{path.name}::{node.name}")
    assert silent == []


def test_no_loop_outlives_its_file(modules: list[Path]) -> None:
    """No async fixture is the session's: while one is open every later test gets its loop, whichever it asks for."""
    lasting = [
        f"{path.name}::{node.name}"
        for path in modules
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.AsyncFunctionDef)
        and any(re.search(r"\bfixture\(.*scope='(session|package)'", ast.unparse(it)) for it in node.decorator_list)
    ]
    assert lasting == []
