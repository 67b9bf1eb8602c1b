"""Train, validation, test: whatever shares a prompt, a session or a lineage stays on one side.

What belongs here: finding what belongs together and dealing it out. What does not: rows and files.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence

from pipeline.settings.exports import Shares

SPLITS = ("train", "validation", "test")


def together(keys: Sequence[Sequence[Hashable]]) -> list[int]:
    """For each row the number of its component; rows that share any key, directly or over others, share it.

    Components are numbered by their first row.
    """
    parent = list(range(len(keys)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[Hashable, int] = {}
    for place, row in enumerate(keys):
        for key in row:
            one, other = root(first.setdefault(key, place)), root(place)
            parent[max(one, other)] = min(one, other)
    return [root(place) for place in range(len(keys))]


def deal(keys: Sequence[Sequence[Hashable]], shares: Shares, seed: int) -> list[str]:
    """The split of each row: whole components, drawn by the seed, fill test and validation to their shares.

    A component larger than twice a split's share never goes there, so a few large components may leave test
    and validation small or empty; the last component may exceed a share. The draw depends on the components'
    keys, not on the order of rows.
    """
    components: dict[int, list[int]] = defaultdict(list)
    names: dict[int, str] = {}
    for place, component in enumerate(together(keys)):
        components[component].append(place)
        smallest = min((repr(key) for key in keys[place]), default=repr(place))
        names[component] = min(names.get(component, smallest), smallest)
    drawn = sorted(components, key=lambda component: _draw(seed, names[component]))
    quota = {"test": shares.test * len(keys), "validation": shares.validation * len(keys)}
    room = dict(quota)
    splits = ["train"] * len(keys)
    for component in drawn:
        members = components[component]
        target = next(
            (split for split in quota if room[split] > 0 and len(members) <= 2 * quota[split]), None
        )
        if target is None:
            continue
        room[target] -= len(members)
        for place in members:
            splits[place] = target
    return splits


def _draw(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
