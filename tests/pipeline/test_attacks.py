"""Attacks on the local ClickHouse and registry by a web page, another user of the machine, or a client."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest

from neuroflux.stack.home import log_path
from neuroflux.stack.servers.confinement import TCP_SINCE, version
from tests.pipeline.conftest import Pipeline

pytestmark = pytest.mark.stack
confined = pytest.mark.skipif(version() < TCP_SINCE, reason="this kernel's Landlock refuses no TCP, or there is none")


def asked(
    pipeline: Pipeline, sql: str, headers: dict[str, str] | None = None, method: str = "POST"
) -> tuple[int, str, str | None]:
    """Query as the owner of the database: the status, the body, and the allowed origin."""
    url = f"{pipeline.settings.clickhouse_http}/"
    request = urllib.request.Request(url, sql.encode(), pipeline.login() | (headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), answer.headers.get("Access-Control-Allow-Origin")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers.get("Access-Control-Allow-Origin")


@confined
@pytest.mark.parametrize("file", ["/etc/passwd", "/proc/self/environ", "/proc/self/cmdline", "{home}/beside"])
def test_sql_reads_no_file_of_the_user(pipeline: Pipeline, file: str) -> None:
    beside = pipeline.settings.home / "beside"
    beside.write_text("canary")
    status, answer, _ = asked(pipeline, f"SELECT file('{file.format(home=pipeline.settings.home)}')")
    assert (status >= 400, "Permission denied" in answer, "canary" in answer) == (True, True, False)


@confined
def test_sql_writes_no_file_of_the_user(pipeline: Pipeline, tmp_path: Path) -> None:
    file = tmp_path / "profile"
    file.write_text("before")
    sql = f"INSERT INTO FUNCTION file('{file}', 'LineAsString') SETTINGS engine_file_truncate_on_insert = 1 SELECT 'x'"
    assert asked(pipeline, sql)[0] >= 400
    assert file.read_text() == "before"


@confined
def test_sql_reaches_no_other_server(pipeline: Pipeline) -> None:
    reached: list[str] = []

    class Inside(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reached.append(self.path)
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Inside) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        sql = f"SELECT * FROM url('http://127.0.0.1:{server.server_port}/', 'LineAsString') SETTINGS http_max_tries = 1"
        status, answer, _ = asked(pipeline, sql)
        server.shutdown()
    assert (status >= 400, reached) == (True, []), answer


def test_the_files_of_a_home_are_private(pipeline: Pipeline) -> None:
    home = pipeline.settings.home
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    written = (path for folder in ("clickhouse", "faust", "kafka", "registry") for path in (home / folder).rglob("*"))
    files = [*written, *(home / "logs").glob("*.log")]
    assert len(files) > 50
    open_to_others = [path for path in files if not path.is_symlink() and path.lstat().st_mode & 0o077]
    assert [str(path) for path in open_to_others if "vertx-cache" not in str(path)] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root can't become another user")
def test_another_user_of_the_machine_reads_and_writes_no_file(pipeline: Pipeline) -> None:
    home = pipeline.settings.home
    before = stat.S_IMODE(home.parent.stat().st_mode)
    home.parent.chmod(0o711)  # the folder of the tests is not accessible to others
    try:
        command = ["find", home.name, "-readable", "-print", "-o", "-writable", "-print"]
        found = subprocess.run(command, cwd=home.parent, user="nobody", capture_output=True, text=True, check=False)
    finally:
        home.parent.chmod(before)
    assert (found.stdout, "Permission denied" in found.stderr) == ("", True)


def test_no_password_can_be_read_with_sql(pipeline: Pipeline) -> None:
    _, answer, _ = asked(pipeline, f"SELECT file('{pipeline.settings.home.absolute()}/clickhouse/run/users.xml')")
    assert pipeline.login()["X-ClickHouse-Key"] not in answer


@pytest.mark.parametrize("user", ["", "default", "neuroflux"])
def test_without_the_password_nothing_is_read_or_written(pipeline: Pipeline, user: str) -> None:
    anybody = {"X-ClickHouse-User": user, "X-ClickHouse-Key": ""}
    for sql in (
        "SELECT 'canary' FROM neuroflux.quotes LIMIT 1",
        "DROP DATABASE neuroflux",
        "SELECT * FROM system.parts",
    ):
        status, answer, _ = asked(pipeline, sql, anybody)
        assert (status >= 400, "canary" in answer) == (True, False)


@pytest.mark.parametrize(
    "login", [{}, {"X-ClickHouse-User": "default"}, {"X-ClickHouse-User": "default", "X-ClickHouse-Key": ""}]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_engine_s_own_user_is_closed(pipeline: Pipeline, login: dict[str, str], method: str) -> None:
    """It has no password, may read the files of the stored rows, and may close the listeners."""
    folder = pipeline.settings.home.absolute() / "clickhouse"
    for sql in (
        f"SELECT file('{folder}/db/status')",
        f"SELECT toInt32(file('{folder}/run/users.xml'))",
        "SELECT count() FROM (SELECT number FROM system.numbers LIMIT 10)",
        "SYSTEM STOP LISTEN QUERIES ALL",
    ):
        request = urllib.request.Request(
            f"{pipeline.settings.clickhouse_http}/?query={quote(sql)}", headers=login, method=method
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        assert "QUOTA_EXCEEDED" in refused.value.read().decode()
    assert pipeline.query("SELECT 1") == [["1"]]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1.evil.example"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8123"},
    ],
)
def test_a_web_page_of_another_site_is_refused(pipeline: Pipeline, headers: dict[str, str]) -> None:
    status, answer, let = asked(pipeline, "SELECT 'canary'", {"Content-Type": "text/plain", **headers})
    assert (status, "canary" in answer, let) == (404, False, None)


def test_a_preflight_is_not_answered(pipeline: Pipeline) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    status, _, let = asked(pipeline, "", headers, "OPTIONS")
    assert (status, let) == (501, None)


def test_local_programs_and_pages_are_answered(pipeline: Pipeline) -> None:
    for headers in ({}, {"Host": "localhost"}, {"Origin": pipeline.settings.clickhouse_http}):
        assert asked(pipeline, "SELECT 'told'", headers)[:2] == (200, "told\n")


EVIL = "evil.example:8081"
REBOUND = {"Host": EVIL, "Origin": f"http://{EVIL}"}
SUBJECT = "/apis/ccompat/v7/subjects/orders.commands-value"
PAGES = [
    ("GET", "/apis/ccompat/v7/subjects", None),
    ("GET", "/apis/registry/v3/admin/export", None),
    ("POST", "/apis/ccompat/v7/subjects/evil-value/versions", {"schema": '{"type": "string"}'}),
    ("PUT", "/apis/ccompat/v7/config/orders.commands-value", {"compatibility": "NONE"}),
    ("DELETE", f"{SUBJECT}/versions/1", None),
    ("DELETE", SUBJECT, None),
    ("GET", "/ui/", None),
    ("GET", "/", None),
]


def registry_asked(
    pipeline: Pipeline, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, str, str | None]:
    """Ask the registry: the status, the body, and the allowed origin."""
    address = pipeline.settings.registry.removesuffix("/apis/ccompat/v7") + path
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/vnd.schemaregistry.v1+json", **(headers or {})}
    try:
        request = urllib.request.Request(address, data, sent, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), answer.headers.get("Access-Control-Allow-Origin")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers.get("Access-Control-Allow-Origin")


@pytest.mark.parametrize(("method", "path", "body"), PAGES, ids=[f"{method} {path}" for method, path, _ in PAGES])
@pytest.mark.parametrize(
    "headers", [REBOUND, {"Host": EVIL}, {"Origin": f"http://{EVIL}"}, {"Origin": "null"}], ids=str
)
def test_the_registry_refuses_a_page_of_another_site(
    pipeline: Pipeline, method: str, path: str, body: object, headers: dict[str, str]
) -> None:
    status, answer, let = registry_asked(pipeline, method, path, body, headers)
    assert (status, "orders" in answer, let) == (403, False, None)
    assert registry_asked(pipeline, "GET", f"{SUBJECT}/versions")[:2] == (200, "[1]")


def test_the_registry_refuses_a_preflight(pipeline: Pipeline) -> None:
    asks = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "content-type"}
    for headers in (REBOUND, {"Origin": "http://evil.example"}):
        status, _, let = registry_asked(pipeline, "OPTIONS", SUBJECT, headers=headers | asks)
        assert (status, let) == (403, None)


def test_clients_of_the_registry_need_no_password(pipeline: Pipeline) -> None:
    subject, schema = "/apis/ccompat/v7/subjects/mine-value", {"schema": '{"type": "string"}'}
    status, answer, _ = registry_asked(pipeline, "POST", f"{subject}/versions", schema)
    assert status == 200, answer
    number = json.loads(answer)["id"]
    read = registry_asked(pipeline, "GET", f"/apis/ccompat/v7/schemas/ids/{number}", headers={"Host": "localhost"})
    assert "string" in json.loads(read[1])["schema"]
    mine = "/apis/ccompat/v7/config/mine-value"
    assert registry_asked(pipeline, "PUT", mine, {"compatibility": "NONE"})[0] == 200
    assert registry_asked(pipeline, "DELETE", subject)[0] == 200
    assert registry_asked(pipeline, "DELETE", f"{subject}?permanent=true")[0] == 200


@pytest.mark.parametrize("what", ["Listening on:", "Management interface listening on"])
@pytest.mark.parametrize("path", ["/apis/ccompat/v7/subjects", "/health", "/"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PROXY"])
def test_the_registry_s_own_ports_give_nothing_to_a_browser(
    pipeline: Pipeline, what: str, path: str, method: str
) -> None:
    printed = log_path(pipeline.settings, "registry").read_text()
    port = re.findall(rf"{what} http://127.0.0.1:(\d+)", printed)[-1]
    with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as browser:
        browser.sendall(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 15\r\n\r\n".encode())
        try:
            browser.sendall(b"PROXY UNKNOWN\r\n")
            assert browser.recv(1 << 16) == b""
        except ConnectionError:
            pass  # closed before the rest was read
