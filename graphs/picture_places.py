"""Where the boxes and arrows of the picture stand, so that no label lies on another.

Every arrow has a port of its own at each box, a line of text apart from the next. Beside a box it
runs level, as long as the labels there are; it only bends in the middle of a gap, where there are
none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from rolewise.graphs.layers import Edge, Layout, Place

PORT, BEND = 17.0, 90.0
_PADDING, _SPACE, _PASSING = 14.0, 20.0, 20.0
_SWEEPS = 8

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its upper left corner and its size."""

    x: float
    y: float
    wide: float
    high: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow.

    Attributes:
        points: It runs level from an even one to the next, and bends from an odd one to the next.
        label: Where its label begins, or ends if it leads back.
        leads_back: From right to left.
    """

    points: tuple[Point, ...]
    label: Point
    leads_back: bool


@dataclass(frozen=True, slots=True)
class Places:
    """The whole picture."""

    boxes: Mapping[str, Box]
    arrows: Mapping[Edge, Arrow]
    width: float
    height: float


def find_places(
    layout: Layout,
    *,
    wide: float,
    high: Mapping[str, float],
    label_wide: Mapping[Edge, float],
    margin: float,
) -> Places:
    """Return where everything stands.

    Args:
        layout: The layers.
        wide: Of every box.
        high: Of what is written in each box.
        label_wide: Of each way's label.
        margin: Around it all.
    """
    layer_of = {place: i for i, layer in enumerate(layout.layers) for place in layer}
    back = {edge for edge, way in layout.ways.items() if layer_of[way[0]] > layer_of[way[-1]]}
    # Room for labels right of each layer (of arrows that leave it) and left (of those that go back)
    right, left = defaultdict[int, float](float), defaultdict[int, float](float)
    for edge, room in label_wide.items():
        if edge in layout.ways:
            side = left if edge in back else right
            layer = layer_of[edge[0]]
            side[layer] = max(side[layer], room)
    x_of, x = [], margin
    for number in range(len(layout.layers)):
        x += left[number]
        x_of.append(x)
        x += wide + right[number] + BEND
    ends = _ends(layout, back)
    tall = _heights(layout, ends, high)
    middle = _middles(layout, tall)
    shift = margin - min((middle[p] - tall[p] / 2 for p in middle), default=0.0)
    middle = {place: y + shift for place, y in middle.items()}
    port = _ports(ends, middle)

    def at(place: Place, edge: Edge, *, is_right: bool) -> Point:
        x = x_of[layer_of[place]] + (wide if is_right else 0.0)
        # A way back that passes through stands a little lower than the way there.
        apart = _PASSING / 4 * (1 if edge in back else -1) if edge[::-1] in layout.ways else 0.0
        return x, port.get((place, is_right, edge), middle[place] + apart)

    arrows = {}
    for edge, way in layout.ways.items():
        goes_right = edge not in back
        points: list[Point] = []
        for here, there in pairwise(way):
            (x0, y0), (x1, y1) = (
                at(here, edge, is_right=goes_right),
                at(there, edge, is_right=not goes_right),
            )
            leave, arrive = right[layer_of[here]], left[layer_of[there]]
            if not goes_right:
                leave, arrive = -left[layer_of[here]], -right[layer_of[there]]
            points += [(x0, y0), (x0 + leave, y0), (x1 - arrive, y1), (x1, y1)]
        x, y = points[0]
        arrows[edge] = Arrow(tuple(points), (x + (6 if goes_right else -6), y - 4), not goes_right)
    boxes = {
        place: Box(x_of[layer_of[place]], middle[place] - tall[place] / 2, wide, tall[place])
        for place in middle
        if isinstance(place, str)
    }
    bottom = max((middle[p] + tall[p] / 2 for p in middle), default=margin)
    last = len(layout.layers) - 1
    width = (x_of[-1] + wide + right[last] if x_of else 0.0) + margin
    return Places(boxes, arrows, width, bottom + margin)


_End = tuple[Place, Edge]
"""The neighbour that an arrow goes to or comes from at a box, and the arrow."""


def _ends(layout: Layout, back: set[Edge]) -> dict[tuple[str, bool], list[_End]]:
    """Return what ends at each side of each box; the side is whether it is the right one."""
    ends: dict[tuple[str, bool], list[_End]] = defaultdict(list)
    for edge, way in layout.ways.items():
        goes_right = edge not in back
        ends[edge[0], goes_right].append((way[1], edge))
        ends[edge[1], not goes_right].append((way[-2], edge))
    return ends


def _heights(
    layout: Layout, ends: Mapping[tuple[str, bool], list[_End]], high: Mapping[str, float]
) -> dict[Place, float]:
    def height(place: Place) -> float:
        if not isinstance(place, str):
            return _PASSING
        ports = max(len(ends.get((place, side), ())) for side in (True, False))
        return max(high[place], ports * PORT) + _PADDING

    return {place: height(place) for layer in layout.layers for place in layer}


def _middles(layout: Layout, tall: Mapping[Place, float]) -> dict[Place, float]:
    """Return the height at which each place stands: near its neighbours, in order, apart."""
    near: dict[Place, list[Place]] = defaultdict(list)
    for way in layout.ways.values():
        for here, there in pairwise(way):
            near[here].append(there)
            near[there].append(here)
    middle: dict[Place, float] = {}
    for layer in layout.layers:
        y = -sum(tall[place] + _SPACE for place in layer) / 2
        for place in layer:
            middle[place] = y + tall[place] / 2
            y += tall[place] + _SPACE
    for sweep in range(_SWEEPS):
        for layer in layout.layers[:: 1 if sweep % 2 else -1]:
            wanted = [
                sum(middle[one] for one in near[place]) / len(near[place])
                if near[place]
                else middle[place]
                for place in layer
            ]
            middle |= zip(layer, _apart(layer, wanted, tall), strict=True)
    return middle


def _apart(
    layer: tuple[Place, ...], wanted: list[float], tall: Mapping[Place, float]
) -> Iterator[float]:
    """Yield heights near the wanted ones, each far enough below the one before."""
    gaps = [(tall[a] + tall[b]) / 2 + _SPACE for a, b in pairwise(layer)]
    down, up = list(wanted), list(wanted)
    for i, gap in enumerate(gaps):
        down[i + 1] = max(down[i + 1], down[i] + gap)
    for i, gap in reversed(list(enumerate(gaps))):
        up[i] = min(up[i], up[i + 1] - gap)
    # Pushed down and pushed up, both are far enough apart; so is what lies between.
    return ((a + b) / 2 for a, b in zip(down, up, strict=True))


def _ports(
    ends: Mapping[tuple[str, bool], list[_End]], middle: Mapping[Place, float]
) -> dict[tuple[Place, bool, Edge], float]:
    """Return the height of each arrow's port; arrows that lead upwards have the upper ones."""
    port: dict[tuple[Place, bool, Edge], float] = {}
    for (node, side), arrows in ends.items():
        ordered = sorted(arrows, key=lambda end: (middle[end[0]], end[1][0] != node, end[1]))
        for place, (_, edge) in enumerate(ordered):
            port[node, side, edge] = middle[node] + (place - (len(ordered) - 1) / 2) * PORT
    return port
