"""The floors of the package, its one door per library, and the habits that every file keeps."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "ntkflow"
FILES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
every_file = pytest.mark.parametrize("name", FILES)

# A file imports from strictly lower floors, or from its own folder; flat modules of one floor are strangers.
FLOORS = [
    ["_version", "_array", "_packages", "notation"],
    ["errors", "printing", "structure", "_path", "_rowspace", "_devices"],
    ["results", "normalization", "graphs", "datasets", "models", "algorithms", "_files", "_tables", "_times"],
    ["_audit", "linearize", "training", "derivation"],
    ["weights", "operator", "trust", "gap", "tangent"],
    ["propagators", "reports", "_design"],
    ["bounds", "analysis"],
    ["interop"],
    ["systems", "doctor"],
    ["study"],
    ["reproduce"],
    ["cli"],
    ["__init__", "__main__"],
]
FLOOR = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}

# Who may import what, beside the standard library and NumPy; a folder stands for its files.
DOORS = {
    "array_api_compat": ["_array.py"],
    "array_api_extra": ["structure/_parts.py"],
    # arrays bring their library along: only what the standard lacks, and the doctor, name one
    "cupy": ["_array.py", "_devices.py"], "cupyx": ["_array.py"],
    "torch": ["_array.py", "interop/torch/", "interop/_torch_devices.py"],
    "threadpoolctl": ["_devices.py"],  # which scikit-learn brings along
    "control": ["interop/control.py"],
    "matplotlib": ["reports/plots.py", "reports/spectra.py", "interop/control.py"],
    "networkx": ["graphs/", "_audit.py", "weights.py", "reports/layout.py"],
    "pandas": ["results.py", "analysis/spectrum.py", "analysis/compare.py"],
    "rich": ["cli/", "reproduce.py", "reports/tables.py", "reports/bars.py"], "typer": ["cli/"],
    "scipy": ["_array.py", "_audit.py", "analysis/", "interop/"],
    "sklearn": ["datasets/_sources.py", "datasets/_mnist.py"],
    "sympy": ["notation.py", "printing.py", "algorithms/", "operator.py", "derivation/", "analysis/"],
}  # fmt: skip
AT_THE_TOP = {"numpy", "sympy", "array_api_compat", "array_api_extra"}  # the others only where they are used


def type_only(tree):
    """What stands under ``if TYPE_CHECKING:``."""
    return {id(n) for top in ast.walk(tree) if isinstance(top, ast.If) and "TYPE_CHECKING" in ast.dump(top.test)
            for n in ast.walk(top)}  # fmt: skip


def inside_functions(tree):
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    return {id(n) for function in functions for n in ast.walk(function)}


def imports(name):
    """(dotted name, is inside a function) of every import that really happens; ntkflow's own start with a dot."""
    tree = TREES[name]
    skipped, inner = type_only(tree), inside_functions(tree)
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inner) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name.split("/")[:-1][: len(name.split("/")) - node.level] if node.level else []
            if node.level and node.module is None:  # from . import a, b
                yield from ((".".join(["", *package, alias.name]), id(node) in inner) for alias in node.names)
            else:
                prefix = ["", *package] if node.level else []
                yield ".".join([*prefix, node.module]), id(node) in inner


def module_of(name):
    return name.split("/")[0].removesuffix(".py")


@every_file
def test_imports_go_down(name):
    assert module_of(name) in FLOOR, f"{name} is on no floor: add it to the table"
    for imported, inner in imports(name):
        if name == "results.py" and inner:  # .plot() and its like open their door inside the method
            continue
        assert imported.partition(".")[0] != "ntkflow", f"{name}: write {imported} as a relative import"
        if imported.startswith("."):
            target = imported.split(".")[1]
            same_folder = "/" in name and target == module_of(name)
            assert same_folder or FLOOR[target] < FLOOR[module_of(name)], f"{name} imports {imported}"


def test_the_table_names_what_is_there():
    ghosts = set(FLOOR) - {module_of(name) for name in FILES}
    assert not ghosts


@every_file
def test_one_door_per_library(name):
    for imported, inner in imports(name):
        library = imported.partition(".")[0]
        if library in DOORS:
            assert any(name == door or (door.endswith("/") and name.startswith(door)) for door in DOORS[library]), (
                imported
            )
            alone = name.startswith(("cli/", "interop/torch/")) or name in (
                "reports/plots.py",
                "reports/spectra.py",
            )  # nobody imports these
            assert inner or library in AT_THE_TOP or alone, f"{imported} at the top"
        elif library:
            assert library in {"numpy", "__future__"} or library in __import__("sys").stdlib_module_names, imported


@every_file
def test_habits(name):
    tree = TREES[name]
    assert not any(imported.partition(".")[0] in ("pickle", "marshal", "shelve") for imported, _ in imports(name))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name != "*" for alias in node.names)
        assert not isinstance(node, ast.Assert | ast.Global), f"line {node.lineno}"
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            assert called not in {"eval", "exec", "parse_expr", "lambdify"}, f"{called} in line {node.lineno}"
            assert called != "sympify" or name == "algorithms/_rule.py", "text must never reach sympify"
            assert called != "print" or name.startswith("cli/"), f"print in line {node.lineno}"


CREATION = {"arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros"}


@every_file
def test_new_arrays_say_where_they_live(name):
    """The default device of a library is not where its user's arrays are."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in CREATION:
            library = node.func.value
            asked = library.func if isinstance(library, ast.Call) else library
            if getattr(asked, "id", "") in ("xp", "namespace"):
                assert any(keyword.arg == "device" for keyword in node.keywords), f"line {node.lineno}"


@every_file
def test_size(name):
    lines = FILES[name].read_text(encoding="utf-8").count("\n")
    assert lines <= 400


def public(body, path=""):
    """Functions and classes without an underscore, and the same inside the classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield f"{path}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{path}{node.name}.")


def exported(folder):
    """What the folder's __init__ takes from its private files: public too."""
    tree = TREES[f"{folder}/__init__.py"]
    return {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level == 1 for a in n.names}


@every_file
def test_docstrings(name):
    tree, (*folder, file) = TREES[name], name.split("/")
    assert ast.get_docstring(tree) or not tree.body, "the module"
    private = file.startswith("_") and file != "__init__.py"
    names = exported(folder[0]) if private and folder else set()
    asked = [(label, node) for label, node in public(tree.body) if not private or label.partition(".")[0] in names]
    assert not [label for label, node in asked if not ast.get_docstring(node)]
