"""The house: which room may use which, and what loads when."""

import ast
import graphlib

import pytest

import kerastl
from tests.support.commands import PACKAGE, ROOT, loaded_after

# Rooms and single files, lowest first. A module imports from those before its own, and within its
# own room in any order that is no circle.
ORDER = (
    "lazy", "errors", "backend", "files", "terminal", "plotting", "distributed", "data",
    "data.readers", "scoring", "losses", "layers", "metrics", "models", "features.store",
    "features", "training", "inference", "pipelines", "tuning", "deploy",
    "deploy.preview", "experiments", "experiments.curves", "cli",
)  # fmt: skip
NO_KERAS = ("data", "data.readers", "scoring", "features.store", "distributed")
HEAVY = {"keras", "tensorflow", "keras_tuner"}

FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py")) if path.stem != "__init__"
}  # fmt: skip
FOLDERS = sorted({path.parent for path in FILES.values()} - {PACKAGE})
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def room(module):
    """The room that a module stands in: the longest name of the order that it begins with."""
    return max((name for name in ORDER if f"{module}.".startswith(f"{name}.")), key=len)


def imported(path, package="kerastl"):
    """The modules of a package that a file imports anywhere, without the package's name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{package}."):
            inner = node.module.partition(".")[2]
            for name in (".".join(filter(None, (inner, alias.name))) for alias in node.names):
                yield name if name in FILES or package != "kerastl" else inner
        elif isinstance(node, ast.Import):
            names = (alias.name.partition(".") for alias in node.names)
            yield from (inner for first, _, inner in names if first == package)


def top_level(path):
    """The packages that a file imports when it is loaded."""
    for node in ast.parse(path.read_text("utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name.partition(".")[0] for name in names)


def test_the_imports_are_found():
    """Else the next tests would have nothing to hold."""
    assert len(FILES) > 100
    assert {"models.spec", "models.trainable", "training.sources"} <= set(
        imported(FILES["training.fitting"])
    )
    assert "cli.train" in set(imported(FILES["cli.main"]))
    assert {room(module) for module in FILES} == set(ORDER)


@pytest.mark.parametrize("module", FILES)
def test_imports_only_go_down(module):
    place = ORDER.index(room(module))
    used = {room(m) for m in imported(FILES[module]) if m} - {room(module)}
    assert [name for name in used if ORDER.index(name) > place] == []


def test_no_import_is_a_circle():
    graph = {module: set(imported(path)) - {"", module} for module, path in FILES.items()}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(FILES)


@pytest.mark.parametrize("module", [m for m in FILES if room(m) in NO_KERAS])
def test_data_scores_and_stores_know_no_keras(module):
    assert not HEAVY & set(top_level(FILES[module]))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_folder_says_what_it_is_for_and_loads_nothing(folder):
    face = folder / "__init__.py"
    words = ast.get_docstring(ast.parse(face.read_text("utf-8")))
    assert "May use:" in words
    assert 3 <= len(words.splitlines()) <= 12
    assert set(top_level(face)) <= {"kerastl"}
    assert set(imported(face)) <= {"lazy"}


def test_no_folder_and_no_file_bears_a_name_that_it_would_shadow():
    """Python binds a submodule that was imported to its name in the package."""
    single = {"layers", "losses", "metrics"}
    assert single < set(kerastl.__all__)
    assert not set(kerastl.__all__) - single & {path.stem for path in PACKAGE.iterdir()}
    for folder in FOLDERS:
        package = ".".join(("kerastl", *folder.relative_to(PACKAGE).parts))
        names = getattr(__import__(package, fromlist=["__all__"]), "__all__", [])
        assert not set(names) & {path.stem for path in folder.iterdir()}, package


@pytest.mark.parametrize(
    "code",
    [
        "import kerastl; dir(kerastl); kerastl.Task",
        "import sys; sys.argv = ['kerastl', '--help']\n"
        "from kerastl.cli.main import main\ntry: main()\nexcept SystemExit: pass",
    ],
)
def test_neither_import_nor_help_loads_keras(code):
    assert not {"keras", "tensorflow", "pandas", "sklearn", "matplotlib"} & loaded_after(code)


def test_reading_data_loads_no_keras():
    assert not HEAVY & loaded_after("import kerastl; kerastl.read_folder")


@pytest.mark.parametrize("name", [n for n in kerastl.__all__ if n != "__version__"])
def test_every_public_name_loads_and_is_documented(name):
    found = getattr(kerastl, name)
    first = (found.__doc__ or "").strip().partition("\n")[0]
    # A number has its type's words; a dataclass without words of its own, its signature.
    assert name in ("UNKNOWN", "UNCERTAIN") or first.endswith((".", ":", "?"))
    assert not first.startswith(f"{name}(")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kerastl.nothing


def test_no_unsafe_deserialisation():
    """Pickle is read by the one restricted reader only, and nothing is evaluated."""
    for module, path in FILES.items():
        names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert not {"eval", "exec", "__import__"} & names, module
        assert "pickle" not in set(top_level(path)) or module == "models.torch_weights"


def test_no_test_imports_from_another():
    """What several tests share lies in tests/support."""
    for path in TESTS:
        shared = [name for name in imported(path, "tests") if "test_" in name]
        assert not shared, path


def test_tests_mirror_the_rooms():
    rooms = {path.parent.relative_to(ROOT / "tests") for path in TESTS}
    assert {folder.relative_to(PACKAGE) for folder in FOLDERS} <= rooms
