"""What a component declares, read without importing torch: its class, with stand-ins for heavy packages.

A component is one class that says its options, what it needs and what it offers (static methods and
class attributes of its contract), and that holds its code. Planning needs the former only. So its module
is executed here a second time, under a private name, with a stand-in for everything that comes from
neither the standard library nor a module of this project that needs nothing else (Sphinx's
`autodoc_mock_imports` does the same for documentation). A stand-in can be named, called and inherited
from, and does nothing. The modules that the program itself has imported are not touched.
"""

import ast
import builtins
import importlib
import importlib.util
import re
import sys
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pipeline_src.components import COMPONENTS, split_target
from pipeline_src.config.component_contracts import check_contract, guarded, raised
from pipeline_src.config.explain import one_of, suggest
from pipeline_src.config.path_lengths import bad_path
from pipeline_src.config.stand_in_packages import StandIn
from pipeline_src.errors import InputError
from pipeline_src.provenance.closure import PACKAGE, ROOT, ClosureError, reached_packages
from pipeline_src.tasks.table import TASKS

CONTRACTS = {
    "backbone": "pipeline_src.models.backbones.staged_backbone:StagedBackbone",
    "pyramid": "pipeline_src.models.pyramid:WrappingPyramid",
    "merge": "pipeline_src.models.fusion.merge:PairwiseMerge",
    "decoder": "pipeline_src.models.decoders.head:DecodeHead",
    "detector": "pipeline_src.models.detectors.detector:Detector",
    "reader": "pipeline_src.data.readers.reader:Reader",
    "figure": "pipeline_src.reporting.figures.figure_kind:FigureKind",
    "metric": "pipeline_src.reporting.metric:Metric",
}
"""What a component of a kind must be: a subclass of this class, or an instance of it."""

NAME = r"^[a-z]+\.[A-Za-z0-9][A-Za-z0-9_-]*$"


def declaration(target: str) -> Any:
    """The component that `module:attribute` or `file.py:attribute` names, as planning may use it.

    Raises `InputError` for a file, attribute or import that is not there.
    """
    module, attribute = split_target(target)
    namespace = _executed(module)
    try:
        return vars(namespace)[attribute]
    except KeyError:
        raise InputError(f"{module} has no {attribute}{_close(attribute, vars(namespace))}") from None


def component(kind: str, outside: Mapping[str, str] | None = None) -> Any:
    """The declaration of a component such as `decoder.uper`; `outside` are those of `components:`.

    What one of these gives is compared with its contract.
    """
    if kind in COMPONENTS:
        return declaration(COMPONENTS[kind])
    target = (outside or {})[kind]
    found = declaration(target)
    if not isinstance(found, type):
        return found
    base, (file, _) = declaration(CONTRACTS[kind.partition(".")[0]]), split_target(target)
    return guarded(found, base, f"components.{kind}: {file}", file)


def check_outside(kind: str, target: str) -> None:
    """Refuse an entry of `components:` that is not there or breaks its contract (`InputError`)."""
    family = kind.partition(".")[0]
    if not re.fullmatch(NAME, kind):
        raise InputError("is no name of a component; use a kind and a name, such as decoder.mine")
    if family not in CONTRACTS:
        raise InputError(f"{family!r} is no kind of component; use {', '.join(CONTRACTS)}")
    if kind in COMPONENTS:
        raise InputError(f"{kind} is there already ({COMPONENTS[kind]}); use another name")
    module, _ = split_target(target)
    if not module.endswith(".py"):
        raise InputError(f"{target!r} is not allowed; use file.py:Name, such as my_ideas/unet.py:UNetHead")
    if wrong := bad_path(module):
        raise InputError(wrong)
    try:
        reached_packages(module)
    except ClosureError as error:
        raise InputError(str(error)) from None
    found = declaration(target)
    try:
        check_contract(found, declaration(CONTRACTS[family]))
        for task in getattr(found, "tasks", None) or [getattr(found, "task", None)]:
            if task not in (None, *TASKS):
                raise InputError(f"{target.rpartition(':')[2]} is for {task!r}; a task is {one_of(TASKS)}")
    except InputError as error:
        raise InputError(f"{module}: {error}") from None


class _Unreadable(InputError):
    """A module that planning cannot execute; the message begins with its file."""


@cache
def _executed(module: str) -> types.ModuleType:
    """A module of this project or a file outside it, executed with stand-ins; or the module itself."""
    if not module.endswith(".py") and _is_light(module):
        return importlib.import_module(module)
    path = Path(module) if module.endswith(".py") else _path_of(module)
    try:
        source = path.read_text(encoding="utf-8")
        code = compile(ast.parse(source), str(path), "exec", dont_inherit=True)
    except FileNotFoundError:
        raise _Unreadable(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _Unreadable(f"{path}: cannot be read ({error})") from None
    except SyntaxError as error:
        raise _Unreadable(f"{path}:{error.lineno}: {error.msg}") from None
    made = types.ModuleType(f"declared:{module}")

    def imported(name: str, scope: Any = None, local: Any = None, wanted: Any = (), level: int = 0) -> Any:
        return _import(name, tuple(wanted or ()), level, path)

    vars(made)["__builtins__"] = {**vars(builtins), "__import__": imported}
    # dataclasses look their module up by name
    sys.modules[made.__name__] = made
    try:
        exec(code, vars(made))
    except _Unreadable:
        raise
    except InputError as error:
        raise _Unreadable(f"{path}: {error}") from None
    except (Exception, SystemExit) as error:
        raise _Unreadable(f"{path}: cannot be read by planning: {raised(error, str(path))}") from None
    return made


def _import(name: str, wanted: tuple[str, ...], level: int, importer: Path) -> Any:
    """What `import name` or `from name import wanted` gives in a module that planning reads."""
    top = name.split(".")[0]
    if level:
        raise ImportError("relative import; write it in full")
    if top == PACKAGE:
        return _first_party(name, wanted)
    if top in sys.stdlib_module_names:
        return builtins.__import__(name, None, None, wanted)
    if not importer.is_relative_to(ROOT / PACKAGE):
        beside = importer.with_name(f"{top}.py")
        if beside.is_file():
            return _executed(str(beside))
        if top not in sys.modules and importlib.util.find_spec(top) is None:
            raise ModuleNotFoundError(f"No module named {top!r}")
    return StandIn(name if wanted else top)


def _first_party(name: str, wanted: tuple[str, ...]) -> Any:
    """A module of the package or, of one that is `wanted` from, these names of it."""
    module = _path_of(name)
    if not module.is_file() and not module.with_suffix("").is_dir():
        raise ModuleNotFoundError(f"No module named {name!r}")
    if not wanted:
        return StandIn(PACKAGE)
    if wanted == ("*",):
        return _executed(name)
    found = types.SimpleNamespace()
    for entry in wanted:
        below = f"{name}.{entry}"
        if _path_of(below).is_file():
            setattr(found, entry, _executed(below))
            continue
        there = vars(_executed(name)) if module.is_file() else {}
        if entry not in there:
            raise ImportError(f"cannot import name {entry!r} from {name!r}{suggest(entry, there)}")
        setattr(found, entry, there[entry])
    return found


def _is_light(module: str) -> bool:
    """Whether a module of this project needs the standard library only, so that planning may import it."""
    return not reached_packages(module)


def _path_of(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def _close(name: str, known: Any) -> str:
    classes = [key for key, value in known.items() if isinstance(value, type) and not key.startswith("_")]
    return f"; it has {', '.join(classes)}" if classes else ""
