"""A small writer of charts as SVG: panels with axes, lines, bands, rules and labels.

Readable in light and in dark, and without colour: every line has a style and a label of its own.
Colours: blue is the baseline, orange the canary, red only for harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape, quoteattr

Dots = Sequence[tuple[float, float]]

STYLE = """
svg { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --grid: #d8dee4; --fill: #8c959f;
  --baseline: #0a58ca; --canary: #b35900; --harm: #c1121f; background: var(--paper); }
@media (prefers-color-scheme: dark) { svg { --paper: #0d1117; --ink: #e6edf3; --soft: #9da7b1;
  --grid: #30363d; --fill: #8b949e; --baseline: #6cb6ff; --canary: #ffa657; --harm: #ff7b72; } }
text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.title { font-weight: 600; } .soft { fill: var(--soft); } .end { text-anchor: end; }
.middle { text-anchor: middle; }
path, line { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.grid { stroke: var(--grid); stroke-width: 1; } .frame { stroke: var(--soft); stroke-width: 1; }
.rule { stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 2 3; }
.limit { stroke-dasharray: 8 3 2 3; } .mark { stroke-width: 1.2; stroke-dasharray: 5 4; }
.harm { stroke: var(--harm); } text.harm { fill: var(--harm); stroke: none; }
.safe { stroke-dasharray: 7 3; } .baseline { stroke: var(--baseline); }
.canary { stroke: var(--canary); } .band { fill: var(--fill); fill-opacity: 0.25; stroke: none; }
.dashed { stroke-dasharray: 7 3; } .dotted { stroke-dasharray: 2 3; }
.dashdot { stroke-dasharray: 8 3 2 3; } .thick { stroke-width: 2.6; }
""".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps values to pixels.

    Attributes:
        low: Value at the first pixel.
        high: Value at the last one; may be below `low`.
        start: First pixel.
        stop: Last one.
        is_log: Equal ratios have equal lengths; both values are above 0.
    """

    low: float
    high: float
    start: float
    stop: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a value; what lies outside is drawn on the edge."""
        low, high = self._along(self.low), self._along(self.high)
        floor_value = min(self.low, self.high)
        part = (self._along(max(value, floor_value)) - low) / (high - low)
        return self.start + (self.stop - self.start) * min(1.0, max(0.0, part))

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values between both ends, about as many as asked for."""
        low, high = sorted((self.low, self.high))
        if self.is_log:
            powers = range(ceil(log10(low) - 1e-9), floor(log10(high) + 1e-9) + 1)
            step = max(1, ceil(len(powers) / most))
            return [10.0**power for power in powers if power % step == 0]
        rough = (high - low) / most
        unit = 10.0 ** floor(log10(rough))
        step_size = next(k * unit for k in (1, 2, 5, 10) if k * unit >= rough * (1 - 1e-9))
        first, last = ceil(low / step_size - 1e-9), floor(high / step_size + 1e-9)
        return [round(k * step_size, 12) for k in range(first, last + 1)]

    def _along(self, value: float) -> float:
        return log10(value) if self.is_log else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A frame with two axes. Its methods return SVG elements.

    Attributes:
        x: From the left edge to the right one.
        y: From the lower edge to the upper one, so that `start` is the larger pixel.
    """

    x: Scale
    y: Scale

    def axes(
        self,
        *,
        title: str,
        x_label: str,
        x_ticks: Sequence[tuple[float, str]],
        y_ticks: Sequence[tuple[float, str]],
    ) -> Iterator[str]:
        """Draw frame, grid and labels."""
        left, right, bottom, top = self.x.start, self.x.stop, self.y.start, self.y.stop
        yield text(left, top - 10, title, "title")
        for value, label in y_ticks:
            y = self.y.at(value)
            yield segment(left, y, right, y, "grid")
            yield text(left - 6, y + 4, label, "soft end")
        for value, label in x_ticks:
            x = self.x.at(value)
            yield segment(x, bottom, x, bottom + 4, "frame")
            yield text(x, bottom + 17, label, "soft middle")
        yield text((left + right) / 2, bottom + 33, x_label, "soft middle")
        yield segment(left, bottom, right, bottom, "frame")
        yield segment(left, top, left, bottom, "frame")

    def line(self, dots: Dots, style: str) -> str:
        """Draw a line through points."""
        places = " L".join(f"{self.x.at(x):.1f},{self.y.at(y):.1f}" for x, y in dots)
        return f"<path class={quoteattr(style)} d={quoteattr('M' + places)}/>" if dots else ""

    def band(self, lower: Dots, upper: Dots) -> str:
        """Fill what lies between two lines."""
        dots = [*lower, *reversed(upper)]
        places = " L".join(f"{self.x.at(x):.1f},{self.y.at(y):.1f}" for x, y in dots)
        return f'<path class="band" d={quoteattr("M" + places + "Z")}/>' if dots else ""

    def rule(
        self, value: float, label: str, style: str, *, is_below: bool = False
    ) -> Iterator[str]:
        """Draw a level across the panel, with its name above or below its right end."""
        y = self.y.at(value)
        yield segment(self.x.start, y, self.x.stop, y, style)
        place = y + 13 if is_below else y - 4
        if label:
            yield text(self.x.stop - 4, place, label, "end harm" if "harm" in style else "end")

    def mark(self, value: float, label: str, style: str) -> Iterator[str]:
        """Draw an upright line, with its name on the side that has room."""
        x = self.x.at(value)
        yield segment(x, self.y.stop, x, self.y.start, style)
        is_left = x < (self.x.start + self.x.stop) / 2
        place, anchor = (x + 5, "") if is_left else (x - 5, " end")
        colour = "harm" if "harm" in style else ""
        yield text(place, self.y.stop + 12, label, f"{colour}{anchor}".strip())


def segment(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """Return a straight line."""
    return (
        f'<line class={quoteattr(style)} x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
    )


def text(x: float, y: float, words: str, style: str = "") -> str:
    """Return a label."""
    chosen = f" class={quoteattr(style)}" if style else ""
    return f'<text{chosen} x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def document(width: int, height: int, *, title: str, about: str, parts: Sequence[str]) -> str:
    """Return the whole file.

    Args:
        width: In pixels; it scales with the page.
        height: Likewise.
        title: For who cannot see it: what it is.
        about: And what it shows.
        parts: Elements.
    """
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" role="img" aria-labelledby="title about">'
    )
    lines = [
        head,
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="about">{escape(about)}</desc>',
        f"<style>{escape(STYLE)}</style>",
        *(part for part in parts if part),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def count(value: float) -> str:
    """Return a number of tasks, thousands set apart."""
    return f"{round(value):,}".replace(",", " ")


def power(value: float) -> str:
    """Return a power of ten as people read it."""
    if 1e-3 <= value < 1e5:  # noqa: PLR2004 - longer ones are easier as powers
        return f"{value:g}"
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"10{str(round(log10(value))).translate(digits)}"
