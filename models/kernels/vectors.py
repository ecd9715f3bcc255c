"""Elementary functions for loops that must vectorise, at any argument: what is not a number stays so.

As `spatial_math`, from whose exponential this one is made, but without a bound on what goes in.
"""

from .compiled import fused
from .floats import LN2_HIGH, LN2_LOW, bits_of, float_of
from .spatial_math import artanh_ten, exp_parts

ROOT = 1.4142135623730951


@fused
def exp(x):
    """exp(x); 0 below -708 and no more than exp(709)."""
    y = -708.0 if x < -708.0 else x
    scale, p = exp_parts(709.0 if y > 709.0 else y)
    return 0.0 if x < -708.0 else scale + scale * p


@fused
def log(y):
    """log(y) for normal y > 0: that of m 2^n, 1/√2 ≤ m < √2, by the series of 2 artanh((m - 1)/(m + 1))."""
    shift = (bits_of(y * ROOT) >> 52) - 1023
    n = float(shift)
    m = float_of(bits_of(y) - (shift << 52))
    s = (m - 1.0) / (m + 1.0)
    v = s * s
    p = artanh_ten(v)
    return n * LN2_HIGH + (s * (p * v) + (2.0 * s + n * LN2_LOW))
