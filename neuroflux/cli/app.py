"""The program ``neuroflux``: each command in a few lines over the modules that do the work."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Coroutine
from decimal import Decimal
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from neuroflux.domain import CommandKind, ControlKind, OrderCommand, OrderEvent, OrderType, Side
from neuroflux.errors import NeuroFluxError, UsageError

if TYPE_CHECKING:
    from neuroflux.runtime.settings import Settings
    from neuroflux.stack.plan import Venue

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")

app = typer.Typer(
    name="neuroflux", help="Trade on several exchanges from one place.", no_args_is_help=True, add_completion=False
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
Live = Annotated[bool, typer.Option("--live", help="Public feeds of the real exchanges; orders are filled on paper.")]
Trade = Annotated[bool, typer.Option("--trade", help="With --live: send orders to the real exchanges, with your keys.")]
Yes = Annotated[bool, typer.Option("--yes", help="With --trade: do not ask for confirmation.")]
Withdrawals = Annotated[
    bool, typer.Option("--allow-withdrawals", help="With --trade: accept keys that may also withdraw.")
]
T = TypeVar("T")


class Watched(StrEnum):
    """Short names of topics; a topic's full name works too."""

    PRICES = "prices"
    ARBITRAGE = "arbitrage"
    HEALTH = "health"
    ORDERS = "orders"


_TOPIC_NAMES = {
    Watched.PRICES: "prices.aggregated",
    Watched.ARBITRAGE: "arbitrage.signals",
    Watched.HEALTH: "exchange.health",
    Watched.ORDERS: "orders.events",
}


def _run(work: Coroutine[Any, Any, T]) -> T:
    import uvloop

    return uvloop.run(work)


def _venue(live: bool, trade: bool) -> Venue:
    from neuroflux.stack.plan import Venue

    if trade and not live:
        raise UsageError("--trade requires --live: orders to the simulated exchanges are always allowed")
    return Venue.REAL if trade else Venue.PAPER if live else Venue.SIMULATED


def _confirm(settings: Settings, *, yes: bool, allow_withdrawals: bool) -> None:
    from neuroflux.cli.live.accounts import live_accounts
    from neuroflux.cli.live.confirmation import check_confirmable, confirm

    check_confirmable(yes=yes)
    confirm(settings, _run(live_accounts(settings)), yes=yes, allow_withdrawals=allow_withdrawals)


@app.command()
def run(
    seconds: Annotated[
        float, typer.Option(help="Stop after this time and print a summary; 0 runs until Ctrl-C.", min=0)
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated exchanges.")] = 1,
    live: Live = False,
    trade: Trade = False,
    yes: Yes = False,
    allow_withdrawals: Withdrawals = False,
    json: Json = False,
) -> None:
    """Run the local stack, the simulated exchanges and the whole pipeline, with a live view."""
    from neuroflux.cli.run import run as run_pipeline
    from neuroflux.runtime.settings import load_settings

    settings, venue = load_settings(), _venue(live, trade)
    if trade:
        _confirm(settings, yes=yes, allow_withdrawals=allow_withdrawals)
    _run(run_pipeline(settings, seconds=seconds, seed=seed, as_json=json, venue=venue))


@app.command()
def up(
    brokers: Annotated[int, typer.Option(help="Kafka brokers: 1, or 3 with replication 3.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the simulated exchanges.")] = 1,
    secure: Annotated[
        bool, typer.Option("--secure", help="Kafka with authentication and authorization (ACLs).")
    ] = False,
    live: Live = False,
    trade: Trade = False,
    yes: Yes = False,
    allow_withdrawals: Withdrawals = False,
) -> None:
    """Start the same in the background; returns when everything answers."""
    from neuroflux.runtime.settings import load_settings
    from neuroflux.stack import daemon

    if brokers not in (1, 3):
        raise UsageError("--brokers is 1 or 3")
    settings, venue = load_settings(), _venue(live, trade)
    if trade:
        _confirm(settings, yes=yes, allow_withdrawals=allow_withdrawals)
    daemon.up(settings, brokers=brokers, seed=seed, secure=secure, venue=venue)


@app.command()
def down() -> None:
    """Stop what ``up`` started; no data is lost."""
    from neuroflux.runtime.settings import load_settings
    from neuroflux.stack import daemon

    daemon.down(load_settings())


@app.command()
def status(
    connect: Annotated[
        bool, typer.Option("--connect", help="Show addresses and logins for other clients instead.")
    ] = False,
    json: Json = False,
) -> None:
    """List each process, its address and its health."""
    from neuroflux.cli.connections import connections
    from neuroflux.cli.live_view import print_connections, print_status
    from neuroflux.runtime.settings import load_settings
    from neuroflux.stack import daemon

    settings = load_settings()
    if connect:
        print_connections(connections(settings), as_json=json)
    else:
        print_status(daemon.status(settings), as_json=json)


@app.command()
def logs(name: str, lines: Annotated[int, typer.Option(min=1, help="Number of lines.")] = 50) -> None:
    """Print the last lines of a process's log."""
    from neuroflux.runtime.settings import load_settings
    from neuroflux.stack import daemon

    path = daemon.log_path(load_settings(), name)
    if not path.exists():
        raise UsageError(f"{name} has no log; `neuroflux status` lists the names")
    typer.echo("\n".join(path.read_text(errors="replace").splitlines()[-lines:]))


@app.command()
def sim(
    port: Annotated[int, typer.Option(help="0 uses a free port.")] = 8900,
    seed: Annotated[int, typer.Option(help="The same seed gives the same markets.")] = 1,
) -> None:
    """Run the simulated exchanges alone."""
    from neuroflux.sim.server import run_forever

    _run(run_forever(port=port, seed=seed))


@app.command()
def order(
    side: Side,
    market: Annotated[str, typer.Argument(help="A market (BTC/USD) or one symbol (BTC/USDT, BTC/USDT:USDT).")],
    quantity: Annotated[str, typer.Argument(help="Units of the base.")],
    type: Annotated[OrderType, typer.Option()] = OrderType.MARKET,
    price: Annotated[str, typer.Option(help="For limit orders.")] = "0",
    strategy: Annotated[str, typer.Option(help="optimal, fastest, cheapest, balanced or redundant.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Print the order's events until it ends.")] = False,
    json: Json = False,
) -> None:
    """Publish an order."""
    from neuroflux.exchanges.config import DEFAULT_ROUTING_STRATEGY
    from neuroflux.kafka.commands import ISSUER, new_order_id, now

    command = OrderCommand(
        order_id=new_order_id(),
        kind=CommandKind.PLACE,
        market=market,
        side=side,
        type=type,
        quantity=_decimal("QUANTITY", quantity),
        price=_decimal("--price", price),
        strategy=strategy or DEFAULT_ROUTING_STRATEGY,
        issued_by=ISSUER,
        issued_at=now(),
    )
    if type is OrderType.LIMIT and command.price <= 0:
        raise UsageError("a limit order needs --price")
    _run(_order(command, wait=wait, as_json=json))


async def _order(command: OrderCommand, *, wait: bool, as_json: bool) -> None:
    from neuroflux.cli.live_view import print_record
    from neuroflux.kafka.commands import place_and_follow, publish_command
    from neuroflux.runtime.settings import load_settings

    if not wait:
        await publish_command(load_settings(), command)
        print_record(command, as_json=as_json)
        return
    last: OrderEvent | None = None
    async for event in place_and_follow(load_settings(), command):
        print_record(event, as_json=as_json)
        last = event
    if last is not None and last.state in ("refused", "rejected"):
        raise NeuroFluxError(f"order {command.order_id} was {last.state}: {last.reason}")


def _decimal(name: str, text: str) -> Decimal:
    """Stricter than Python, which also accepts ``1_000``, ``nan`` and digits of other scripts: these may be typos."""
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"{name}: {text!r} is not a number")
    return Decimal(text)


@app.command()
def cancel(order_id: str) -> None:
    """Request the cancellation of an order."""
    from neuroflux.kafka.commands import cancel as publish_cancel
    from neuroflux.runtime.settings import load_settings

    _run(publish_cancel(load_settings(), order_id))


@app.command()
def watch(
    what: Annotated[str, typer.Argument(help="prices, arbitrage, health, orders, or a topic.")], json: Json = False
) -> None:
    """Print the records of a topic, decoded, until Ctrl-C."""
    from neuroflux.cli.live_view import watch_topic
    from neuroflux.records.topics import BY_NAME

    topic = BY_NAME.get(_TOPIC_NAMES.get(Watched(what), "") if what in list(Watched) else what)
    if topic is None:
        raise UsageError(f"unknown topic {what}; known: {', '.join(sorted(BY_NAME))}")

    from neuroflux.runtime.settings import load_settings

    _run(watch_topic(load_settings(), topic, as_json=json))


@app.command()
def balances(json: Json = False) -> None:
    """Show the balances on all exchanges, and their value."""
    _ask("balances", json)


@app.command()
def health(json: Json = False) -> None:
    """Show the health of the exchanges, and recommended actions."""
    _ask("health", json)


@app.command()
def opportunities(json: Json = False) -> None:
    """List the open arbitrage opportunities."""
    _ask("opportunities", json)


@app.command()
def performance(json: Json = False) -> None:
    """Show returns and risk, from the equity stored in ClickHouse."""
    _ask("performance", json)


@app.command()
def audit(json: Json = False) -> None:
    """Compare the reported figures with the exchanges' own answers; exits with 1 if they differ."""
    from neuroflux.cli.audit.audit import audit as compare
    from neuroflux.cli.audit.printed import differences, show
    from neuroflux.runtime.settings import load_settings

    found = _run(compare(load_settings()))
    show(found, as_json=json)
    if differing := len(differences(found)):
        raise NeuroFluxError(f"{differing} figures differ from the exchanges' own")


def _ask(query: str, as_json: bool) -> None:
    from neuroflux.cli.ask import ask
    from neuroflux.runtime.settings import load_settings

    _run(ask(load_settings(), query, as_json=as_json))


@app.command()
def explain(order_id: str, json: Json = False) -> None:
    """Explain an order's routing: every candidate with its figures, and the ticks behind them."""
    from neuroflux.cli.explain import explain as find
    from neuroflux.cli.explain import print_explanation
    from neuroflux.runtime.settings import load_settings

    print_explanation(find(load_settings(), order_id), as_json=json)


@app.command()
def record(
    file: Path,
    seconds: Annotated[float, typer.Option(help="Stop after this time; 0 runs until Ctrl-C.", min=0)] = 0,
    live: Annotated[
        bool, typer.Option("--live", help="Record the real exchanges instead of the simulated ones.")
    ] = False,
) -> None:
    """Record the raw frames of the public feeds, for a replay."""
    from neuroflux.cli.record import record as keep
    from neuroflux.runtime.settings import load_settings

    _run(keep(load_settings(), file, seconds=seconds, live=live))


@app.command()
def replay(
    file: Path,
    speed: Annotated[float, typer.Option(min=0, help="1: at the original speed; 0: as fast as possible.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Number of workers that share the partitions.")] = 1,
    hold: Annotated[bool, typer.Option("--hold", help="Keep the stack running until Ctrl-C, for inspection.")] = False,
    json: Json = False,
) -> None:
    """Replay a recording through the pipeline, in its own log: signals and prices are the same each time."""
    from neuroflux.cli.replay import replay as play
    from neuroflux.runtime.settings import load_settings

    _run(play(load_settings(), file, speed=speed, workers=workers, hold=hold, as_json=json))


@app.command()
def decode(
    exchange: str, book_depth: Annotated[int, typer.Option(min=1, help="Levels of a book to write.")] = 20
) -> None:
    """Decode raw frames (JSON lines) from stdin to normalised events on stdout; no network."""
    from neuroflux.exchanges.decode import decode_lines

    # Bytes both ways: any input is a line in any locale, and lines end at "\n" alone.
    lines = TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace", newline="\n")
    for line in decode_lines(exchange, lines, book_depth):
        sys.stdout.buffer.write(line.encode() + b"\n")
    sys.stdout.buffer.flush()


@app.command()
def halt(why: Annotated[str, typer.Option(help="The reason, stored with the command.")] = "") -> None:
    """Stop new orders everywhere and cancel what is open."""
    _control(ControlKind.HALT, why)


@app.command()
def resume(why: Annotated[str, typer.Option(help="The reason, stored with the command.")] = "") -> None:
    """Allow new orders again."""
    _control(ControlKind.RESUME, why)


def _control(kind: ControlKind, why: str) -> None:
    from neuroflux.kafka.commands import publish_control
    from neuroflux.runtime.settings import load_settings

    _run(publish_control(load_settings(), kind, why))


def main() -> None:
    """Run the program; an error becomes one line on stderr and an exit code (see contracts: 0, 1, 2)."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except (KeyboardInterrupt, asyncio.CancelledError, typer.Abort):
        sys.exit(0)
    except typer.TyperException as error:
        message = getattr(error, "format_message", error.__str__)
        _fail(" ".join(str(message()).split()), 2)
    except UsageError as error:
        _fail(str(error), 2)
    except NeuroFluxError as error:
        _fail(str(error), 1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has closed it: nothing more can be printed
        sys.exit(0)


def _fail(reason: str, code: int) -> None:
    sys.stderr.write(f"neuroflux: {reason}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
