"""The bits of a float64, and what exponentials are reduced with (Cody & Waite)."""

from numba import types
from numba.extending import intrinsic

LOG2E = 1.4426950408889634
LN2_HIGH = 0.6931471803691238  # ln 2 = high + low, the high part with trailing zero bits
LN2_LOW = 1.9082149292705877e-10
ROUND = 6755399441055744.0  # 1.5 · 2^52: adding it rounds to a whole number, which is in the lowest bits


@intrinsic
def bits_of(typingctx, x):
    """The bits of a float64 as int64."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), codegen


@intrinsic
def float_of(typingctx, x):
    """The float64 with these bits."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen
