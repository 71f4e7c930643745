"""The interaction graph: who sends what to whom, how often, how fast, how well.

Collectors fold batches of records into windows of time; the controller merges the collectors'
windows and asks for a graph. Both are sums, so that neither the split into batches nor the order
in which they come or are merged matters, and cost grows with the batch, never with history.
The networkx graph is an export, built on demand: nothing updates it for each message.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import copy
from typing import TYPE_CHECKING, Literal

from rolewise.graphs.batch_ledger import BatchLedger, Loss
from rolewise.graphs.columns import Columns, Edge, in_columns
from rolewise.graphs.edge_table import EdgeSums, EdgeTable, tally_columns
from rolewise.graphs.graph_attributes import (
    Usage,
    edge_attributes,
    node_attributes,
    split_node,
)
from rolewise.graphs.interactions import Batch
from rolewise.graphs.task_rows import TaskRows
from rolewise.graphs.task_table import TASKS_KEPT, TaskTable

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["InteractionWindows", "Usage", "View", "split_node"]

View = Literal["version", "role"]

_NANO = 1_000_000_000


class InteractionWindows:
    """Sums of all interactions: one table for each window of time, and one for all time.

    Args:
        window_s: Length of a window; windows start at multiples of it on the collector's clock.
        windows: How many windows are kept, back from the newest.
        tasks_kept: See `TaskTable`.
        is_successor: Others have died with what came before; see `BatchLedger`.
    """

    def __init__(
        self,
        *,
        window_s: float = 10.0,
        windows: int = 360,
        tasks_kept: int = TASKS_KEPT,
        is_successor: bool = False,
    ) -> None:
        if window_s <= 0 or windows < 1:
            raise ValueError(f"window_s and windows must be positive: {window_s}, {windows}")
        self.window_s = window_s
        self.windows = windows
        self._tables: dict[int, EdgeTable] = {}
        self._total = EdgeTable()
        self._usage: dict[str, Usage] = {}
        self._ledger = BatchLedger(is_successor=is_successor)
        self._tasks = TaskTable(kept=tasks_kept)
        self._first: int | None = None
        self._latest_s = 0.0

    @property
    def lost(self) -> int:
        """Records that never came; right once all collectors of the batches are merged."""
        return self._ledger.lost

    @property
    def records(self) -> int:
        """Records folded so far."""
        return self._ledger.records

    def fold(self, batch: Batch, *, now_s: float, columns: Columns | None = None) -> bool:
        """Add a batch to the window that `now_s`, the time of its arrival, falls in.

        Args:
            batch: The batch.
            now_s: The collector's clock.
            columns: The batch in columns, if the caller has it so.

        Returns:
            False when the batch was folded before; then nothing changes.

        Raises:
            ValueError: The batch contradicts its own tables; then nothing changes.
        """
        columns = columns or in_columns(batch)
        window = int(now_s // self.window_s)
        if not self._ledger.enter(batch, columns.tasks, window=window):
            return False
        table = tally_columns(columns)
        self._tasks.add(columns, window=window)
        self._add(window, table)
        self._total.add(table)
        self._first = window if self._first is None else min(self._first, window)
        self._latest_s = max(self._latest_s, now_s)
        self._expire()
        return True

    def note_usage(
        self,
        node: str,
        *,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost_usd: float = 0.0,
        tool_calls: int = 0,
        tool_errors: int = 0,
    ) -> None:
        """Add what invocations of a node, `role@version`, used."""
        used = Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost_nano_usd=round(cost_usd * _NANO),
            tool_calls=tool_calls,
            tool_errors=tool_errors,
        )
        self._usage[node] = self._usage.get(node, Usage()).plus(used)

    def merge(self, other: InteractionWindows) -> None:
        """Add what another collector has seen; no batch may have been folded by both.

        Raises:
            ValueError: The two cut time differently.
        """
        if (self.window_s, self.windows) != (other.window_s, other.windows):
            raise ValueError("windows of different length or number do not merge")
        for window, table in other._tables.items():
            self._add(window, table)
        self._total.add(other._total)
        for node, used in other._usage.items():
            self._usage[node] = self._usage.get(node, Usage()).plus(used)
        self._ledger.merge(other._ledger)
        self._tasks.merge(other._tasks)
        firsts = [first for first in (self._first, other._first) if first is not None]
        self._first = min(firsts, default=None)
        self._latest_s = max(self._latest_s, other._latest_s)
        self._expire()

    def edges(
        self, *, last_s: float | None = None, now_s: float | None = None
    ) -> Mapping[Edge, EdgeSums]:
        """Return the sums of every edge.

        Args:
            last_s: Only windows that overlap this many seconds back from `now_s`; all time,
                also before the oldest window, when None.
            now_s: The collector's clock; the time of the latest batch when None.
        """
        if last_s is None:  # also what was before the oldest window
            return {edge: self._total.sums(edge) for edge in self._total}
        chosen = EdgeTable()
        since = self._since(last_s, now_s)
        for window, table in self._tables.items():
            if since is None or window >= since:
                chosen.add(table)
        return {edge: chosen.sums(edge) for edge in chosen}

    def task_rows(self) -> TaskRows:
        """Return the figures of every task that is remembered, for the pattern detectors."""
        return self._tasks.rows(partial=self._ledger.touched())

    def touched(self) -> frozenset[int]:
        """Return the tasks whose telemetry may be incomplete."""
        return frozenset(self._ledger.touched().tolist())

    def losses(
        self, *, last_s: float | None = None, now_s: float | None = None
    ) -> Mapping[str, Loss]:
        """Return what is missing of each replica incarnation's telemetry; as in `edges`."""
        return self._ledger.losses(since_window=self._since(last_s, now_s))

    def for_graph(self) -> InteractionWindows:
        """Return what a graph is made of, to be read or merged elsewhere: most of the rows less."""
        smaller = copy(self)
        smaller._tasks = self._tasks.for_counts()  # noqa: SLF001
        return smaller

    def usage(self) -> Mapping[str, Usage]:
        """Return what each node used, over all time."""
        return dict(self._usage)

    def to_networkx(
        self,
        *,
        view: View = "version",
        last_s: float | None = None,
        now_s: float | None = None,
        mirrored: bool = False,
        speaks: Mapping[str, Collection[str]] | None = None,
    ) -> nx.MultiDiGraph:
        """Build the graph for views and path algorithms.

        Args:
            view: `version`: nodes are `role@version`; `role`: versions count together, for
                comparing arms and ordering roles.
            last_s: As in `edges`.
            now_s: As in `edges`.
            mirrored: The graph of mirrored messages instead of that of live ones.
            speaks: Node -> the kinds that it declares to send, as `offer@1`: edges of it say then
                which schema their messages have.

        Returns:
            Nodes have `role`, `version`, `entry`, `started`, `in_flight` (requests to it that
            somebody waits for), `busy_s` (time that it spent on what it answered, the way there
            and back counted), `lost` (records that its replicas noted and that never came), usage
            (over all time) and, once it has begun with a message, `queue_ms_p50`, `_p95`, `_p99`
            and `queue_buckets`: how long messages waited for a slot.
            Edges are keyed by `(kind, arm)` and have counts, `failures` and how many of each code
            (`error_<code>`), `unanswered`, `rate` (sent a second), `tasks` (that used it),
            `bytes`, `bytes_sq` (sum of the squares), `bytes_mean`, `bytes_sd`, `max_hop`,
            `first_seen_s`, `last_seen_s`, `schema` where it is declared and, once a reply came,
            `latency_ms_sum`, `latency_ms_p50`, `_p95`, `_p99` and `latency_buckets`:
            `bucket:count` with spaces between, see `LATENCY_BUCKETS`.
            All attributes are plain numbers, strings and booleans, and all but quantiles and
            means add up.
        """
        import networkx as nx  # noqa: PLC0415 (collectors only fold, and there are many)

        span_s = self._span_s(last_s, now_s)

        def seen_as(edge: Edge) -> Edge:
            return edge._replace(src=_name(edge.src, view), dst=_name(edge.dst, view))

        tasks = self._tasks.count_by_edge(seen_as, since_window=self._since(last_s, now_s))
        sums_by_edge: dict[Edge, EdgeSums] = {}
        for edge, sums in self.edges(last_s=last_s, now_s=now_s).items():
            if edge.mirrored != mirrored:
                continue
            seen = seen_as(edge)
            known = sums_by_edge.get(seen)
            sums_by_edge[seen] = known.plus(sums) if known else sums

        graph = nx.MultiDiGraph(view=view, span_s=span_s, lost=self.lost)
        used_by_node = self._usage_by(view)
        names = {name for edge in sums_by_edge for name in (edge.src, edge.dst)}
        for name in sorted(names | used_by_node.keys()):
            received = [item for item in sums_by_edge.items() if item[0].dst == name]
            used = used_by_node.get(name, Usage())
            graph.add_node(name, **node_attributes(name, used, received))
        for source, loss in self.losses(last_s=last_s, now_s=now_s).items():
            name = _name(source.partition("#")[0], view)
            if name in graph:
                graph.nodes[name]["lost"] += loss.lost
        schemas = _schemas(speaks or {}, view)
        for edge in sorted(sums_by_edge):
            attributes = edge_attributes(edge, sums_by_edge[edge], span_s)
            if not mirrored:
                attributes["tasks"] = tasks.get(edge, 0)
            if schema := schemas.get((edge.src, edge.kind)):
                attributes["schema"] = schema
            graph.add_edge(edge.src, edge.dst, (edge.kind, edge.arm), **attributes)
        return graph

    def _usage_by(self, view: View) -> dict[str, Usage]:
        found: dict[str, Usage] = {}
        for node, used in self._usage.items():
            name = _name(node, view)
            found[name] = found.get(name, Usage()).plus(used)
        return found

    def _add(self, window: int, table: EdgeTable) -> None:
        self._tables.setdefault(window, EdgeTable()).add(table)

    def _expire(self) -> None:
        oldest = max(self._tables, default=0) - self.windows
        for window in [window for window in self._tables if window <= oldest]:
            del self._tables[window]

    def _since(self, last_s: float | None, now_s: float | None) -> int | None:
        """Return the first window that overlaps the seconds back from now; None for all time."""
        if last_s is None:
            return None
        now_s = self._latest_s if now_s is None else now_s
        return int((now_s - last_s) // self.window_s)

    def _span_s(self, last_s: float | None, now_s: float | None) -> float:
        """Return the seconds that the sums cover, at least one window, for rates."""
        now_s = self._latest_s if now_s is None else now_s
        first_s = 0.0 if self._first is None else self._first * self.window_s
        if last_s is not None:
            oldest_s = (now_s - last_s) // self.window_s * self.window_s
            kept_s = (max(self._tables, default=0) - self.windows + 1) * self.window_s
            first_s = max(first_s, oldest_s, kept_s)
        return max(now_s - first_s, self.window_s)


def _name(node: str, view: View) -> str:
    return node if view == "version" else split_node(node)[0]


def _schemas(speaks: Mapping[str, Collection[str]], view: View) -> Mapping[tuple[str, str], str]:
    """Return the schema of what each node sends, by kind: all that its versions declare."""
    found: dict[tuple[str, str], set[str]] = {}
    for node, kinds in speaks.items():
        for kind in kinds:
            found.setdefault((_name(node, view), kind.partition("@")[0]), set()).add(kind)
    return {key: ", ".join(sorted(schemas)) for key, schemas in found.items()}
