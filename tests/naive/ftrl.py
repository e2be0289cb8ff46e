"""FTRL-proximal as its paper prints it: dictionaries of non-zero features, one head at a time."""

import math


def weight(z, n, settings):
    alpha, beta, l1, l2 = settings
    if abs(z) <= l1:
        return 0.0
    sign = 1.0 if z > 0 else -1.0
    return -1.0 / ((beta + math.sqrt(n)) / alpha + l2) * (z - sign * l1)


def weigh(settings, prior, z, n, weights):
    for h, head in enumerate(weights):
        for i in range(len(head)):
            head[i] = prior[h][i] + weight(z[h][i], n[h][i], settings)


def learn(coordinates, x, outcomes, offsets, settings, prior, z, n, scores):  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    alpha = settings[0]
    for h, offset in enumerate(offsets):
        for r, (names, values) in enumerate(zip(coordinates, x, strict=True)):
            features = {i: value for i, value in zip(names, values, strict=True) if i != -1}
            w = {i: weight(z[h][i], n[h][i], settings) for i in features}
            score = offset + sum((prior[h][i] + w[i]) * value for i, value in features.items())
            p = 1.0 / (1.0 + math.exp(-score))
            scores[h][r] = score
            for i, value in features.items():
                g = (p - outcomes[h][r]) * value
                sigma = (math.sqrt(n[h][i] + g**2) - math.sqrt(n[h][i])) / alpha
                z[h][i] += g - sigma * w[i]
                n[h][i] += g**2
