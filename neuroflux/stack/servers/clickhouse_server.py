"""Serve the ClickHouse engine of the chdb-core package: ``python -m neuroflux.stack.servers.clickhouse_server FOLDER``.

The package has one entry that creates a clickhouse-local, ``_chdb.query``. It reads ``./config.xml``, can open
listeners (SYSTEM START LISTEN), and has one engine per process. The query that opens them then sleeps until this
process is asked to stop and kills it over a normal connection. (Waiting for a file instead would need the right to read
files, which everybody would then have through `default`.)
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import socket
import sys
import sysconfig
import time
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import ModuleType

from neuroflux.runtime.settings import load_settings
from neuroflux.stack.servers.clickhouse import Server, as_owner, ask, server
from neuroflux.stack.servers.confinement import confine

RTLD_DEEPBIND = 0x8
SYSTEM = [
    Path(one)
    for one in (
        *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/localtime", "/etc/ld.so.cache"),
        *("/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/loadavg", "/proc/sys", "/sys/devices/system"),
        *("/sys/fs/cgroup", "/dev/urandom", "/dev/random"),
        *(f"/proc/self/{name}" for name in ("statm", "stat", "status", "maps", "io", "cgroup", "mountinfo", "limits")),
    )
]
DEVICES = [Path("/dev/null")]
STOP = "stopped"
QUOTA_EXCEEDED = 201
RETRY_SECONDS = 0.02
WAIT = "SELECT sleepEachRow(1) FROM system.numbers SETTINGS max_block_size = 1 FORMAT Null"


def load_engine() -> ModuleType:
    """Import ``_chdb`` alone: the package's __init__ starts its own engine, and needs pandas and pyarrow."""
    package = importlib.util.find_spec("chdb")
    if package is None or not package.submodule_search_locations:
        sys.exit("chdb-core is not installed: pip install 'neuroflux[stack]'")
    folder, here = Path(next(iter(package.submodule_search_locations))), Path.cwd()
    library = folder / "_chdb.abi3.so"
    os.chdir(folder)  # it loads its helper for this Python version by a relative name
    try:
        if sys.platform == "linux":
            ctypes.CDLL(str(library), mode=sys.getdlopenflags() | RTLD_DEEPBIND)  # as the package itself does
        spec = importlib.util.spec_from_file_location("_chdb", library)
        assert spec is not None
        assert spec.loader is not None
        engine = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(engine)
        return engine
    finally:
        os.chdir(here)


def serve(engine: ModuleType, folder: Path, ended: SimpleQueue[str]) -> None:
    """Open the listeners and wait; a query that returns without a stop is a failure."""
    try:
        engine.query(f"SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; {WAIT}", "TSV", path=str(folder / "db"))
        ended.put("the engine returned")
    except Exception as error:  # noqa: BLE001  # it raises its own and bare RuntimeErrors; all are logged and end the process
        ended.put(str(error))


def close_default(made: Server) -> None:
    """Close the engine's own user to clients: fail to log in as ``default`` until its quota refuses every login."""
    import clickhouse_driver  # noqa: F401  # while the engine starts, and not once everybody can log in

    while not (_listens(made) and _is_closed(made)):
        time.sleep(RETRY_SECONDS)


def _listens(made: Server) -> bool:
    try:
        socket.create_connection((made.host, made.port), timeout=2).close()
    except OSError:
        return False
    return True


def _is_closed(made: Server) -> bool:
    from clickhouse_driver import Client
    from clickhouse_driver.errors import Error

    client = Client(made.host, made.port, user="default", password="none", connect_timeout=2, send_receive_timeout=5)
    try:
        client.execute("SELECT 1")
    except Error as error:
        return int(error.code) == QUOTA_EXCEEDED
    except OSError:
        return False
    finally:
        client.disconnect()
    return False


def confine_engine(made: Server, folder: Path) -> None:
    """Confine the engine to its own folder, the files of Python and the system's libraries, and its two ports.

    Any user who may SELECT can read any file with ``file()``, which needs no right in a clickhouse-local.
    """
    code = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    if not confine([*code, *SYSTEM], [folder, *DEVICES], [made.port, made.http_port], [made.port]):
        print("this kernel has no Landlock: SQL can read and write every file of this user", file=sys.stderr)


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    if os.getpgrp() != os.getpid():
        os.setpgrp()  # SYSTEM SHUTDOWN signals the whole group
    (folder / "db" / "metadata").mkdir(parents=True, exist_ok=True)  # else the first start has no background tasks
    os.chdir(folder / "run")
    settings = load_settings()
    made, owner = server(settings), as_owner(settings)
    ended: SimpleQueue[str] = SimpleQueue()
    engine = load_engine()
    confine_engine(made, folder)
    serving = Thread(target=serve, args=(engine, folder, ended), daemon=True)
    serving.start()
    Thread(target=close_default, args=(made,), daemon=True).start()
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: ended.put(STOP))
    reason = ended.get()
    if reason != STOP:
        print(reason, file=sys.stderr, flush=True)
    elif ask(owner, f"KILL QUERY WHERE query = '{WAIT}' SYNC"):
        ended.get()
    else:
        print("the engine does not answer: exiting without a clean stop", file=sys.stderr, flush=True)
    os._exit(0 if reason == STOP else 1)  # the engine's threads crash when the interpreter ends normally


if __name__ == "__main__":
    main()
