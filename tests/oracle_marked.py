"""Slow, obvious likelihoods of marked animals: plain loops over animals and occasions, for tests."""

from __future__ import annotations

import math


def closed_history(states, p, c, removed):
    """Pr(history) of one animal of one class: p[t] until it is met, c[t] after; -1 was not looked for."""
    probability, met = 1.0, False
    last = max(t for t, s in enumerate(states) if s > 0) if any(s > 0 for s in states) else None
    for t, s in enumerate(states):
        if s == -1:
            continue
        q = c[t] if met else p[t]
        probability *= q if s > 0 else 1.0 - q
        met = met or s > 0
        if removed and t == last:
            break
    return probability


def closed(histories, frequency, removed, p, c, pi, f0=None):
    """Log-likelihood of a closed population without groups; p, c [class][t], pi [class]; f0 None is conditional."""
    T, n = len(p[0]), sum(frequency)
    unseen = sum(w * closed_history([0] * T, a, b, False) for w, a, b in zip(pi, p, c, strict=True))
    total = 0.0
    for states, k, lost in zip(histories, frequency, removed, strict=True):
        mixed = sum(w * closed_history(states, a, b, lost) for w, a, b in zip(pi, p, c, strict=True))
        total += k * math.log(mixed)
    if f0 is None:
        return total - n * math.log(1.0 - unseen)
    return total + math.lgamma(n + f0 + 1) - math.lgamma(f0 + 1) + f0 * math.log(unseen)


def loglinear(histories, p, eta):
    """Conditional log-likelihood with all 2^T histories listed: Pr(w) ~ product of odds × exp(eta[number met])."""
    T = len(p)
    weight = {}
    for code in range(2**T):
        w = tuple((code >> t) & 1 for t in range(T))
        odds = math.prod((p[t] / (1.0 - p[t])) ** w[t] for t in range(T))
        weight[w] = odds * math.exp(eta[sum(w)])
    seen = sum(v for w, v in weight.items() if any(w))
    return sum(math.log(weight[tuple(int(s > 0) for s in h)] / seen) for h in histories)


def cjs_history(states, phi, p, lost):
    """Pr(history after the first encounter): the sum over the last occasion on which the animal lives.

    phi[t] from occasion t to t + 1, p[t] on occasion t.
    """
    T = len(states)
    met = [t for t, s in enumerate(states) if s > 0]
    first, last = met[0], met[-1]
    total = 0.0
    for end in [last] if lost else range(last, T):
        probability = math.prod(phi[t] for t in range(first, end))
        for t in range(first + 1, end + 1):
            if states[t] != -1:
                probability *= p[t] if states[t] > 0 else 1.0 - p[t]
        if not lost and end < T - 1:
            probability *= 1.0 - phi[end]
        total += probability
    return total


def open_history(states, beta, phi, p):
    """Pr(history) of one animal of the superpopulation: the sum over when it enters and when it last lives.

    beta[t] enters before occasion t, phi[t] from t to t + 1, p[t] on occasion t.
    """
    T, total = len(states), 0.0
    for begin in range(T):
        for end in range(begin, T):
            if any(s > 0 for t, s in enumerate(states) if not begin <= t <= end):
                continue
            probability = beta[begin] * math.prod(phi[t] for t in range(begin, end))
            for t in range(begin, end + 1):
                if states[t] != -1:
                    probability *= p[t] if states[t] > 0 else 1.0 - p[t]
            total += probability * (1.0 - phi[end] if end < T - 1 else 1.0)
    return total


def emigration_history(met, phi, out, away, star, lost):
    """Pr(periods met | first period met): the sum over all sequences of here, away and dead.

    phi, out, away [k] from period k to k + 1; star [k], probability to be met in period k when here.
    """
    K = len(met)
    seen = [k for k, m in enumerate(met) if m == 1]
    first, end = seen[0], seen[-1] if lost else K - 1

    def onward(k, state):
        if k == end:
            return 1.0
        s = phi[k] if state != "dead" else 0.0
        leave = {"here": out[k], "away": away[k], "dead": 0.0}[state]
        total = 0.0
        for target, move in (("here", s * (1.0 - leave)), ("away", s * leave), ("dead", 1.0 - s)):
            if target == "here":
                look = {1: star[k + 1], 0: 1.0 - star[k + 1], -1: 1.0}[met[k + 1]]
            else:
                look = 0.0 if met[k + 1] == 1 else 1.0
            if move * look > 0:
                total += move * look * onward(k + 1, target)
        return total

    return onward(first, "here")


def misidentified(observed, p, alpha, mean, most=25):
    """log Pr(numbers of identities with each history) + sum of log of their factorials, the number of animals Poisson.

    `observed` counts identities by history, a tuple over occasions. Every animal is on every occasion missed, rightly
    met, or turned into an identity of its own; the numbers of all animals are added up one by one.
    """
    T = len(p)
    one = {(): 1.0}  # the histories that one animal leaves behind, sorted
    outcomes = {}
    for code in range(3**T):
        steps = [(code // 3**t) % 3 for t in range(T)]
        probability = math.prod([1.0 - p[t], p[t] * alpha, p[t] * (1.0 - alpha)][steps[t]] for t in range(T))
        right = tuple(int(s == 1) for s in steps)
        left = ([right] if any(right) else []) + [
            tuple(int(j == t) for j in range(T)) for t, s in enumerate(steps) if s == 2
        ]
        key = tuple(sorted(left))
        outcomes[key] = outcomes.get(key, 0.0) + probability
    wanted = tuple(sorted(h for h, k in observed.items() for _ in range(k)))
    limit = {h: wanted.count(h) for h in wanted}
    total, weight = (1.0 if not wanted else 0.0) * math.exp(-mean), math.exp(-mean)
    for N in range(1, most):
        grown = {}
        for key, a in one.items():
            for more, b in outcomes.items():
                new = tuple(sorted(key + more))
                if all(new.count(h) <= limit.get(h, 0) for h in set(new)):
                    grown[new] = grown.get(new, 0.0) + a * b
        one = grown
        weight *= mean / N
        total += weight * one.get(wanted, 0.0)
    return math.log(total) + sum(math.lgamma(k + 1) for k in observed.values())


def state_history(seen, phi, p, psi, lost):
    """Pr(history | first encounter and its state): the sum over all sequences of states and death.

    phi[t][i] survival in state i from occasion t; p[t][j] detection on occasion t; psi[t][i][j] moves from t to t + 1.
    """
    T, S = len(seen), len(phi[0])
    met = [t for t, s in enumerate(seen) if s > 0]
    end = met[-1] if lost else T - 1

    def onward(t, state):
        if t == end:
            return 1.0
        s = seen[t + 1]
        if state is None:
            return 0.0 if s > 0 else onward(t + 1, None)
        total = 0.0 if s > 0 else (1.0 - phi[t][state]) * onward(t + 1, None)
        for j in range(S):
            look = {0: 1.0 - p[t + 1][j], -1: 1.0}.get(s, p[t + 1][j] if s == j + 1 else 0.0)
            if look > 0:
                total += phi[t][state] * psi[t][state][j] * look * onward(t + 1, j)
        return total

    return onward(met[0], seen[met[0]] - 1)


def live_dead_history(states, between, v, lost):
    """Pr(live encounters and reports | first encounter): the sum over all lives. v[name][t], S already over intervals.

    Interval t follows occasion t; p[t] is of occasion t + 1. A report of -1 could not be made, a state of -1 not be
    met.
    """
    T = len(states)
    met = [t for t, s in enumerate(states) if s > 0]
    end = met[-1] if lost else T

    def report(t, outcomes):
        return outcomes[0] + outcomes[1] + outcomes[2] if between[t] == -1 else outcomes[between[t]]

    def onward(t, here):
        if t == end:
            return 1.0
        S, r, R, before = v["S"][t], v["r"][t], v["R"][t], v["R_prime"][t]
        quiet = all(x <= 0 for x in states[t + 1 :]) and all(x <= 0 for x in between[t + 1 :])
        total = (1.0 - S) * report(t, [(1 - r) * (1 - before), r, (1 - r) * before]) if quiet else 0.0
        alive = S * report(t, [1 - R, 0.0, R])
        if alive == 0.0 or t == T - 1:
            return total + alive
        stays = v["F"][t] if here else v["F_prime"][t]
        p = v["p"][t]
        look = {1: p, 0: 1 - p, -1: 1.0}[states[t + 1]]
        total += alive * stays * look * onward(t + 1, True)
        if states[t + 1] <= 0:
            total += alive * (1 - stays) * onward(t + 1, False)
        return total

    return onward(met[0], True)


def event_history(seen, phi, p, psi, delta, wrong, mistakes, pi, lost):
    """Pr(events | met first on this occasion): the sum over all sequences of states and death.

    seen[t] is 0, a recorded state 1..S, S + 1 (met, state unknown) or -1; phi, p, psi as for `state_history`;
    delta[t][i], wrong[t][i] of true state i; mistakes[i] lists what i can be taken for; pi[t][i] when first met.
    """
    T, S = len(seen), len(phi[0])
    met = [t for t, s in enumerate(seen) if s > 0]
    end = met[-1] if lost else T - 1

    def shown(t, i):
        if seen[t] == S + 1:
            return 1.0 - delta[t][i]
        if not mistakes[i]:
            return delta[t][i] * (seen[t] == i + 1)
        if seen[t] == i + 1:
            return delta[t][i] * (1.0 - wrong[t][i])
        return delta[t][i] * wrong[t][i] / len(mistakes[i]) * (seen[t] - 1 in mistakes[i])

    def onward(t, state):
        if t == end:
            return 1.0
        s = seen[t + 1]
        if state is None:
            return 0.0 if s > 0 else onward(t + 1, None)
        total = 0.0 if s > 0 else (1.0 - phi[t][state]) * onward(t + 1, None)
        for j in range(S):
            look = 1.0 if s == -1 else 1.0 - p[t + 1][j] if s == 0 else p[t + 1][j] * shown(t + 1, j)
            if look > 0:
                total += phi[t][state] * psi[t][state][j] * look * onward(t + 1, j)
        return total

    return sum(pi[met[0]][i] * shown(met[0], i) * onward(met[0], i) for i in range(S))


def matchings(weight):
    """Sum over all partial matchings of rows with columns of the product of the weights, one row after another."""
    if not weight:
        return 1.0
    first, rest = weight[0], weight[1:]
    total = matchings(rest)
    for j, w in enumerate(first):
        if w > 0:
            total += w * matchings([row[:j] + row[j + 1 :] for row in rest])
    return total


def bilateral(rows, p, both, left, matched, mean, most=40):
    """log-likelihood of identities with states 0 to 4 by flank: the sum over N and over who is who.

    Given N animals, the identities are labelled: N!/(N - n)! ways to give them to animals, n = rows less pairs.
    """
    T = len(p)

    def chance(t, event):
        one = p[t] * (1 - both)
        two = p[t] * both
        return [1 - p[t], one * left, one * (1 - left), two * (1 - matched), two * matched][event]

    def whole(row):
        return math.prod(chance(t, s) for t, s in enumerate(row))

    def join(a, b):
        return [3 if x and y else x or y for x, y in zip(a, b, strict=True)]

    known = [r for r in rows if 4 in r]
    lefts = [r for r in rows if 4 not in r and 1 in r]
    rights = [r for r in rows if 4 not in r and 2 in r]
    unseen = math.prod(1 - v for v in p)

    def over(todo, free, probability, animals):
        """Every left identity is alone, or is one of the free right ones."""
        if not todo:
            for r in free:
                probability *= whole(r)
            animals += len(free)
            total = 0.0
            for N in range(animals, most):
                ways = math.factorial(N) / math.factorial(N - animals)
                total += math.exp(-mean) * mean**N / math.factorial(N) * ways * unseen ** (N - animals)
            return probability * total
        total = over(todo[1:], free, probability * whole(todo[0]), animals + 1)
        for j, r in enumerate(free):
            total += over(todo[1:], free[:j] + free[j + 1 :], probability * whole(join(todo[0], r)), animals + 1)
        return total

    assert all(len(r) == T for r in rows)
    return math.log(over(lefts, rights, math.prod([1.0, *(whole(r) for r in known)]), len(known)))
