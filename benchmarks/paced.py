"""``python -m benchmarks.paced PORT RATE``: two exchanges that together send RATE quotes per second, evenly spaced.

Both use Binance's protocols, ``/binance`` spot and ``/binanceusdm`` futures. Every twentieth of a second the spot
price of one market is some percent too low for one quote: an opportunity that ends with the next quote.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from benchmarks.fountain import accepted, framed
from benchmarks.frames import bases
from neuroflux.runtime.clock import wall

MARKETS = bases(10)
DIPS = 20
"""A second."""
TURN = 0.01
"""Seconds between two bursts."""
SIZE = "10.00000000"


def now() -> int:
    """Milliseconds, as in the exchange's messages."""
    return wall() // 1000


def first_diff(exchange: str, name: str) -> bytes:
    more = f',"pu":1,"T":{now()}' if exchange == "binanceusdm" else ""
    data = f'{{"e":"depthUpdate","E":{now()}{more},"s":"{name}USDT","U":1,"u":2,"b":[["100.00","9"]],"a":[]}}'
    return f'{{"stream":"{name.lower()}usdt@depth@100ms","data":{data}}}'.encode()


def quote(exchange: str, name: str, number: int, bid: float) -> bytes:
    times = f'"e":"bookTicker","E":{now()},"T":{now()},' if exchange == "binanceusdm" else ""
    tops = f'"b":"{bid:.2f}","B":"{SIZE}","a":"{bid + 0.05:.2f}","A":"{SIZE}"'
    data = f'{{{times}"u":{1_000_000_000 + number},"s":"{name}USDT",{tops}}}'
    return f'{{"stream":"{name.lower()}usdt@bookTicker","data":{data}}}'.encode()


def beginning(exchange: str) -> Iterator[bytes]:
    """Messages before the quotes: a diff of each book, and the rate of USDC."""
    for name in MARKETS:
        yield first_diff(exchange, name)
    if exchange == "binance":
        yield worth(0)


def worth(number: int) -> bytes:
    data = f'{{"u":{number + 1},"s":"USDCUSDT","b":"0.9999","B":"1000","a":"1.0001","A":"1000"}}'
    return f'{{"stream":"usdcusdt@bookTicker","data":{data}}}'.encode()


def burst(exchange: str, first: int, count: int, dip: int | None) -> Iterator[bytes]:
    """Quotes of one market after the other; with ``dip`` that market's quote is too low once, then correct again."""
    for number in range(first, first + count):
        yield quote(exchange, MARKETS[number % len(MARKETS)], number * 3, 100.0)
    if dip is not None and exchange == "binance":
        name, last = MARKETS[dip % len(MARKETS)], (first + count) * 3
        yield quote(exchange, name, last - 2, 99.0 - dip // len(MARKETS) % 2)
        yield quote(exchange, name, last - 1, 100.0)
        yield worth(first)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await reader.readuntil(b"\r\n\r\n")
    exchange = asked.split(b" ")[1].split(b"/")[1].split(b"?")[0].decode()
    writer.write(accepted(asked) + b"".join(map(framed, beginning(exchange))))
    each, began, sent, turns = int(sys.argv[2]) / 2, time.monotonic(), 0, 0
    with suppress(ConnectionError):  # the reader has enough
        while True:
            turns += 1
            due = int((time.monotonic() - began) * each)
            dip = turns * DIPS // 100 if turns * DIPS % 100 < DIPS else None
            writer.write(b"".join(map(framed, burst(exchange, sent, due - sent, dip))))
            sent = due
            await writer.drain()
            await asyncio.sleep(TURN)


async def main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
