"""The reference of what plugins implement, as a page, written from the code of the contracts.

`python -m licentia.cli.contracts_reference FILE` writes it. It is read from the source and not from the
loaded modules, so every signature stands on the page as its author wrote it.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import licentia

CONTRACTS = {
    "Containers": ("licentia.containers", ("licentia.testing.containers", "licentia.testing.offline")),
    "Bindings": ("licentia.bindings", ("licentia.testing.bindings",)),
    "Directories": ("licentia.directories", ("licentia.testing.directories",)),
    "Connectors": ("licentia.connectors", ("licentia.testing.connectors",)),
}
"""The contracts in the order of the page: the module that declares each, and those of its kits."""

HEAD = """\
# The contracts of plugins

Written from the code by `make golden`; do not edit it here. You write the methods with an underscore; everybody else
calls the ones without, which check what goes in and what comes out. [Write a plugin](write-a-plugin.md) shows the way,
[the errors](../../core/licentia/errors.py) are one closed set.
"""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def reference() -> str:
    """The page, in Markdown."""
    parts = [HEAD]
    for title, (module, kits) in CONTRACTS.items():
        tree = _parsed(module)
        parts += [f"## {title}", f"Module `{module}`.", _prose(ast.get_docstring(tree) or "")]
        parts += _constants(tree)
        for node in _classes(tree):
            parts += _described(node)
        for kit in kits:
            parts += [part for node in _classes(_parsed(kit)) if node.name.endswith("Contract") for part in _kit(node)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _parsed(module: str) -> ast.Module:
    file = Path(licentia.__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(file.read_text("utf-8"))


def _classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def _constants(tree: ast.Module) -> Iterator[str]:
    """Each constant and each named type, with what is said of it."""
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) if len(name) > 1 and not name.islower():
                said = _said(after)
                if said or isinstance(node.value, ast.Subscript):
                    yield f"{_code(ast.unparse(node))}\n\n{said}"


def _said(after: ast.stmt | None) -> str:
    """The string that stands after a constant or a field, as what is said of it."""
    match after:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return _prose(inspect.cleandoc(text))
    return ""


def _described(node: ast.ClassDef) -> Iterator[str]:
    """A class: what it is, its fields, what its author writes, and what others call."""
    yield f"### {node.name}"
    fields = [ast.unparse(field) for field in node.body if isinstance(field, ast.AnnAssign)]
    yield _code("\n    ".join([f"{_line(node)}:", *(fields or ["..."])]))
    yield _prose(ast.get_docstring(node) or "")
    functions = [each for each in node.body if isinstance(each, Function)]
    named = {each.name for each in functions}
    written = [
        each for each in functions if each.name[0] == "_" and (_is_abstract(each) or each.name.lstrip("_") in named)
    ]
    called = [each for each in functions if each.name[0] != "_" and ast.get_docstring(each)]
    if own := [each for each in called if _is_abstract(each) or each.name == "close"]:
        called = [each for each in called if each not in own]
        written += own
    for title, group in (("You write", written), ("You call" if "Protocol" in _line(node) else "Others call", called)):
        if group:
            yield f"**{title}**"
            for each in group:
                yield f"{_code(_signature(each))}\n\n{_prose(ast.get_docstring(each) or '')}"


def _kit(node: ast.ClassDef) -> Iterator[str]:
    """A kit: what a test class gives to it, and what it tests."""
    yield f"### The kit {node.name}"
    yield _prose(ast.get_docstring(node) or "")
    yield "**You give**"
    for field, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign):
            yield f"{_code(ast.unparse(field))}\n\n{_said(after)}"
    functions = [each for each in node.body if isinstance(each, Function)]
    for each in functions:
        if not each.name.startswith(("test_", "_", "pytest_")) and each.name != "install":
            kind = "A fixture. " if any("fixture" in ast.unparse(mark) for mark in each.decorator_list) else ""
            yield f"{_code(_signature(each))}\n\n{kind}{_prose(ast.get_docstring(each) or '')}"
    yield "**It tests**"
    tests = {each.name: ast.get_docstring(each) or "" for each in functions if each.name.startswith("test_")}
    yield "\n".join(
        f"* **{name.removeprefix('test_').replace('_', ' ')}**: {' '.join(said.split())}"
        for name, said in tests.items()
    )


def _is_abstract(function: Function) -> bool:
    return any(ast.unparse(mark) == "abstractmethod" for mark in function.decorator_list)


def _line(node: ast.ClassDef) -> str:
    given = [ast.unparse(base) for base in node.bases] + [ast.unparse(keyword) for keyword in node.keywords]
    return f"class {node.name}({', '.join(given)})" if given else f"class {node.name}"


def _signature(function: Function) -> str:
    """The line that declares it, broken where it is long."""
    word = "async def" if isinstance(function, ast.AsyncFunctionDef) else "def"
    mark = "@property\n" if any(ast.unparse(each) == "property" for each in function.decorator_list) else ""
    arguments = [each for each in ast.unparse(function.args).split(", ") if each]
    gives = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return f"{mark}{word} {function.name}({', '.join(arguments)}){gives}"


def _code(text: str) -> str:
    text = text if '"' in text else text.replace("'", '"')
    return f"```python\n{text}\n```"


def _prose(docstring: str) -> str:
    """A docstring as Markdown: what stands under `Raises:` and its like becomes a list."""
    lines: list[str] = []
    in_list = False
    for line in docstring.splitlines():
        if re.fullmatch(r"(Args|Attributes|Raises):", line):
            lines += [line, ""]
            in_list = True
        elif in_list and line.startswith("    "):
            entry = re.match(r"    (\S[^:]*): (.*)", line)
            lines.append(f"* `{entry[1]}`: {entry[2]}" if entry else f"  {line.strip()}")
        else:
            in_list = in_list and not line.strip()
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), "utf-8")
