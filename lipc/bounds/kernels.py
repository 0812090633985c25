"""The SDP bound of one node, compiled: what `lipc.bounds.quadratic` and `lipc.bounds.sdp` do, without their overhead.

Matrices have some tens of rows, so that a call of numpy takes longer than what it computes. Importing this module needs
numba, which keeps what it compiled in a folder; loops are written so that the innermost one goes along rows, and sums
keep their order: nothing here depends on the machine but the length of its vectors.

The proofs are those of docs/search.md; they hold in any order of summation.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# As in `lipc.bounds.quadratic`, `rounding` and `sdp`, which a test compares: what numba keeps goes by this file alone.
FREE = -1
UNIT, UNDERFLOW = 2.0**-52, 1e-300
SMALLEST, GREATEST = 1e-200, 1e200
BARRIER, LONGEST, SHORTEST = 0.05, 0.7, 1e-6


@njit(cache=True)
def restrict(direct, through, bits, objective, direction, states):
    """Return `lipc.bounds.quadratic.restrict` by its parts."""
    switches, inputs = direct.shape
    needed = np.zeros(switches, np.bool_)
    for k in range(switches - 1, -1, -1):
        if objective[inputs + k] != 0.0:
            needed[k] = True
        if needed[k] and states[bits[k]] != 0:
            for j in range(k):
                if through[k, j] != 0.0:
                    needed[j] = True
    ns = 0
    for j in range(inputs):
        if np.isnan(direction[j]):
            ns += 1
    signs = np.empty(ns, np.int64)
    count = 0
    for j in range(inputs):
        if np.isnan(direction[j]):
            signs[count] = j
            count += 1
    nf = 0
    place = np.full(switches, -1, np.int64)
    for k in range(switches):
        if needed[k] and states[bits[k]] == FREE:
            place[k] = ns + nf
            nf += 1
    free = np.empty(nf, np.int64)
    width = ns + nf
    received = np.zeros((switches, width + 1))
    for k in range(switches):
        if not needed[k] or states[bits[k]] == 0:
            continue
        row = received[k]
        for j in range(ns):
            row[j] = direct[k, signs[j]]
        total = 0.0
        for j in range(inputs):
            if not np.isnan(direction[j]):
                total += direct[k, j] * direction[j]
        row[width] = total
        for j in range(k):
            weight = through[k, j]
            if weight == 0.0 or states[bits[j]] == 0:
                continue
            if place[j] >= 0:
                row[place[j]] += weight
            else:
                earlier = received[j]
                for i in range(width + 1):
                    row[i] += weight * earlier[i]
        if place[k] >= 0:
            free[place[k] - ns] = k
    total_row = np.zeros(width + 1)
    for k in range(switches):
        weight = objective[inputs + k]
        if weight == 0.0 or states[bits[k]] == 0:
            continue
        if place[k] >= 0:
            total_row[place[k]] += weight
        else:
            earlier = received[k]
            for i in range(width + 1):
                total_row[i] += weight * earlier[i]
    for j in range(ns):
        total_row[j] += objective[signs[j]]
    constant = 0.0
    for j in range(inputs):
        if not np.isnan(direction[j]):
            constant += objective[j] * direction[j]
    constant += total_row[width]
    links = np.zeros((width, width))
    shifts = np.zeros(width)
    for i in range(width):
        links[i, i] = 1.0
    for f in range(nf):
        row = received[free[f]]
        for i in range(ns + f):
            links[i, ns + f] = -row[i]
        shifts[ns + f] = row[width]
    return signs, free, links, shifts, total_row[:width].copy(), constant


@njit(cache=True)
def lacking(wanted, count, had):
    """Return whether every conflict lacks a flag, and `lipc.search.conflicts.lacking`."""
    words = len(had)
    flags = np.zeros(words, np.uint64)
    one = np.uint64(1)
    for k in range(count):
        place = -1
        several = False
        for w in range(words):
            missing = wanted[w, k] & ~had[w]
            if missing != 0:
                if place >= 0 or missing & (missing - one) != 0:
                    several = True
                    break
                place = w
        if several:
            continue
        if place < 0:
            return False, flags
        flags[place] |= wanted[place, k] & ~had[place]
    return True, flags


@njit(cache=True, fastmath={"contract"})
def add_rows(target, weights, rows, first, last, begin, end):
    """Add multiples of the rows from `first` to `last` to a vector, between two columns, four at a time."""
    j = first
    while j + 4 <= last:
        w0, w1, w2, w3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        r0, r1, r2, r3 = rows[j], rows[j + 1], rows[j + 2], rows[j + 3]
        for i in range(begin, end):
            target[i] += (w0 * r0[i] + w1 * r1[i]) + (w2 * r2[i] + w3 * r3[i])
        j += 4
    while j < last:
        weight, row = weights[j], rows[j]
        if weight != 0.0:
            for i in range(begin, end):
                target[i] += weight * row[i]
        j += 1


@njit(cache=True)
def factorize(matrix):
    """Return whether the Cholesky factorization of a matrix runs to its end, which leaves the upper factor in it."""
    size = len(matrix)
    above = np.empty(size)
    for k in range(size):
        row = matrix[k]
        for j in range(k):
            above[j] = -matrix[j, k]
        add_rows(row, above, matrix, 0, k, k, size)
        pivot = row[k]
        if not (pivot > 0.0 and pivot < np.inf):
            return False
        root = np.sqrt(pivot)
        for j in range(k, size):
            row[j] = row[j] / root
    return True


@njit(cache=True)
def solve(factor, right):
    """Return the solution of ``U'U x = right``."""
    size = len(factor)
    x = right.copy()
    for k in range(size):
        x[k] /= factor[k, k]
        weight, row = x[k], factor[k]
        for j in range(k + 1, size):
            x[j] -= weight * row[j]
    for k in range(size - 1, -1, -1):
        total, row = x[k], factor[k]
        for j in range(k + 1, size):
            total -= row[j] * x[j]
        x[k] = total / row[k]
    return x


@njit(cache=True)
def evaluate(links, shifts, weights, constant, free_signs, multipliers):
    """Return whether the multipliers are valid, and `Sdp.at` by its parts."""
    size = len(weights)
    matrix = np.empty((size, size))
    trace = 0.0
    valid = True
    for i in range(size):
        if not multipliers[i] > 0.0:
            valid = False
        for j in range(i, size):
            matrix[i, j] = 0.5 * (links[i, j] * multipliers[j])
        matrix[i, i] = multipliers[i]
        trace += multipliers[i]
    y = np.zeros(size)
    factor = matrix.copy()
    if not (valid and SMALLEST < trace < GREATEST):
        return False, matrix, factor, y, np.inf
    for i in range(size):
        for j in range(i):
            matrix[i, j] = matrix[j, i]
    shift = (size + 16) * UNIT * trace
    for i in range(size):
        factor[i, i] -= shift
    if not factorize(factor):
        return False, matrix, factor, y, np.inf
    linear = weights + multipliers * shifts
    y = solve(factor, 0.5 * linear)
    value = constant
    for i in range(free_signs):
        value += multipliers[i]
    for i in range(size):
        value += 0.5 * (linear[i] * y[i])
    return True, matrix, factor, y, value


@njit(cache=True)
def products(factor, links):
    """Return P, P D and D'P D."""
    size = len(factor)
    # The rows of the inverse of U' are the columns of that of U.
    root, inverse, linked, double = (
        np.zeros((size, size)), np.zeros((size, size)), np.zeros((size, size)), np.zeros((size, size))
    )  # fmt: skip
    column = np.empty(size)
    for k in range(size):
        row = root[k]
        pivot = factor[k, k]
        for j in range(k):
            column[j] = -factor[j, k] / pivot
        row[k] = 1.0 / pivot
        add_rows(row, column, root, 0, k, 0, k)
    for k in range(size):
        for j in range(k, size):
            column[j] = root[j, k]
        add_rows(inverse[k], column, root, k, size, 0, k + 1)
        for j in range(k):
            inverse[j, k] = inverse[k, j]
    for k in range(size):
        add_rows(linked[k], inverse[k], links, 0, size, 0, size)
    for k in range(size):
        for j in range(k + 1):
            column[j] = links[j, k]
        add_rows(double[k], column, linked, 0, k + 1, 0, k + 1)
        for j in range(k):
            double[j, k] = double[k, j]
    return inverse, linked, double


@njit(cache=True)
def derivatives(links, shifts, free_signs, factor, y, barrier):
    """Return the gradient and the upper half of the Hessian, see `Sdp.derivatives`."""
    size = len(y)
    inverse, linked, double = products(factor, links)
    rest = shifts.copy()
    for j in range(size):
        weight, row = y[j], links[j]
        for k in range(j, size):
            rest[k] -= weight * row[k]
    gradient = np.empty(size)
    for k in range(size):
        gradient[k] = y[k] * rest[k] - barrier * linked[k, k]
        if k < free_signs:
            gradient[k] += 1.0
    across = linked.T.copy()
    hessian = np.empty((size, size))
    half = 0.5 * barrier
    for k in range(size):
        r, s = rest[k], y[k]
        p, pd, dp, dpd, h = inverse[k], linked[k], across[k], double[k], hessian[k]
        for j in range(k, size):
            whole = r * p[j] * rest[j] - r * pd[j] * y[j] - s * dp[j] * rest[j] + s * dpd[j] * y[j]
            h[j] = 0.5 * whole + half * (p[j] * dpd[j] + pd[j] * dp[j])
    return gradient, hessian


@njit(cache=True)
def log_determinant(factor):
    """Return that of Q, by its factor."""
    total = 0.0
    for k in range(len(factor)):
        total += np.log(factor[k, k])
    return 2 * total


@njit(cache=True)
def minimize(links, shifts, weights, constant, free_signs, start, target, steps, last, give_up):
    """Return whether the first multipliers are valid, and `Sdp.minimize` from there by its parts."""
    size = len(weights)
    valid, matrix, factor, y, value = evaluate(links, shifts, weights, constant, free_signs, start)
    m = start
    best = (valid, m, matrix, factor, y, value)
    if not valid:
        return best
    barrier = BARRIER
    for _ in range(steps):
        if best[5] <= target:
            break
        weight = barrier * max(abs(value - constant), UNDERFLOW) / size
        gradient, hessian = derivatives(links, shifts, free_signs, factor, y, weight)
        mean = 0.0
        for i in range(size):
            row = hessian[i]
            for j in range(i, size):
                row[j] *= m[i] * m[j]
            mean += row[i]
        mean /= size
        for i in range(size):
            hessian[i, i] += 1e-14 * mean
        if not factorize(hessian):
            break
        slope = -gradient * m
        relative = solve(hessian, slope)
        decrement, most = 0.0, UNDERFLOW
        for i in range(size):
            decrement += slope[i] * relative[i]
            most = max(most, abs(relative[i]))
        merit = value - weight * log_determinant(factor)
        length = min(1.0, LONGEST / most)
        moved = False
        while length > SHORTEST:
            trial = m * (1 + length * relative)
            valid, matrix2, factor2, y2, value2 = evaluate(links, shifts, weights, constant, free_signs, trial)
            if valid:
                new = value2 - weight * log_determinant(factor2)
                if new <= merit - 0.1 * length * decrement + 1e-12 * abs(merit):
                    moved = True
                    m, matrix, factor, y, value = trial, matrix2, factor2, y2, value2
                    break
            length *= 0.5
        if not moved:
            break
        if value < best[5]:
            best = (True, m, matrix, factor, y, value)
        reach = weight * size
        if give_up and value - reach - 2 * decrement > target:
            break
        if decrement < 0.3 * reach:
            if barrier <= last:
                break
            barrier = max(0.1 * barrier, last)
    return best


@njit(cache=True)
def bound(weights, shifts, constant, slack, free_signs, multipliers, matrix, y, pull, side):
    """Return one of `Sdp.bounds`."""
    size = len(weights)
    image, reach = np.zeros(size), np.zeros(size)
    trace = 0.0
    for j in range(size):
        row = matrix[j]
        weight, away = y[j], abs(y[j])
        trace += row[j]
        for i in range(size):
            image[i] += weight * row[i]
            reach[i] += away * abs(row[i])
    plus = 0.0
    for i in range(free_signs):
        plus += multipliers[i]
    unit = (size + 8) * UNIT
    least = np.sqrt(0.5 * (size + 16) * UNIT * trace)
    value, absolute, beyond = constant + plus - side, abs(constant) + plus + abs(side), 0.0
    for i in range(size):
        part = multipliers[i] * shifts[i]
        linear = weights[i] + part + pull[i]
        sizes = abs(weights[i]) + abs(part) + abs(pull[i])
        residual = abs(0.5 * linear - image[i]) + unit * (sizes + reach[i]) + UNDERFLOW
        value += linear * y[i] - y[i] * image[i]
        absolute += abs(y[i]) * (sizes + reach[i])
        quotient = residual / least
        beyond += quotient * quotient
    error = 4 * unit * absolute + 1.01 * beyond + slack + UNDERFLOW
    return np.nextafter(value + error, np.inf)


@njit(cache=True)
def probe(links, shifts, free_signs, factor, y, multipliers):
    """Return `Sdp.probe` by its parts."""
    size = len(y)
    inverse, linked, double = products(factor, links)
    high, low, violation = np.empty(size), np.empty(size), np.empty(size)
    rest = -shifts
    for j in range(size):
        weight, row = y[j], links[j]
        for k in range(j, size):
            rest[k] += weight * row[k]
    for k in range(size):
        if k < free_signs:
            high[k] = (1 - y[k]) ** 2 / inverse[k, k]
            low[k] = (1 + y[k]) ** 2 / inverse[k, k]
            violation[k] = multipliers[k] * (1 - y[k] ** 2)
        else:
            high[k] = rest[k] ** 2 / double[k, k]
            low[k] = y[k] ** 2 / inverse[k, k]
            violation[k] = abs(multipliers[k] * y[k] * rest[k])
    return high, low, violation, inverse, linked, double


@njit(cache=True)
def without(
    links, shifts, weights, constant, free_signs, slack, multipliers, matrix, y, high, low, inverse, linked, double,
    room,
):  # fmt: skip
    """Return `Sdp.without`."""
    size = len(y)
    result = np.full((2, size), np.inf)
    pull, moved = np.zeros(size), np.zeros(size)
    for entry in range(size):
        for side in range(2):
            gain = high[entry] if side == 0 else low[entry]
            if not gain > room:
                continue
            is_sign = entry < free_signs
            if is_sign or side == 1:
                value = 0.0
                if is_sign:
                    value = 1.0 if side == 0 else -1.0
                weight = -2 * (y[entry] - value) / inverse[entry, entry]
                for i in range(size):
                    pull[i] = 0.0
                    moved[i] = y[i] + 0.5 * weight * inverse[entry, i]
                pull[entry] = weight
            else:
                value = shifts[entry]
                along = 0.0
                for i in range(size):
                    along += links[i, entry] * y[i]
                weight = -2 * (along - value) / double[entry, entry]
                for i in range(size):
                    pull[i] = weight * links[i, entry]
                    moved[i] = y[i] + 0.5 * weight * linked[i, entry]
            taken = weight * value
            result[side, entry] = bound(
                weights, shifts, constant, slack, free_signs, multipliers, matrix, moved, pull, taken
            )
    return result
