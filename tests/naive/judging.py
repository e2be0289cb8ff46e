"""What another model would have chosen: the choice's own oracle, decision by decision."""

import math

from tests.naive import choice, ftrl


def redraw(start, ids, values, settings, p, p_nothing):
    for i, rules in enumerate(settings):
        columns = range(start[i], start[i + 1])
        own_ids = [[int(row[j]) for j in columns] for row in ids]
        own_values = [[float(row[j]) for j in columns] for row in values]
        result = [0.0] * 8
        choice.find_arms(len(columns), own_ids, own_values, rules[0], rules[5], result)
        choice.mix_arms(len(columns), own_ids, own_values, rules, result)
        for j, probability in zip(columns, own_values[7], strict=True):
            p[j] = probability
        p_nothing[i] = result[1]


def rate(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    start,
    values,
    variant,
    campaign,
    own,
    cost,
    common,
    calibrators,
    settings,
    scale,
    prior,
    z,
    n,
    relevance,
):
    for i, features in enumerate(own):
        for j in range(start[i], start[i + 1]):
            p = []
            for h, (constant, of_affinity, of_dose) in enumerate(common):
                score = constant + of_affinity * values[0][j]
                score += of_dose * math.log(1.0 + max(values[3][j], 0.0))
                for coordinate in (*features, variant[j], campaign[j]):
                    if coordinate != -1:
                        w = ftrl.weight(z[h][coordinate], n[h][coordinate], settings)
                        score += scale[coordinate] * (prior[h][coordinate] + w)
                a, b = calibrators[h]
                p.append(1.0 / (1.0 + math.exp(-(a * score + b))))
            relevance[j] = p[0] - cost[i] * p[1]
