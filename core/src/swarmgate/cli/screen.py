"""The screen of ``gateway top``: tables that follow the view, and keys.  Textual's; imported by the verb alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, cast

import msgspec
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Label, Static

from swarmgate.cli.feed import Feed, feed_of
from swarmgate.cli.streaming import Gone
from swarmgate.cli.views import MODELS, NODES, REQUESTS, Row, View
from swarmgate.config.settings import Settings
from swarmgate.http.wire.watching import HelloDocument, SampleDocument, WatchedSwarm
from swarmgate.sse import ServerEvent

_TABLES = (("nodes", NODES), ("models", MODELS), ("requests", REQUESTS))


class Question(ModalScreen[bool]):
    """Asks *text* and wants a yes or a no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
    ]
    CSS = "Question { align: center middle; } Question Label { border: round $primary; padding: 0 2; max-width: 76; }"

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Show the question."""
        yield Label(f"{self._text}\n\ny: yes   n: no", markup=False)

    def action_answer(self, yes: bool) -> None:  # Textual passes it so
        """Take the answer."""
        self.dismiss(yes)


class TopScreen(App[None]):
    """Shows the gateway that *settings* name until somebody quits."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("d", "drain", "drain or undrain"),
        Binding("slash", "filter", "filter"),
        Binding("escape", "unfilter", "show all", show=False),
    ]
    CSS = """
    #heading { height: 1; text-style: bold; }
    #sparks { height: 3; }
    #notice { height: 1; }
    .title { height: 1; text-style: bold underline; }
    Vertical.part { height: 1fr; min-height: 3; }
    DataTable { height: 1fr; scrollbar-size-horizontal: 0; }
    #part-models, #models { height: auto; max-height: 7; }
    #words { display: none; height: 1; border: none; padding: 0; }
    #words.asked { display: block; }
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._view = View()
        self._feed: Feed | None = None
        self._rows: dict[str, list[Row]] = {}

    def compose(self) -> ComposeResult:
        """Lay it out: who, how it went, three tables, what was said, and the keys."""
        yield Static(id="heading", markup=False)
        yield Static(id="sparks", markup=False)
        for name, _ in _TABLES:
            with Vertical(id=f"part-{name}", classes="part"):
                yield Label(name, classes="title")
                yield DataTable[str](id=name, cursor_type="row", zebra_stripes=False)
        yield Input(id="words", placeholder="show what contains ... (Enter keeps, Escape shows all)")
        yield Static(id="notice", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to follow the gateway."""
        for name, columns in _TABLES:
            table = self._table(name)
            for column in columns:
                table.add_column(column, key=column)
        self._table("nodes").focus()
        self._show()
        self.run_worker(self._follow(), exclusive=True)

    async def _follow(self) -> None:
        async with feed_of(self._settings) as feed:
            self._feed = feed
            async for event in feed.events():
                self._view = seen(self._view, event)
                self._show()

    def on_resize(self) -> None:
        """Draw the lines as wide as there is room."""
        self._show()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what contains what is typed."""
        self._view = replace(self._view, words=event.value)
        self._show()

    def on_input_submitted(self) -> None:
        """Keep the filter and go back to the tables."""
        self._table("nodes").focus()
        self.query_one("#words").set_class(bool(self._view.words), "asked")

    def action_filter(self) -> None:
        """Ask what is to be shown."""
        words = self.query_one("#words", Input)
        words.add_class("asked")
        words.focus()

    def action_unfilter(self) -> None:
        """Show everything again."""
        words = self.query_one("#words", Input)
        words.value = ""
        words.remove_class("asked")
        self._table("nodes").focus()

    def action_drain(self) -> None:
        """Ask whether the chosen node is to be drained, or taken back in."""
        rows, at = self._rows.get("nodes", []), self._table("nodes").cursor_row
        row = rows[at] if 0 <= at < len(rows) else None
        if row is None or not row.drains:
            self._notice("only those that answer can be drained; choose one among the nodes")
            return
        verb = "take back in" if row.draining else "send nothing new to"
        self.push_screen(Question(f"{verb} {row.cells[0]}?"), lambda yes: self._order(row) if yes else None)

    def _order(self, row: Row) -> None:
        async def drain() -> None:
            if self._feed is not None:
                self._notice(await self._feed.drain(row.drains, wanted=not row.draining))

        self.run_worker(drain())

    def _notice(self, words: str) -> None:
        self.screen_stack[0].query_one("#notice", Static).update(words)

    def _table(self, name: str) -> DataTable[str]:
        return cast("DataTable[str]", self.screen_stack[0].query_one(f"#{name}", DataTable))

    def _show(self) -> None:
        """Bring everything on the screen to what the view is now; nothing moves below the cursor."""
        view = self._view
        below = self.screen_stack[0]  # a question may stand above
        below.query_one("#heading", Static).update(view.heading())
        below.query_one("#sparks", Static).update("\n".join(view.sparks(self.size.width)))
        for name, rows in (("nodes", view.nodes()), ("models", view.models()), ("requests", view.requests())):
            if self._rows.get(name) != rows:
                _fill(self._table(name), self._rows.get(name, []), rows)
                self._rows[name] = rows


def seen(view: View, event: ServerEvent | Gone) -> View:
    """Return *view* after *event*."""
    if isinstance(event, Gone):
        return replace(view, gone=event.url)
    if event.name == "swarm":
        return view.told(msgspec.json.decode(event.data, type=WatchedSwarm))
    if event.name == "hello":
        return view.sampled(msgspec.json.decode(event.data, type=HelloDocument).samples, anew=True)
    if event.name == "sample":
        return view.sampled([msgspec.json.decode(event.data, type=SampleDocument)])
    return view


def _fill(table: DataTable[str], before: Sequence[Row], rows: Sequence[Row]) -> None:
    at = table.cursor_row
    key = before[at].key if 0 <= at < len(before) else ""
    table.clear()
    for row in rows:
        table.add_row(*row.cells)
    found = next((number for number, row in enumerate(rows) if row.key == key), min(at, len(rows) - 1))
    if rows:
        table.move_cursor(row=max(found, 0), scroll=False)
