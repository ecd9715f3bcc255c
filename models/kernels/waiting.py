"""Waiting for another thread for a moment, without the interpreter's lock and without sleep.

To wake a thread that sleeps takes 20 to 60 µs (measured, two cores of a virtual machine), as long as a tenth of a
likelihood of fifty thousand cells; to notice a number that another thread has written takes less than one.
"""

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from .compiled import stage

_X86 = binding.get_process_triple().startswith(("x86_64", "amd64"))


@intrinsic
def _read(typingctx, array, k):
    """array[k], never from a register, and nothing that follows is read before."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "acquire", 8)

    return types.int64(array, k), codegen


@intrinsic
def _write(typingctx, array, k, value):
    """array[k] = value, and all that came before is written before."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        builder.store_atomic(args[2], builder.gep(data, [args[1]]), "release", 8)
        return context.get_dummy_value()

    return types.none(array, k, value), codegen


@intrinsic
def _pause(typingctx):
    """Leaves the core to its other half for some cycles, where there is one."""

    def codegen(context, builder, signature, args):
        if _X86:
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", fnty=nothing), [])
        return context.get_dummy_value()

    return types.none(), codegen


@stage
def await_number(numbers, mine, reached, theirs, wanted, looks, grace):
    """Writes numbers[mine] = reached, then waits until numbers[theirs] ≥ wanted; False if it was not in `looks` looks.

    numbers: int64 array that the threads share, one number for each cache line. `grace`: pauses before the return, in
    which the thread that wrote the number gets out of the interpreter: who meets its lock taken goes to sleep.
    """
    _write(numbers, mine, reached)
    for _ in range(looks):
        if _read(numbers, theirs) >= wanted:
            for _ in range(grace):
                _pause()
            return True
        _pause()
    return False
