"""Finds what comes before itself, in an order that people have written down."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def find_circle(before: Mapping[str, Collection[str]]) -> list[str]:
    """Return names that each come before the next, and the last before the first; else nothing."""
    done: set[str] = set()
    for root in sorted(before):
        path: list[str] = []
        work = [(root, iter(sorted(before.get(root, ()))))] if root not in done else []
        path += [root] if work else []
        while work:
            name, following = work[-1]
            later = next(following, None)
            if later is None:
                done.add(name)
                work.pop()
                path.pop()
            elif later in path:
                return path[path.index(later) :]
            elif later not in done:
                path.append(later)
                work.append((later, iter(sorted(before.get(later, ())))))
    return []
