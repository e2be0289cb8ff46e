"""What another model would have chosen: the choice's own oracle, decision by decision."""

from tests.naive import choice


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
