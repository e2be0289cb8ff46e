"""What a lesson reads of shortlists, candidate by candidate; and profiles, step by step."""

import math


def look_up(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    start, ids, values, chosen, version, sizes, usable, shown, told
):
    for i, column in enumerate(chosen):
        k = start[i + 1] - start[i]
        own_ids, own_values = ids[3 * start[i] :], values[8 * start[i] :]
        candidates = [
            (own_ids[j], own_ids[k + j], own_values[j], own_values[3 * k + j]) for j in range(k)
        ]
        n_variants, n_campaigns = sizes[version[i]]
        usable[i] = int(
            n_variants >= 0
            and all(
                variant in range(n_variants)
                and campaign in range(n_campaigns)
                and math.isfinite(affinity)
                and math.isfinite(dose)
                and not dose < 0
                for variant, campaign, affinity, dose in candidates
            )
        )
        found = candidates[column] if usable[i] and column >= 0 else (-1, -1, 0.0, 0.0)
        shown[0][i], shown[1][i], told[0][i], told[1][i] = found


def add_steps(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    first, slots, kept, variant, length, vectors, delta
):
    for i, slot in enumerate(slots):
        delta[slot] = [kept[i] * number for number in delta[slot]]
        for step in range(first[i], first[i + 1]):
            towards = vectors[variant[step]]
            delta[slot] = [
                number + length[step] * part
                for number, part in zip(delta[slot], towards, strict=True)
            ]
