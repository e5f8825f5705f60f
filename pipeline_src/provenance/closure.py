"""Code identity of a job: a digest of the code that it can reach, and of nothing else.

Starting from a step's module, first-party imports are followed statically (`ast`), through
functions too. Every module is digested without comments, formatting, docstrings and positions,
so that only what can change a result changes the digest. The single dynamic edge is the table
in `pipeline_src/components.py`, of which just the entries that the job names are followed and
hashed. Any other dynamic import in a reached module is refused, because it would be invisible.

The digest does not depend on the Python version. Standard library only: the planner imports this.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError

PACKAGE = "pipeline_src"
ROOT = Path(__file__).resolve().parents[2]
COMPONENT_MODULE = f"{PACKAGE}.components"
COMPONENT_TABLE = "COMPONENTS"
PACKAGE_FILES = "PACKAGE_FILES"
"""Name of the module constant that lists the data files (beside the module) that its code reads."""

DYNAMIC_MODULES = {"importlib", "imp", "pkgutil", "runpy", "pkg_resources"}
DYNAMIC_CALLS = {"__import__", "exec", "eval", "compile"}
HARMLESS_IMPORTS = {"importlib.metadata", "importlib.resources"}


class ClosureError(Exception):
    """The code of a job cannot be identified statically."""


@dataclass(frozen=True)
class Module:
    """One parsed first-party module: digests of its definitions, what it imports, what it reads."""

    name: str
    path: str
    definitions: dict[str, str]
    imports: frozenset[str]
    packages: frozenset[str]

    @property
    def digest(self) -> str:
        """Digest over all definitions of the module."""
        return _hash(sorted(self.definitions.items()))


def code_identity(entry: str, components: Iterable[str] = (), root: Path = ROOT) -> dict[str, Any]:
    """Identity of the code that module `entry` and the named `components` can reach.

    Returns `{"digest", "modules": {path: {"digest", "definitions": {name: digest}}}, "packages"}`
    with third-party package names (import names) that the reached modules import.

    A component from outside the package is named `kind=file.py:attribute`; its file is followed, and
    what that imports of the files beside it. The identity then lists these names under `outside`.

    Raises `ClosureError` for a dynamic import, an `__init__` with code, an import of a module that
    does not exist, or a component that the table does not hold.
    """
    names = tuple(sorted(set(components)))
    outside = dict(name.split("=", 1) for name in names if "=" in name)
    table = {**component_table(root), **outside}
    kinds = [name.split("=", 1)[0] for name in names]
    if missing := [kind for kind in kinds if kind not in table]:
        raise ClosureError(f"{COMPONENT_TABLE} has no entry {missing[0]!r}")
    entries = {kind: table[kind] for kind in kinds}
    reached = _reached([entry, *(target.rpartition(":")[0] for target in entries.values())], root)
    if COMPONENT_MODULE in reached:
        reached[COMPONENT_MODULE] = _with_entries(reached[COMPONENT_MODULE], entries)
    modules = {
        module.path: {"digest": module.digest, "definitions": module.definitions}
        for module in sorted(reached.values(), key=lambda module: module.path)
    }
    digest = _hash([(path, entry["digest"]) for path, entry in modules.items()])
    imported = set().union(*(module.packages for module in reached.values()))
    packages = sorted(imported - sys.stdlib_module_names)
    found = {"digest": digest, "modules": modules, "packages": packages}
    return {**found, "outside": [name for name in names if "=" in name]} if outside else found


@cache
def reached_packages(module: str, root: Path = ROOT) -> frozenset[str]:
    """Import names of the third-party packages that a module can reach."""
    reached = _reached([module], root)
    packages = frozenset().union(*(one.packages for one in reached.values()))
    return packages - sys.stdlib_module_names


def _reached(entries: list[str], root: Path) -> dict[str, Module]:
    """The modules that `entries` can reach, themselves included, by name; a file's name is its path."""
    pending = [(entry, "") for entry in entries]
    reached: dict[str, Module] = {}
    while pending:
        name, importer = pending.pop()
        if importer and _existing_module(name, root) is None:
            raise ClosureError(f"{importer}: imports {name}, which does not exist")
        if name not in reached:
            reached[name] = _parse(name, root)
            pending.extend((imported, reached[name].path) for imported in reached[name].imports)
    return reached


def component_table(root: Path = ROOT) -> dict[str, str]:
    """The static component table, read from the source without importing it."""
    for statement in _tree(COMPONENT_MODULE, root).body:
        if _assigned_name(statement) == COMPONENT_TABLE:
            return ast.literal_eval(statement.value)  # type: ignore[attr-defined]
    raise ClosureError(f"{COMPONENT_MODULE} has no literal {COMPONENT_TABLE}")


def explain_change(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of the definitions in which two code identities differ, such as `a/b.py: Net.forward`."""
    if before.get("digest") == after.get("digest"):
        return []
    changes = []
    old, new = before.get("modules", {}), after.get("modules", {})
    for path in sorted(old.keys() | new.keys()):
        if path not in new:
            changes.append(f"{path}: no longer used")
        elif path not in old:
            changes.append(f"{path}: newly used")
        elif old[path]["digest"] != new[path]["digest"]:
            was, now = old[path]["definitions"], new[path]["definitions"]
            names = [name for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name)]
            changes.append(f"{path}: {', '.join(names)}")
    return changes


# --- one module ------------------------------------------------------------------------------


@cache
def _tree(name: str, root: Path) -> ast.Module:
    return ast.parse(_source_path(name, root).read_text(encoding="utf-8"))


def _source_path(name: str, root: Path) -> Path:
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise InputError(f"{name}: no such file")
        return Path(name)
    base = root.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    raise ClosureError(f"module {name} does not exist")


@cache
def _parse(name: str, root: Path) -> Module:
    path = _source_path(name, root)
    tree = _tree(name, root)
    relative = name if name.endswith(".py") else path.relative_to(root).as_posix()
    if path.name == "__init__.py" and any(not _is_docstring(node) for node in tree.body):
        raise ClosureError(f"{relative}: package files hold no code")
    imports: set[str] = set()
    packages: set[str] = set()
    for node in _runtime_nodes(tree):
        if isinstance(node, ast.Call):
            _refuse_dynamic_call(node, name, relative)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for imported in _imported(node, name, relative, root):
                if imported == PACKAGE or imported.startswith(f"{PACKAGE}."):
                    imports.add(imported)
                elif (beside := _beside(path, imported)) is not None and name.endswith(".py"):
                    imports.add(beside)
                else:
                    packages.add(imported.split(".")[0])
    definitions = dict(_definitions(tree))
    for file in _package_files(tree):
        definitions[file] = hashlib.sha256((path.parent / file).read_bytes()).hexdigest()[:16]
    return Module(name, relative, definitions, frozenset(imports), frozenset(packages))


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


def _imported(node: ast.Import | ast.ImportFrom, module: str, relative: str, root: Path) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        if node.level:
            raise ClosureError(f"{relative}:{node.lineno}: relative import; write it in full")
        base = node.module or ""
        names = [base]
        if base == PACKAGE or base.startswith(f"{PACKAGE}."):
            # `from package import module` imports a module; `from module import name` does not.
            members = [f"{base}.{alias.name}" for alias in node.names]
            names = [_existing_module(member, root) or base for member in members]
        elif base in DYNAMIC_MODULES:
            names = [f"{base}.{alias.name}" for alias in node.names]
    for name in names:
        dynamic = name.split(".")[0] in DYNAMIC_MODULES and name not in HARMLESS_IMPORTS
        if dynamic and module != COMPONENT_MODULE:
            raise ClosureError(
                f"{relative}:{node.lineno}: dynamic import ({name}); name a kind in {COMPONENT_MODULE}"
            )
        yield name


def _beside(path: Path, module: str) -> str | None:
    """The file beside a user's own that an import of it names."""
    name = module.split(".")[0]
    file = path.with_name(f"{name}.py")
    if not file.is_file() and path.with_name(name).is_dir() and any(path.with_name(name).glob("*.py")):
        raise ClosureError(f"{path}: imports the folder {name} beside it; use files beside it, not folders")
    return file.as_posix() if file.is_file() else None


def _existing_module(name: str, root: Path) -> str | None:
    try:
        _source_path(name, root)
    except ClosureError:
        return None
    return name


def _refuse_dynamic_call(node: ast.Call, module: str, relative: str) -> None:
    if module != COMPONENT_MODULE and isinstance(node.func, ast.Name) and node.func.id in DYNAMIC_CALLS:
        raise ClosureError(
            f"{relative}:{node.lineno}: {node.func.id}() hides code from the job's identity; "
            f"name a kind in {COMPONENT_MODULE}"
        )


def _package_files(tree: ast.Module) -> list[str]:
    for statement in tree.body:
        if _assigned_name(statement) == PACKAGE_FILES:
            return list(ast.literal_eval(statement.value))  # type: ignore[attr-defined]
    return []


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
            yield _unique(statement.name, seen), _hash(_canonical(statement))
        elif isinstance(statement, ast.ClassDef):
            yield from _class_definitions(statement, seen)
        elif not _is_docstring(statement) and not isinstance(statement, ast.Import | ast.ImportFrom):
            rest.append(_canonical(statement))
    imports = sorted(
        repr(_canonical(statement))
        for statement in tree.body
        if isinstance(statement, ast.Import | ast.ImportFrom)
    )
    yield "<module>", _hash([imports, rest])


def _class_definitions(node: ast.ClassDef, seen: dict[str, int]) -> Iterator[tuple[str, str]]:
    methods = [child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)]
    for method in methods:
        yield _unique(f"{node.name}.{method.name}", seen), _hash(_canonical(method))
    head = ast.ClassDef(**{**dict(ast.iter_fields(node)), "body": [c for c in node.body if c not in methods]})
    yield _unique(node.name, seen), _hash(_canonical(head))


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


def _with_entries(module: Module, entries: dict[str, str]) -> Module:
    """The component module as a job sees it: its code, and of the table only the named entries."""
    definitions = {name: value for name, value in module.definitions.items() if name != "<module>"}
    definitions.update({f"{COMPONENT_TABLE}[{key}]": _hash(value) for key, value in entries.items()})
    return Module(module.name, module.path, definitions, module.imports, module.packages)


def _hash(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
