"""How kernels are compiled, and a cache that notices an edit in any of them.

numba keeps compiled code until the file of the function itself changes; a kernel that calls another file's function
would go on with the old one. Here the stamp of a cached kernel is that of its file and of all that this file imports.
"""

from pathlib import Path

from numba import njit, types
from numba.core.cgutils import get_null_value
from numba.extending import intrinsic

_HERE = Path(__file__).parent
# What only kernels call needs neither a cache nor a Python wrapper to compile.
_ALONE = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def _stamp(module: str) -> tuple:
    """Names, sizes and times of change of a kernel file and of the kernel files that it imports, and so on."""
    found, ahead = {"compiled"}, [module]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            lines = (_HERE / f"{name}.py").read_text(encoding="utf-8").splitlines()
            ahead += [line[6 : line.index(" import")] for line in lines if line.startswith("from .")]
    paths = [_HERE / f"{name}.py" for name in sorted(found)]
    return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths)


def stage(function):
    """A kernel that Python calls: compiled on first use, cached on disk."""
    compiled = njit(nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    cached = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(cached, "_source_stamp"):
        cached._source_stamp = _stamp(Path(function.__code__.co_filename).stem)
    return compiled


def inner(function):
    """A part of a kernel."""
    return njit(**_ALONE)(function)


def within(function):
    """A part of a kernel that is put where it is called: its many arrays as arguments would cost more than it does."""
    return njit(forceinline=True, **_ALONE)(function)


def fused(function):
    """A part of a kernel whose multiply-adds may be one instruction."""
    return njit(fastmath={"contract"}, **_ALONE)(function)


def element(function):
    """As `fused`, for the body of a loop that is so long that LLVM would rather call it, once for each element."""
    return njit(forceinline=True, fastmath={"contract"}, **_ALONE)(function)


def summing(function):
    """A part of a kernel whose sums may be in any order, so that they vectorise."""
    return njit(fastmath={"contract", "reassoc"}, **_ALONE)(function)


@intrinsic
def wide(typingctx):
    """Called in a function: its loops may use vectors of 512 bits where the processor has them.

    LLVM prefers 256 bits on Intel's; the exponentials of a tile take 0.37 instead of 0.68 µs (Xeon, 2023).
    """

    def codegen(context, builder, signature, args):
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic
def lend(typingctx, arrays):
    """The same arrays (a tuple of them, of tuples, of numbers) without an owner, so that nobody counts references.

    Views and calls of inner functions count references, one locked instruction each: 30 % of `sweep`, measured. The
    owner must outlive the loan: arguments of a kernel do; what a kernel allocates itself must be `kept` at its end.
    """

    def bare(context, builder, kind, value):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = get_null_value(array.meminfo.type)
            array.parent = get_null_value(array.parent.type)
            return array._getvalue()
        if isinstance(kind, types.BaseTuple):
            parts = [bare(context, builder, part, builder.extract_value(value, k)) for k, part in enumerate(kind)]
            return context.make_tuple(builder, kind, parts)
        return value

    def codegen(context, builder, signature, args):
        return bare(context, builder, arrays, args[0])

    return arrays(arrays), codegen


@intrinsic
def kept(typingctx, array):
    """Says that an array is still needed here."""

    def codegen(context, builder, signature, args):
        return context.get_dummy_value()

    return types.none(array), codegen
