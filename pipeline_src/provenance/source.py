"""What one source file says, as far as the identity of a job's code needs it.

Comments, formatting, docstrings and positions are dropped here, since they cannot change a result. What is
said is a function of the file's text alone, and is kept by that text's digest below `work/code/`: parsing all
that a job reaches takes longer than many a job. The digests do not depend on the Python version. Standard
library only.
"""

import ast
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.files import read_json, write_text

COMPONENT_TABLE = "COMPONENTS"
PACKAGE_FILES = "PACKAGE_FILES"
"""Name of the module constant that lists the data files (beside the module) that its code reads."""

DYNAMIC_CALLS = ("__import__", "exec", "eval", "compile")


@dataclass(frozen=True)
class Import:
    """An import statement: `import names`, or `from base import names` at a relative `level`."""

    line: int
    names: list[str]
    base: str | None = None
    level: int = 0


@dataclass(frozen=True)
class Source:
    """Digests of a file's definitions, what it imports at run time and what it calls by a dynamic name.

    `dynamic` are lines with the name of `DYNAMIC_CALLS` that is called there. `package_files` are those of
    `PACKAGE_FILES`, `table` is the literal `COMPONENTS`, and `code` says whether there is more than
    docstrings.
    """

    definitions: dict[str, str]
    imports: list[Import]
    dynamic: list[tuple[int, str]]
    package_files: list[str]
    table: dict[str, str] | None
    code: bool

    @classmethod
    def of(cls, text: str) -> "Source":
        """Parse a file's text."""
        tree = ast.parse(text)
        imports, dynamic = [], []
        for node in _runtime_nodes(tree):
            if isinstance(node, ast.Import):
                imports.append(Import(node.lineno, [alias.name for alias in node.names]))
            elif isinstance(node, ast.ImportFrom):
                names = [alias.name for alias in node.names]
                imports.append(Import(node.lineno, names, node.module or "", node.level))
            elif isinstance(node, ast.Call) and (called := _called(node)) in DYNAMIC_CALLS:
                dynamic.append((node.lineno, called))
        return cls(
            definitions=dict(_definitions(tree)),
            imports=imports,
            dynamic=dynamic,
            package_files=list(_constant(tree, PACKAGE_FILES) or []),
            table=_constant(tree, COMPONENT_TABLE),
            code=any(not _is_docstring(node) for node in tree.body),
        )

    @classmethod
    def read(cls, path: Path, kept: Path) -> "Source":
        """What a file says; from the folder `kept` where its text was parsed before.

        A folder that cannot be written to only costs time. Raises `InputError` for a file that is no Python.
        """
        data = path.read_bytes()
        file = kept / f"{hashlib.sha256(_own_text() + data).hexdigest()[:32]}.json"
        try:
            said = read_json(file)
            imports = [Import(**one) for one in said["imports"]]
            dynamic = [(line, call) for line, call in said["dynamic"]]
            return cls(**{**said, "imports": imports, "dynamic": dynamic})
        except (InputError, OSError, KeyError, TypeError, ValueError):
            try:
                found = cls.of(data.decode("utf-8"))
            except SyntaxError as error:
                line = f":{error.lineno}" if error.lineno else ""
                raise InputError(f"{path}{line}: not valid Python: {error.msg}") from None
            except ValueError as error:
                raise InputError(f"{path}: not valid Python: {error}") from None
        with contextlib.suppress(OSError):
            write_text(file, json.dumps(asdict(found), separators=(",", ":")))
        return found


@cache
def _own_text() -> bytes:
    """This file: what another version of it kept is not read."""
    return Path(__file__).read_bytes()


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _constant(tree: ast.Module, name: str) -> Any:
    """The literal that a module assigns to a name; None: it assigns none."""
    for statement in tree.body:
        if _assigned_name(statement) == name:
            return ast.literal_eval(statement.value)  # type: ignore[attr-defined]
    return None


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `node` except blocks under `if TYPE_CHECKING:`, which never run."""
    pending = [node]
    while pending:
        for child in ast.iter_child_nodes(pending.pop()):
            if isinstance(child, ast.If) and _names_type_checking(child.test):
                yield from child.orelse
                pending.extend(child.orelse)
            else:
                yield child
                pending.append(child)


def _names_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _assigned_name(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    return None


# --- digests ---------------------------------------------------------------------------------


def _definitions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Digest of each top-level function, each method, and of everything else in the module."""
    rest: list[Any] = []
    seen: dict[str, int] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _unique(statement.name, seen), digest_of_code(_canonical(statement))
        elif isinstance(statement, ast.ClassDef):
            yield from _class_definitions(statement, seen)
        elif not _is_docstring(statement) and not isinstance(statement, ast.Import | ast.ImportFrom):
            rest.append(_canonical(statement))
    imports = sorted(
        repr(_canonical(statement))
        for statement in tree.body
        if isinstance(statement, ast.Import | ast.ImportFrom)
    )
    yield "<module>", digest_of_code([imports, rest])


def _class_definitions(node: ast.ClassDef, seen: dict[str, int]) -> Iterator[tuple[str, str]]:
    methods = [child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)]
    for method in methods:
        yield _unique(f"{node.name}.{method.name}", seen), digest_of_code(_canonical(method))
    head = ast.ClassDef(**{**dict(ast.iter_fields(node)), "body": [c for c in node.body if c not in methods]})
    yield _unique(node.name, seen), digest_of_code(_canonical(head))


def _unique(name: str, seen: dict[str, int]) -> str:
    """A second definition of one name (an overload, a property's setter) gets a number."""
    seen[name] = seen.get(name, 0) + 1
    return name if seen[name] == 1 else f"{name}#{seen[name]}"


def _canonical(node: Any) -> Any:
    """A nested structure of an AST node that is the same for all Python versions.

    Leaves out positions, docstrings, type comments and empty fields, since newer versions of `ast`
    add fields that older ones lack.
    """
    if isinstance(node, ast.Constant):
        return ["Constant", type(node.value).__name__, repr(node.value)]
    if isinstance(node, ast.AST):
        fields = []
        for name, value in ast.iter_fields(node):
            if name in ("type_comment", "type_ignores", "ctx"):
                continue
            if name == "body" and isinstance(value, list):
                value = [child for child in value if not _is_docstring(child)]
            if value is None or value == []:
                continue
            fields.append([name, _canonical(value)])
        return [type(node).__name__, *fields]
    if isinstance(node, list):
        return [_canonical(child) for child in node]
    return repr(node)


def _is_docstring(node: ast.AST) -> bool:
    """Any expression statement that is only a string: it documents and does nothing."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def digest_of_code(value: Any) -> str:
    """Of nested plain values, by their `repr`."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
