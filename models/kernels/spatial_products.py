"""Sums of products on a tile, as one would write them in assembly: add Gaussians to a field, collect a field by them.

A product of tables (BLAS) would cover the whole tile, want its factors side by side and a turned copy of the field;
these take rows of the tables where they lie, only the part of the tile that a Gaussian reaches, and make all moments
in one pass. Written as vectors of COLUMNS columns, which LLVM turns into what the processor has: a loop over a
short row costs more in finding out how to run it than in running.
"""

import math

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# columns of a field that the registers hold while rows pass: 16 vectors of the accumulators and factors must fit
COLUMNS = 16 if binding.get_host_cpu_features().get("avx512f", False) else 8
TILE = 32
_REAL, _INT, _SMALL = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_REAL, COLUMNS)
_WHOLE = ir.VectorType(_REAL, TILE)
_FUSED = ("contract",)


def _data(context, builder, kind, array):
    """The address of an array's first number."""
    return context.make_array(kind)(context, builder, array).data


def _row(builder, data, row, column, vector=_VECTOR):
    """The address of a part of a row of 32."""
    at = builder.add(builder.mul(row, _INT(TILE)), column)
    return builder.bitcast(builder.gep(data, [at]), vector.as_pointer())


def _load(builder, data, row, column, vector=_VECTOR):
    return builder.load(_row(builder, data, row, column, vector), align=8)


def _every(builder, value, vector=_VECTOR):
    """A vector of one number."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, _SMALL(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_SMALL, vector.count), [0] * vector.count))


def _part(builder, value, begin, size):
    """Some numbers of a vector."""
    which = ir.Constant(ir.VectorType(_SMALL, size), list(range(begin, begin + size)))
    return builder.shuffle_vector(value, value, which)


def _number(builder, data, row, column):
    """One number of a row of 32."""
    return builder.load(builder.gep(data, [builder.add(builder.mul(row, _INT(TILE)), column)]))


def _sum(builder, value):
    """The sum of a vector, in a tree: halves onto halves."""
    size = value.type.count
    while size > 1:
        size //= 2
        value = builder.fadd(_part(builder, value, 0, size), _part(builder, value, size, size))
    return builder.extract_element(value, _SMALL(0))


def _add(builder, out, across, down, scales, box, onto=True):
    """out += Σ scale · down' across over rows of tables, each given as (address, row); scales: None for ones.

    Or out = that, unless `onto`.
    """
    r0, r1, c0, c1 = (builder.extract_value(box, k) for k in range(4))
    with cgutils.for_range_slice(builder, c0, c1, _INT(COLUMNS), intp=_INT) as (column, _):
        factors = [_load(builder, data, row, column) for data, row in across]
        if scales is not None:
            factors = [builder.fmul(_every(builder, scale), f) for scale, f in zip(scales, factors, strict=True)]
        with cgutils.for_range_slice(builder, r0, r1, _INT(1), intp=_INT) as (r, _):
            place = _row(builder, out, r, column)
            value = builder.load(place, align=8) if onto else ir.Constant(_VECTOR, [0.0] * COLUMNS)
            for (data, row), factor in zip(down, factors, strict=True):
                one = _every(builder, _number(builder, data, row, r))
                value = builder.fadd(value, builder.fmul(one, factor, flags=_FUSED), flags=_FUSED)
            builder.store(value, place, align=8)


@intrinsic
def fetch(typingctx, array, place, lines):
    """Asks for some cache lines of an array from a flat index on, before they are needed; lines: a literal number."""

    def codegen(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _SMALL, _SMALL, _SMALL])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        data = builder.gep(_data(context, builder, signature.args[0], args[0]), [args[1]])
        for line in range(signature.args[2].literal_value):
            at = builder.bitcast(builder.gep(data, [_INT(8 * line)]), byte)
            builder.call(function, [at, _SMALL(0), _SMALL(3), _SMALL(1)])
        return context.get_dummy_value()

    if isinstance(lines, types.IntegerLiteral):
        return types.none(array, place, lines), codegen
    return None


@intrinsic
def add_four(typingctx, table, x, y, weight, box, out):
    """out [32, 32] += Σ_j weight[j] · table[y[j]]' table[x[j]] over four j, on a box of the tile.

    box: (r0, r1, c0, c1), whole numbers; c0 and c1 are multiples of COLUMNS.
    """

    def codegen(context, builder, signature, args):
        tables, xs, ys, weights, into = (_data(context, builder, signature.args[k], args[k]) for k in (0, 1, 2, 3, 5))
        across, down, scales = ([builder.load(builder.gep(a, [_INT(k)])) for k in range(4)] for a in (xs, ys, weights))
        _add(builder, into, [(tables, x) for x in across], [(tables, y) for y in down], scales, args[4])
        return context.get_dummy_value()

    return types.none(table, x, y, weight, box, out), codegen


@intrinsic
def set_rows(typingctx, across, down, n, box, out):
    """out [32, 32] = Σ_j down[j]' across[j] over j < n on a box of the tile; n is a multiple of 4."""

    def codegen(context, builder, signature, args):
        tables = [_data(context, builder, signature.args[k], args[k]) for k in (0, 1)]
        into = _data(context, builder, signature.args[4], args[4])

        def add(j, onto):
            rows = [builder.add(j, _INT(k)) for k in range(4)]
            _add(builder, into, *([(table, row) for row in rows] for table in tables), None, args[3], onto)

        add(_INT(0), False)
        with cgutils.for_range_slice(builder, _INT(4), args[2], _INT(4), intp=_INT) as (j, _):
            add(j, True)
        return context.get_dummy_value()

    return types.none(across, down, n, box, out), codegen


@intrinsic
def multiply(typingctx, factor, a, a_row, b, b_row, out, out_row):
    """out[out_row] = factor · a[a_row] · b[b_row] for rows of 32."""

    def codegen(context, builder, signature, args):
        first, second, into = (_data(context, builder, signature.args[k], args[k]) for k in (1, 3, 5))
        value = builder.fmul(_every(builder, args[0], _WHOLE), _load(builder, first, args[2], _INT(0), _WHOLE))
        value = builder.fmul(value, _load(builder, second, args[4], _INT(0), _WHOLE))
        builder.store(value, _row(builder, into, args[6], _INT(0), _WHOLE), align=8)
        return context.get_dummy_value()

    return types.none(factor, a, a_row, b, b_row, out, out_row), codegen


def _distances(builder, offset, begin, vector=_VECTOR):
    """offset + begin + (0, 1, 2, …)."""
    steps = ir.Constant(vector, [float(k) for k in range(vector.count)])
    return builder.fadd(_every(builder, builder.fadd(offset, builder.sitofp(begin, _REAL)), vector), steps)


@intrinsic
def shape_row(typingctx, constant, linear, square, table, row, offset, out, out_row):
    """out[out_row] = table[row] · (constant + linear d + square d²) for rows of 32, d = offset + column."""

    def codegen(context, builder, signature, args):
        data, into = (_data(context, builder, signature.args[k], args[k]) for k in (3, 6))
        distance = _distances(builder, args[5], _INT(0), _WHOLE)
        constants, linears, squares = (_every(builder, arg, _WHOLE) for arg in args[:3])
        value = builder.fadd(builder.fmul(squares, distance, flags=_FUSED), linears, flags=_FUSED)
        value = builder.fadd(builder.fmul(value, distance, flags=_FUSED), constants, flags=_FUSED)
        value = builder.fmul(value, _load(builder, data, args[4], _INT(0), _WHOLE))
        builder.store(value, _row(builder, into, args[7], _INT(0), _WHOLE), align=8)
        return context.get_dummy_value()

    number = types.float64
    return types.none(number, number, number, table, row, number, out, out_row), codegen


def _products(builder, field, downs, r0, r1, column, vector):
    """Σ_r down[r] · field[r, column …] for each (address, row) of downs."""
    zero = ir.Constant(vector, [0.0] * vector.count)
    found = [[cgutils.alloca_once(builder, vector) for _ in range(2)] for _ in downs]
    for pair in found:
        for place in pair:
            builder.store(zero, place)
    # two rows at a time, each into its own sum: one sum would wait for itself
    with cgutils.for_range_slice(builder, r0, r1, _INT(2), intp=_INT) as (r, _):
        for k in range(2):
            here = builder.add(r, _INT(k))
            values = _load(builder, field, here, column, vector)
            for (data, row), pair in zip(downs, found, strict=True):
                down = _every(builder, _number(builder, data, row, here), vector)
                more = builder.fmul(down, values, flags=_FUSED)
                builder.store(builder.fadd(builder.load(pair[k]), more, flags=_FUSED), pair[k])
    return [builder.fadd(builder.load(a), builder.load(b)) for a, b in found]


def _collect(builder, sums, across, x_row, field, downs, offset, box, moments):
    """`sums` numbers: the sums over a box of the tile of the vectors moments(products with downs, across, dx)."""
    wide = COLUMNS == 16 and len(downs) < 3  # more of what is loaded is used at once
    r0, r1, c0, c1 = (builder.extract_value(box, k) for k in range(4))
    totals = [cgutils.alloca_once(builder, _VECTOR) for _ in range(sums)]
    for place in totals:
        builder.store(ir.Constant(_VECTOR, [0.0] * COLUMNS), place)

    def add(column, vector):
        products = _products(builder, field, downs, r0, r1, column, vector)
        along, distance = _load(builder, across, x_row, column, vector), _distances(builder, offset, column, vector)
        for place, value in zip(totals, moments(products, along, distance), strict=True):
            for begin in range(0, vector.count, COLUMNS):
                part = _part(builder, value, begin, COLUMNS)
                builder.store(builder.fadd(builder.load(place), part), place)

    with builder.if_else(builder.icmp_signed("==", builder.sub(c1, c0), _INT(TILE))) as (whole, some):
        with whole:
            if wide:
                add(_INT(0), _WHOLE)
            else:
                with cgutils.for_range_slice(builder, c0, c1, _INT(COLUMNS), intp=_INT) as (column, _):
                    add(column, _VECTOR)
        with some:
            with cgutils.for_range_slice(builder, c0, c1, _INT(COLUMNS), intp=_INT) as (column, _):
                add(column, _VECTOR)
    return [_sum(builder, builder.load(place)) for place in totals]


def _weighted(builder, down, y_row, offset, powers):
    """The row of a table times powers of dy, as (address, row) each: in memory, so as to be taken number by number."""
    place = cgutils.alloca_once(builder, _WHOLE, size=len(powers))
    place.align = 64
    whole = _load(builder, down, y_row, _INT(0), _WHOLE)
    distance = _distances(builder, offset, _INT(0), _WHOLE)
    squared = builder.fmul(distance, distance)
    for k, power in enumerate(powers):
        factor = {1: distance, 2: squared, 3: builder.fmul(squared, distance), 4: builder.fmul(squared, squared)}[power]
        value = builder.fmul(whole, factor)
        builder.store(value, builder.gep(place, [_INT(k)]), align=64)
    data = builder.bitcast(place, _REAL.as_pointer())
    return [(data, _INT(k)) for k in range(len(powers))]


def _moments(sums, powers, moments):
    """Code for an intrinsic of arguments across, x_row, down, y_row, field, offset_x, …, box: `sums` numbers.

    moments(builder, products, along, dx) are these numbers column by column, from the products of the field with the
    row of `down` times powers of dy, the offset before the box.
    """

    def codegen(context, builder, signature, args):
        across, down, field = (_data(context, builder, signature.args[k], args[k]) for k in (0, 2, 4))
        plain = [(down, args[3])] if powers[0] == 0 else []
        more = [power for power in powers if power]
        downs = plain + (_weighted(builder, down, args[3], args[-2], more) if more else [])

        def of_columns(products, along, dx):
            return moments(builder, products, along, dx)

        found = _collect(builder, sums, across, args[1], field, downs, args[5], args[-1], of_columns)
        return context.make_tuple(builder, signature.return_type, found)

    return codegen


@intrinsic
def across_moments(typingctx, across, x_row, down, y_row, field, offset, box):
    """Σ q, Σ q dx, Σ q dx² over a box of the tile, q = field · down[y_row]' across[x_row], dx = offset + column.

    across, down: tables [·, 32]; box: (r0, r1, c0, c1), whole numbers, r0 and r1 even, c0 and c1 multiples of COLUMNS.
    """

    def moments(builder, products, along, distance):
        q = builder.fmul(products[0], along)
        return q, builder.fmul(q, distance), builder.fmul(q, builder.fmul(distance, distance))

    code = _moments(3, (0,), moments)
    return types.UniTuple(types.float64, 3)(across, x_row, down, y_row, field, offset, box), code


@intrinsic
def down_moments(typingctx, across, x_row, down, y_row, field, offset, box):
    """As `across_moments`: Σ q dy, Σ q dy²; dy = offset + row."""

    def moments(builder, products, along, distance):
        return [builder.fmul(product, along) for product in products]

    code = _moments(2, (1, 2), moments)
    return types.UniTuple(types.float64, 2)(across, x_row, down, y_row, field, offset, box), code


@intrinsic
def round_moments(typingctx, across, x_row, down, y_row, field, offset_x, offset_y, box):
    """As `across_moments`: Σ q, Σ q (dx² + dy²)."""

    def moments(builder, products, along, distance):
        q = builder.fmul(products[0], along)
        square = builder.fmul(q, builder.fmul(distance, distance))
        return q, builder.fadd(square, builder.fmul(products[1], along, flags=_FUSED), flags=_FUSED)

    code = _moments(2, (0, 2), moments)
    return types.UniTuple(types.float64, 2)(across, x_row, down, y_row, field, offset_x, offset_y, box), code


@intrinsic
def square_moments(typingctx, across, x_row, down, y_row, field, offset_x, offset_y, box):
    """As `across_moments`: Σ q, Σ q d², Σ q d⁴ with d² = dx² + dy²."""

    two = ir.Constant(_VECTOR, [2.0] * COLUMNS)

    def moments(builder, products, along, distance):
        q, q_two, q_four = (builder.fmul(product, along) for product in products)
        square = builder.fmul(distance, distance)
        second = builder.fadd(builder.fmul(q, square), q_two)
        fourth = builder.fadd(builder.fmul(q, square), builder.fmul(two, q_two))
        return q, second, builder.fadd(builder.fmul(fourth, square), q_four)

    code = _moments(3, (0, 2, 4), moments)
    return types.UniTuple(types.float64, 3)(across, x_row, down, y_row, field, offset_x, offset_y, box), code


@intrinsic
def all_moments(typingctx, across, x_row, down, y_row, field, offset_x, offset_y, box):
    """As `across_moments`: Σ q times 1, dx, dy, dx², dy², dx dy, dx d², dy d², d⁴ with d² = dx² + dy²."""

    two = ir.Constant(_VECTOR, [2.0] * COLUMNS)

    def moments(builder, products, along, dx):
        q0, q1, q2, q3, q4 = (builder.fmul(product, along) for product in products)
        square = builder.fmul(dx, dx)
        q0_square, q1_square = builder.fmul(q0, square), builder.fmul(q1, square)
        by_x = builder.fmul(builder.fadd(q0_square, q2), dx)
        fourth = builder.fmul(builder.fadd(q0_square, builder.fmul(two, q2)), square)
        sums = q0, builder.fmul(q0, dx), q1, q0_square, q2, builder.fmul(q1, dx)
        return *sums, by_x, builder.fadd(q1_square, q3), builder.fadd(fourth, q4)

    code = _moments(9, (0, 1, 2, 3, 4), moments)
    return types.UniTuple(types.float64, 9)(across, x_row, down, y_row, field, offset_x, offset_y, box), code


@intrinsic
def weigh(typingctx, table, x_row, y_row, unseen, exponent, degree, share, offset_x, offset_y, box, posterior, q):
    """Σ q, Σ q dx, Σ q dy, Σ q (dx² + dy²) over a box, q = unseen · table[y_row]' table[x_row] · exp(exponent).

    All [32, 32]; also posterior += share · q. The exponential is its power series up to a literal degree; for 0 there
    is none, for 1 the exponent is itself what is to be multiplied with.
    """
    if not isinstance(degree, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        tables, field, power, total, into = (
            _data(context, builder, signature.args[k], args[k]) for k in (0, 3, 4, 10, 11)
        )
        r0, r1, c0, c1 = (builder.extract_value(args[9], k) for k in range(4))
        zero = ir.Constant(_VECTOR, [0.0] * COLUMNS)
        places = [cgutils.alloca_once(builder, _VECTOR) for _ in range(4)]
        for place in places:
            builder.store(zero, place)
        shares = _every(builder, args[6])

        def add(place, *factors):
            value = factors[0]
            for factor in factors[1:]:
                value = builder.fmul(value, factor, flags=_FUSED)
            builder.store(builder.fadd(builder.load(place), value, flags=_FUSED), place)

        with cgutils.for_range_slice(builder, c0, c1, _INT(COLUMNS), intp=_INT) as (column, _):
            along = _load(builder, tables, args[1], column)
            dx = _distances(builder, args[7], column)
            with cgutils.for_range_slice(builder, r0, r1, _INT(1), intp=_INT) as (r, _):
                down = _every(builder, _number(builder, tables, args[2], r))
                value = builder.fmul(_load(builder, field, r, column), builder.fmul(down, along))
                if degree.literal_value:
                    factor = _series(builder, _load(builder, power, r, column), degree.literal_value)
                    value = builder.fmul(value, factor)
                builder.store(value, _row(builder, into, r, column), align=8)
                place = _row(builder, total, r, column)
                more = builder.fadd(
                    builder.load(place, align=8), builder.fmul(shares, value, flags=_FUSED), flags=_FUSED
                )
                builder.store(more, place, align=8)
                dy = _every(builder, builder.fadd(args[8], builder.sitofp(r, _REAL)))
                square = builder.fadd(
                    builder.fmul(dx, dx, flags=_FUSED), builder.fmul(dy, dy, flags=_FUSED), flags=_FUSED
                )
                for place, factors in zip(places, ((), (dx,), (dy,), (square,)), strict=True):
                    add(place, value, *factors)
        found = [_sum(builder, builder.load(place)) for place in places]
        return context.make_tuple(builder, signature.return_type, found)

    kind = types.UniTuple(types.float64, 4)
    arguments = (table, x_row, y_row, unseen, exponent, degree, share, offset_x, offset_y, box, posterior, q)
    return kind(*arguments), codegen


def _over_box(builder, box, work):
    """work(row, column, where it adds up) for the vectors of a box, two rows at a time; the sum of what it adds."""
    r0, r1, c0, c1 = (builder.extract_value(box, k) for k in range(4))
    sums = [cgutils.alloca_once(builder, _VECTOR) for _ in range(2)]
    for place in sums:
        builder.store(ir.Constant(_VECTOR, [0.0] * COLUMNS), place)
    with cgutils.for_range_slice(builder, c0, c1, _INT(COLUMNS), intp=_INT) as (column, _):
        with cgutils.for_range_slice(builder, r0, r1, _INT(2), intp=_INT) as (r, _):
            for k, place in enumerate(sums):
                work(builder.add(r, _INT(k)), column, place)
    return _sum(builder, builder.fadd(*(builder.load(place) for place in sums)))


@intrinsic
def inner_product(typingctx, a, b, box):
    """Σ a b over a box of two tiles, as in `across_moments`; its sums are in one order, however it is compiled."""

    def codegen(context, builder, signature, args):
        first, second = (_data(context, builder, signature.args[k], args[k]) for k in (0, 1))

        def add(row, column, place):
            factors = (_load(builder, data, row, column) for data in (first, second))
            more = builder.fmul(*factors, flags=_FUSED)
            builder.store(builder.fadd(builder.load(place), more, flags=_FUSED), place)

        return _over_box(builder, args[2], add)

    return types.float64(a, b, box), codegen


@intrinsic
def multiply_box(typingctx, a, b, share, total, out, box):
    """Σ a b over a box; out = a b and total += share · a b there."""

    def codegen(context, builder, signature, args):
        first, second, whole, into = (_data(context, builder, signature.args[k], args[k]) for k in (0, 1, 3, 4))
        shares = _every(builder, args[2])

        def add(row, column, place):
            value = builder.fmul(*(_load(builder, data, row, column) for data in (first, second)))
            builder.store(value, _row(builder, into, row, column), align=8)
            builder.store(builder.fadd(builder.load(place), value), place)
            at = _row(builder, whole, row, column)
            more = builder.fmul(shares, value, flags=_FUSED)
            builder.store(builder.fadd(builder.load(at, align=8), more, flags=_FUSED), at, align=8)

        return _over_box(builder, args[5], add)

    return types.float64(a, b, share, total, out, box), codegen


def _series(builder, x, degree):
    """exp(x) as a power series; x itself for degree 1."""
    if degree == 1:
        return x
    value = ir.Constant(_VECTOR, [1.0 / math.factorial(degree)] * COLUMNS)
    for k in range(degree - 1, -1, -1):
        term = ir.Constant(_VECTOR, [1.0 / math.factorial(k)] * COLUMNS)
        value = builder.fadd(builder.fmul(value, x, flags=_FUSED), term, flags=_FUSED)
    return value
