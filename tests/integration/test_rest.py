"""REST on the running server: documents, problems, pages of lists, streams, and who may ask."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import uuid
from urllib.parse import urlsplit

import pytest
from tests.conftest import wait_for

import cluster_interface as ci


class Unix(http.client.HTTPConnection):
    """HTTP over the server's socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=90)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(90)
        self.sock.connect(self._path)


def ask(server, method, path, body=None, **headers):
    """One request over the Unix socket: status, headers, bytes."""
    connection = Unix(server.directory / "run/api.sock")
    return exchange(connection, method, path, body, headers)


def exchange(connection, method, path, body, headers):
    """One request; JSON bodies are encoded."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, dict):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, answer.headers, data


def submit(server, key=None, **spec):
    """POST a job; the answer as it is."""
    spec = {"command": "true", "environment": {}} | spec
    return ask(server, "POST", "/api/v1/jobs", {"spec": spec}, Idempotency_Key=key or uuid.uuid4().hex)


def test_the_openapi_document_describes_the_routes(quick):
    """OpenAPI 3.1 with every route and readable schema names."""
    status, _, data = ask(quick, "GET", "/api/v1/openapi.json")
    document = json.loads(data)
    assert status == 200
    assert document["openapi"].startswith("3.1")
    for path in ("/jobs", "/jobs/{job}", "/jobs/{job}/cancel", "/jobs/{job}/events", "/uploads", "/inspect", "/queues"):
        assert f"/api/v1{path}" in document["paths"], sorted(document["paths"])
    assert {"JobView", "SubmitRequest", "JobPage"} <= set(document["components"]["schemas"])


def test_the_schema_of_the_job_spec_is_published(quick):
    """JSON Schema of the spec, with its fields."""
    _, _, data = ask(quick, "GET", "/api/v1/schemas/job.json")
    assert {"command", "environment", "files", "outputs", "resources"} <= set(json.loads(data)["properties"])


def test_errors_are_problem_documents(quick):
    """A bad spec answers 422 with every field and a message; an unknown job 404."""
    status, headers, data = submit(quick, resources={"memroy": 1}, comand="x")
    problem = json.loads(data)
    assert (status, headers["Content-Type"]) == (422, "application/problem+json")
    fields = {error["field"]: error["message"] for error in problem["errors"]}
    assert "did you mean `memory`" in fields["spec.resources.memroy"]
    assert "did you mean `command`" in fields["spec.comand"]
    status, headers, data = ask(quick, "GET", "/api/v1/jobs/nosuchjob")
    assert (status, json.loads(data)["status"]) == (404, 404)
    assert ask(quick, "GET", "/api/v1/nowhere")[0] == 404
    assert ask(quick, "POST", "/api/v1/jobs", b"{", Content_Type="application/json")[0] == 400
    assert ask(quick, "POST", "/api/v1/jobs", b"{}", Content_Type="text/plain", Idempotency_Key="x" * 8)[0] == 422


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"{", 400, "not JSON: Expecting property name"),
        (b"\xff", 400, "not JSON"),
        (b"[" * 100_000, 400, "nested too deep"),
        (
            rb'{"spec": {"command": "true", "files": {"x": {"content": "\ud800"}}}}',
            422,
            "spec.files.x.content: has half",
        ),
        (
            rb'{"spec": {"command": "true", "files": {"\udc00": {"content": ""}}}}',
            422,
            r"spec.files.'\udc00': has half",
        ),
    ],
)
def test_what_is_no_json_and_no_text_is_told(quick, data, status, words):
    """A body that cannot be read says where; half of a surrogate pair is no text, and the field that has it is named."""
    answered, _, answer = ask(quick, "POST", "/api/v1/jobs", data, Content_Type="application/json")
    assert (answered, words in json.loads(answer)["detail"]) == (status, True), answer


def test_whole_characters_may_be_escaped(quick):
    """A pair of escapes is one character."""
    data = rb'{"spec": {"command": "true", "environment": {}, "name": "\ud83d\ude00"}}'
    status, _, answer = ask(
        quick, "POST", "/api/v1/jobs", data, Content_Type="application/json", Idempotency_Key="k" * 8
    )
    assert (status, json.loads(answer)["name"]) == (201, "\N{GRINNING FACE}")


@pytest.mark.parametrize(
    "source",
    ["https://ada:s3cret@h/x", "git:https://ada:s3cret@h/x.git@v1!/y", "sftp://ada@h/x", "s3://ada:s3cret@b/x"],
)
def test_an_address_with_a_name_in_it_is_never_kept(quick, source):
    """What may be a password is refused before it is in a spec, and is not in the answer either."""
    status, _, data = submit(quick, files={"x": {"source": source}})
    assert (status, b"files.x.source: has a user name in it" in data, b"s3cret" in data) == (422, True, False)
    _, _, data = ask(quick, "POST", "/api/v1/files/check", {"files": {"x": {"source": source}}})
    assert json.loads(data)["problems"][0]["field"] == "files.x"


def test_inspection_places_the_parameters_of_a_sweep(quick):
    """What the script has an option for is in the command, of the others there is a word; odd names are refused."""
    files = {"a.py": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--n')\np.parse_args()\n"}
    _, _, data = ask(quick, "POST", "/api/v1/inspect", {"files": files, "parameters": ["n", "seed"]})
    proposal = json.loads(data)["proposal"]
    assert proposal["command"].endswith("a.py --n {n}")
    assert "parameter seed: the program finds it as $CLIF_PARAM_seed" in proposal["warnings"]
    assert ask(quick, "POST", "/api/v1/inspect", {"files": files, "parameters": ["a b"]})[0] == 422


def test_the_same_key_is_the_same_job(quick):
    """A repeated POST makes no second job."""
    key = uuid.uuid4().hex
    first, second = submit(quick, key), submit(quick, key)
    assert (first[0], second[0]) == (201, 200)
    assert json.loads(first[2])["id"] == json.loads(second[2])["id"]
    status, _, data = ask(quick, "POST", "/api/v1/jobs", {"spec": {"command": "true"}})
    assert status == 422
    assert json.loads(data)["errors"][0]["field"] == "Idempotency-Key"


def test_pages_of_jobs_are_walked_by_cursor(quick):
    """Every job once, newest first, in pages of two."""
    made = [json.loads(submit(quick, name=f"n{number}")[2])["id"] for number in range(5)]
    walked, cursor = [], ""
    while cursor is not None and len(walked) < 500:
        _, _, data = ask(quick, "GET", f"/api/v1/jobs?limit=2{cursor and '&cursor=' + cursor}")
        page = json.loads(data)
        walked += [job["id"] for job in page["jobs"]]
        cursor = page["next"]
    assert walked[:5] == made[::-1]
    assert len(walked) == len(set(walked))
    assert ask(quick, "GET", "/api/v1/jobs?cursor=rubbish")[0] == 422


def test_events_stream_and_resume(quick):
    """Server-sent events: each once with its id, resumed after the last, closed at the end."""
    job = json.loads(submit(quick)[2])["id"]
    quick.until(job, "completed")
    _, headers, data = ask(quick, "GET", f"/api/v1/jobs/{job}/events", Accept="text/event-stream")
    assert headers["X-Accel-Buffering"] == "no"
    ids = [int(found) for found in re.findall(rb"^id: (\d+)$", data, re.MULTILINE)]
    seen = [json.loads(found)["new"] for found in re.findall(rb"^data: (.*)$", data, re.MULTILINE)]
    assert (seen[0], seen[-1]) == ("submitted", "completed")
    assert ids == sorted(ids)
    _, _, rest = ask(quick, "GET", f"/api/v1/jobs/{job}/events", Accept="text/event-stream", Last_Event_ID=str(ids[0]))
    assert [int(found) for found in re.findall(rb"^id: (\d+)$", rest, re.MULTILINE)] == ids[1:]


def test_a_log_is_read_from_anywhere(quick):
    """Offsets from the beginning and from the end, and a word when it is over."""
    job = json.loads(submit(quick, command="printf 0123456789")[2])["id"]
    quick.until(job, "completed")
    _, headers, data = ask(quick, "GET", f"/api/v1/jobs/{job}/logs/out?offset=4")
    assert (data, headers["X-Log-Offset"], headers["X-Log-Size"], headers["X-Log-End"]) == (
        b"456789",
        "4",
        "10",
        "true",
    )
    assert ask(quick, "GET", f"/api/v1/jobs/{job}/logs/out?offset=-3")[2] == b"789"
    assert ask(quick, "GET", f"/api/v1/jobs/{job}/logs/none")[0] == 404
    assert ask(quick, "GET", f"/api/v1/jobs/{job}/logs/out?task=9")[0] == 404


def test_outputs_are_inert_and_ranged(quick):
    """HTML and SVG come as plain text or a download, sandboxed; ranges work; odd paths are 404."""
    job = json.loads(
        submit(quick, command="echo '<script>1</script>' > a.html; mkdir d; echo x > 'd/b c.svg'; ln -s /etc/passwd l")[
            2
        ]
    )["id"]
    quick.until(job, "completed")
    status, headers, data = ask(quick, "GET", f"/api/v1/jobs/{job}/outputs/a.html?preview=1")
    assert (status, data) == (200, b"<script>1</script>\n")
    assert headers["Content-Type"].startswith("text/plain")
    assert "sandbox" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "attachment" in ask(quick, "GET", f"/api/v1/jobs/{job}/outputs/a.html")[1]["Content-Disposition"]
    status, headers, data = ask(quick, "GET", f"/api/v1/jobs/{job}/outputs/a.html", Range="bytes=1-6")
    assert (status, data, headers["Content-Range"]) == (206, b"script", "bytes 1-6/19")
    assert ask(quick, "GET", f"/api/v1/jobs/{job}/outputs/d/b%20c.svg")[2] == b"x\n"
    for odd in ("l", "d", "../job.sh", "%2e%2e/%2e%2e/attempts/1/job.sh", "a.html%00", "..%5c", "x" * 5000):
        assert ask(quick, "GET", f"/api/v1/jobs/{job}/outputs/{odd}")[0] in (404, 400, 414), odd
    _, _, archive = ask(quick, "GET", f"/api/v1/jobs/{job}/archive?format=zip")
    assert archive.startswith(b"PK")
    assert ask(quick, "GET", f"/api/v1/jobs/{job}/archive?format=rar")[0] == 422


def test_uploads_resume_where_they_broke(quick):
    """Tus 1.0: created, half sent, asked, finished, used; a wrong offset is 409."""
    tus = {"Tus_Resumable": "1.0.0"}
    status, headers, _ = ask(
        quick, "POST", "/api/v1/uploads", Upload_Length="10", Upload_Metadata="filename YS50eHQ=", **tus
    )
    place = headers["Location"]
    assert status == 201
    send = {"Content_Type": "application/offset+octet-stream", **tus}
    assert ask(quick, "PATCH", place, b"01234", Upload_Offset="0", **send)[0] == 204
    assert ask(quick, "HEAD", place, **tus)[1]["Upload-Offset"] == "5"
    assert ask(quick, "PATCH", place, b"x", Upload_Offset="3", **send)[0] == 409
    source = f"upload:{place.rpartition('/')[2]}"
    early = submit(quick, command="cat a", files={"a": {"source": source}})
    assert (early[0], json.loads(early[2])["errors"][0]["field"]) == (422, "files.a.source")
    assert ask(quick, "PATCH", place, b"56789", Upload_Offset="5", **send)[0] == 204
    job = json.loads(submit(quick, command="cat a", files={"a": {"source": source}})[2])["id"]
    quick.until(job, "completed")
    assert ask(quick, "GET", f"/api/v1/jobs/{job}/logs/out")[2] == b"0123456789"
    assert ask(quick, "HEAD", place)[0] == 412


@pytest.fixture
def browser(quick):
    """What a browser needs: the address, and a cookie from a one-time link."""
    url = urlsplit(json.loads(ask(quick, "POST", "/api/v1/ui-links")[2])["url"])

    def go(method, path, body=None, **headers):
        headers.setdefault("Host", url.netloc)
        return exchange(http.client.HTTPConnection("127.0.0.1", url.port, timeout=60), method, path, body, headers)

    go.url = url
    return go


def enter(browser):
    status, headers, _ = browser("GET", f"{browser.url.path}?{browser.url.query}")
    assert status == 303
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    return cookie.partition(";")[0]


def test_the_loopback_listener_asks_for_a_session(browser):
    """Another account of the machine gets nothing without the link; the link works once."""
    assert browser("GET", "/api/v1/jobs")[0] == 401
    assert browser("GET", "/")[0] == 401
    cookie = enter(browser)
    assert browser("GET", "/api/v1/jobs", Cookie=cookie)[0] == 200
    assert browser("GET", "/", Cookie=cookie)[0] == 200
    again = browser("GET", f"{browser.url.path}?{browser.url.query}")
    assert "Set-Cookie" not in again[1]


def test_a_rebound_name_is_not_served(browser):
    """A Host other than our own is refused, with a good cookie too."""
    cookie = enter(browser)
    for host in ("evil.example", f"evil.example:{browser.url.port}", "127.0.0.1", ""):
        assert browser("GET", "/api/v1/jobs", Cookie=cookie, Host=host)[0] in (400, 421), host


def test_changes_need_the_csrf_token(browser, quick):
    """Without the page's token, with another origin, or as a form, nothing changes; with it, it does."""
    cookie = enter(browser)
    body = {"spec": {"command": "true", "environment": {}}}
    key = uuid.uuid4().hex
    assert browser("POST", "/api/v1/jobs", body, Cookie=cookie, Idempotency_Key=key)[0] == 403
    page = browser("GET", "/submit", Cookie=cookie)[2].decode()
    token = re.search(r'<meta name="csrf[^"]*" content="([^"]+)"', page)[1]
    good = {"Cookie": cookie, "Idempotency_Key": key, "X_CSRF_Token": token}
    assert browser("POST", "/api/v1/jobs", body, **good, Origin="http://evil.example")[0] == 403
    assert browser("POST", "/api/v1/jobs", json.dumps(body).encode(), **good, Content_Type="text/plain")[0] == 422
    assert browser("POST", "/api/v1/jobs", body, **good)[0] == 201


def test_the_unix_socket_is_for_its_own_account(quick, ordinary):
    """Another account cannot connect, and is told no where it could."""
    path = quick.directory / "run/api.sock"
    assert path.stat().st_mode & 0o077 == 0
    script = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(path)!r})"
    done = subprocess.run(["setpriv", "--reuid", ordinary, "--regid", ordinary, "--clear-groups", "/usr/bin/python3", "-c", script],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert "PermissionError" in done.stderr


def test_what_the_server_keeps_is_private(quick):
    """Database, uploads and log are readable by nobody else; the state directory lists nothing to others."""
    assert quick.state.stat().st_mode & 0o066 == 0
    assert (quick.state / "cluster-interface.db").stat().st_mode & 0o077 == 0
    assert (quick.state / "uploads").stat().st_mode & 0o077 == 0


def test_the_python_api_in_a_few_lines(quick, monkeypatch, tmp_path):
    """connect, submit, wait, look at logs and outputs."""
    for name in list(os.environ):
        if name.startswith("CLIF_"):
            monkeypatch.delenv(name)
    for name, value in quick.env.items():
        if name.startswith("CLIF_"):
            monkeypatch.setenv(name, value)
    script = tmp_path / "count.py"
    script.write_text("import sys\nprint('counted', sys.argv[1])\nopen('n.txt', 'w').write(sys.argv[1])\n")
    with ci.connect() as cluster:
        job = cluster.submit(str(script), args=["7"], cpus=1)
        job.wait()
        assert job.state == "completed"
        assert job.logs() in ("counted 7\n", b"counted 7\n")
        (output,) = job.outputs
        assert output.path == "n.txt"
        assert output.read() == b"7"
        with pytest.raises(ci.Rejected):
            cluster.job("nosuchjob").refresh()


def test_many_streams_leave_room_for_others(quick):
    """A plain request is answered while many event streams are open, which they stay until the job has ended."""
    job = json.loads(submit(quick, command="sleep 600")[2])["id"]
    streams = []
    for _ in range(30):
        connection = Unix(quick.directory / "run/api.sock")
        connection.request("GET", f"/api/v1/jobs/{job}/events", headers={"Accept": "text/event-stream"})
        streams.append(connection)
    assert ask(quick, "GET", "/api/v1/me")[0] == 200
    for connection in streams:
        connection.close()
    wait_for(lambda: quick.clif("cancel", job).returncode in (0, 2))


def test_importing_the_package_is_cheap():
    """`import cluster_interface` brings in neither Flask, SQLAlchemy nor pydantic."""
    code = "import sys, cluster_interface; print([m for m in ('flask', 'sqlalchemy', 'pydantic', 'click') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
