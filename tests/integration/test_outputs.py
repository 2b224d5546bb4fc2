"""Outputs on the running server: types, folders, previews, resumed downloads, archives, links for strangers."""

import http.client
import io
import json
import subprocess
import time
import zipfile
from urllib.parse import urlsplit

import pytest
from tests.integration.test_rest import ask, exchange, submit

WORK = """
mkdir -p r/deep
printf 'a,b\\n=HYPERLINK("x"),<img src=x>\\n' > r/t.csv
printf '<svg onload="x"/>' > r/deep/v.svg
printf '\\211PNG\\r\\n\\032\\n<script>1</script>' > r/poly.html
head -c 3000000 /dev/urandom > big.bin
printf '\\033]52;c;AAAA\\007' > 'escape
.txt'
ln -s /etc/shadow r/link
ln -s / r/root
mkfifo r/pipe
"""


@pytest.fixture(scope="module")
def job(quick):
    """A job that left a bit of everything."""
    made = json.loads(submit(quick, command=WORK)[2])["id"]
    quick.until(made, "completed")
    return made


def get(server, path, **headers):
    """GET below the job's address."""
    return ask(server, "GET", f"/api/v1/jobs/{path}", **headers)


def test_outputs_have_types_by_content(quick, job):
    """Size, checksum and type of each; what is in a file counts for more than its name; no link, no pipe."""
    listed = {output["path"]: output for output in json.loads(get(quick, f"{job}/outputs")[2])["outputs"]}
    assert {path: output["type"] for path, output in listed.items()} == {
        "r/t.csv": "text/csv", "r/deep/v.svg": "image/svg+xml", "r/poly.html": "image/png",
        "big.bin": "application/octet-stream", "escape\n.txt": "text/plain",
    }  # fmt: skip
    lines = quick.clif("outputs", job).stdout.splitlines()
    assert f"r/t.csv\t{listed['r/t.csv']['size']}\t\ttext/csv\t{listed['r/t.csv']['sha256']}" in lines
    assert not any("\x1b" in line for line in lines)


def test_folders_are_browsed(quick, job):
    """Folders with their sums, pages of a folder, 404 for what is none."""
    top = json.loads(get(quick, f"{job}/browse")[2])
    assert [(entry["name"], entry["files"]) for entry in top["folders"]] == [("r", 3)]
    assert [output["path"] for output in top["outputs"]] == ["big.bin", "escape\n.txt"]
    page = json.loads(get(quick, f"{job}/browse?place=r&limit=2")[2])
    assert ([e["place"] for e in page["folders"]], [o["place"] for o in page["outputs"]]) == (
        ["r/deep"],
        ["r/poly.html"],
    )
    rest = json.loads(get(quick, f"{job}/browse?place=r&limit=2&start={page['next']}")[2])
    assert ([o["place"] for o in rest["outputs"]], rest["next"]) == (["r/t.csv"], None)
    for odd in ("..", "r/..", "%2e%2e/1", "r%5c", "nothing", "r/t.csv", "r%00", "r/root/etc"):
        assert get(quick, f"{job}/browse?place={odd}")[0] == 404, odd


def test_previews_are_text_whatever_is_in_a_file(quick, job):
    """Cells and text as JSON; a PNG that is a page is a picture, sandboxed and not sniffed."""
    table = json.loads(get(quick, f"{job}/preview/r/t.csv")[2])
    assert table["rows"] == [["a", "b"], ['=HYPERLINK("x")', "<img src=x>"]]
    assert json.loads(get(quick, f"{job}/preview/r/deep/v.svg")[2])["kind"] == "text"
    assert json.loads(get(quick, f"{job}/preview/r/poly.html")[2])["kind"] == "image"
    status, headers, _ = get(quick, f"{job}/outputs/r/poly.html?preview=1")
    assert (status, headers["Content-Type"], headers["X-Content-Type-Options"]) == (200, "image/png", "nosniff")
    assert "sandbox" in headers["Content-Security-Policy"]
    assert json.loads(get(quick, f"{job}/preview/big.bin")[2])["kind"] == "none"
    for odd in ("r/link", "r/root/etc/passwd", "r/pipe", "r", "%2e%2e/plan.json"):
        assert get(quick, f"{job}/preview/{odd}")[0] == 404, odd


def test_a_download_goes_on_where_it_broke(quick, job):
    """The rest by its range while the file is the same; from the beginning (200) once it is another."""
    _, headers, whole = get(quick, f"{job}/outputs/big.bin")
    tag = headers["ETag"]
    assert (headers["Accept-Ranges"], headers["Content-Length"]) == ("bytes", "3000000")
    status, _, rest = get(quick, f"{job}/outputs/big.bin", Range="bytes=2999990-", If_Range=tag)
    assert (status, rest) == (206, whole[-10:])
    assert get(quick, f"{job}/outputs/big.bin", If_None_Match=tag)[0] == 304
    assert get(quick, f"{job}/outputs/big.bin", Range="bytes=9999999-")[0] == 416
    path = quick.state / f"jobs/{job}/tasks/0/big.bin"
    path.write_bytes(whole)  # the same bytes at another time: nobody can be sure
    status, _, again = get(quick, f"{job}/outputs/big.bin", Range="bytes=2999990-", If_Range=tag)
    assert (status, again) == (200, whole)


def test_only_one_range_of_bytes_is_answered_alone(quick, job):
    """Other units, several ranges, what is no range and a HEAD get the whole (RFC 9110, 14.2); past the end is 416."""
    where = f"{job}/outputs/big.bin"
    _, _, whole = get(quick, where)
    for asked in ("items=0-4", "bytes=0-4,6-9", "bytes=5-2", "bytes=x", "bytes", "bytes=-0", "x"):
        status, headers, data = get(quick, where, Range=asked)
        assert (status, headers["Content-Range"], data == whole) == (200, None, True), asked
    status, headers, _ = ask(quick, "HEAD", f"/api/v1/jobs/{where}", Range="bytes=0-4")
    assert (status, headers["Content-Length"]) == (200, "3000000")
    for asked, span in (("bytes=0-0", slice(0, 1)), ("bytes=-5", slice(-5, None)), ("BYTES=2999999-", slice(-1, None))):
        status, headers, data = get(quick, where, Range=asked)
        assert (status, data) == (206, whole[span]), asked
    status, headers, _ = get(quick, where, Range="bytes=3000000-")
    assert (status, headers["Content-Range"]) == (416, "bytes */3000000")


def test_the_command_line_fetches_only_what_changed(quick, job):
    """A second fetch moves nothing; a changed file comes anew; what broke off goes on."""
    assert quick.clif("outputs", job, "--to", "got").returncode == 0
    assert "unchanged" in quick.clif("outputs", job, "--to", "got").stderr
    whole = (quick.work / "got/big.bin").read_bytes()
    (quick.work / "got/big.bin").write_bytes(b"old")
    done = quick.clif("outputs", job, "r", "--to", "some")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (quick.work / "some/r").rglob("*") if p.is_file()) == ["poly.html", "t.csv", "v.svg"]
    assert "replaced" in quick.clif("outputs", job, "big.bin", "--to", "got").stderr
    assert (quick.work / "got/big.bin").read_bytes() == whole


def test_folders_are_archived(quick, job):
    """One folder in each form, under its own name, by REST and the command line."""
    _, headers, data = get(quick, f"{job}/archive?format=zip&path=r/deep")
    assert "filename=deep.zip" in headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["deep/v.svg"]
    done = quick.clif("outputs", job, "r", "--archive", "r.tar.gz")
    assert (done.returncode, done.stdout, "archive      r.tar.gz" in done.stderr) == (0, "", True)
    listed = subprocess.run(["tar", "-tf", quick.work / "r.tar.gz"], capture_output=True, text=True, check=True).stdout
    assert listed.split() == ["r/deep/v.svg", "r/poly.html", "r/t.csv"]
    assert get(quick, f"{job}/archive?format=tar.zst")[2].startswith(b"\x28\xb5\x2f\xfd")
    assert get(quick, f"{job}/archive?path=nothing")[0] == 404
    assert quick.clif("outputs", job, "--archive", "r.rar").returncode == 2


# --- links


def share(server, job, **request):
    """Make a link; the answer's JSON."""
    status, _, data = ask(server, "POST", f"/api/v1/jobs/{job}/links", request)
    assert status == 201, data
    return json.loads(data)


def visit(url, method="GET", **headers):
    """Ask as somebody without an account, over TCP: status, headers, bytes."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    return exchange(connection, method, f"{parts.path}?{parts.query}" if parts.query else parts.path, None, headers)


def test_a_link_gives_one_file_to_a_stranger(quick, job):
    """Looking counts nothing, the button counts one; the bytes come with ranges; the server's log never saw either."""
    made = share(quick, job, path="r/t.csv", expires="1h", most=1)
    for method in ("GET", "HEAD", "GET"):
        status, headers, page = visit(made["url"], method)
        assert (status, headers["Referrer-Policy"], headers["Cache-Control"]) == (200, "no-referrer", "no-store")
    assert b"t.csv" in page
    assert b'content="None"' not in page
    assert job.encode() not in page
    status, headers, _ = visit(made["url"], "POST")
    place = urlsplit(made["url"])._replace(path=headers["Location"]).geturl()
    assert status == 303
    status, headers, data = visit(place, Range="bytes=2-")
    assert (status, data) == (206, b'b\n=HYPERLINK("x"),<img src=x>\n')
    assert "attachment" in headers["Content-Disposition"]
    assert "sandbox" in headers["Content-Security-Policy"]
    assert visit(place)[0] == 200  # resumed, or asked twice by a download manager: the same click
    assert visit(made["url"], "POST")[0] == 404
    assert made["url"].rpartition("/")[2] not in quick.log.read_text()
    assert place.rpartition("/")[2] not in quick.log.read_text()


def test_a_folder_is_given_as_a_zip(quick, job):
    """Everything below it, nothing beside it."""
    made = share(quick, job, path="r")
    _, headers, _ = visit(made["url"], "POST")
    data = visit(urlsplit(made["url"])._replace(path=headers["Location"]).geturl())[2]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sorted(archive.namelist()) == ["r/deep/v.svg", "r/poly.html", "r/t.csv"]


def test_links_that_are_not_good_are_all_alike(quick, job):
    """Altered, revoked, expired, used up or never made: 404 with the same words, and no other capability ever."""
    made = share(quick, job, path="r/t.csv", expires="1h")
    _, headers, _ = visit(made["url"], "POST")
    ticket = urlsplit(made["url"])._replace(path=headers["Location"]).geturl()
    token = made["url"].rpartition("/")[2]
    base = made["url"].removesuffix(token)
    short = share(quick, job, path="r/t.csv", expires=1)
    assert quick.clif("unshare", job, made["id"]).returncode == 0
    assert quick.clif("unshare", job, made["id"]).returncode == 2
    while time.time() <= short["expires"] + 0.01:
        time.sleep(0.05)
    odd = [token, token[:-1], f"{token}x", "x" * 43, "a" * 3000, "%2e%2e", "get", short["url"].rpartition("/")[2]]
    answers = [visit(f"{base}{one}")[::2] for one in odd]
    assert {status for status, _ in answers} == {404}, [status for status, _ in answers]
    words = {page.partition(b"<main")[2] for _, page in answers}
    assert len(words) == 1, words
    assert visit(ticket)[0] == 404  # revoked: also what had begun
    for path in ("/", f"/jobs/{job}", f"/api/v1/jobs/{job}", f"/api/v1/jobs/{job}/outputs", "/s/"):
        assert visit(urlsplit(base)._replace(path=path).geturl())[0] in (401, 404)
    assert visit(f"{base}{token}", "POST", Host="evil.example")[0] == 421


def test_what_a_link_may_be_is_bounded(quick, job):
    """Lifetimes, paths and counts outside the bounds name their field; others' jobs and links are 404."""
    for field, request in (
        ("expires", {"expires": "400d"}), ("expires", {"expires": "-1"}), ("path", {"path": "../.."}),
        ("path", {"path": "r/link"}), ("most", {"most": 0}), ("pathh", {"pathh": "r"}),
    ):  # fmt: skip
        status, _, data = ask(quick, "POST", f"/api/v1/jobs/{job}/links", request)
        assert (status, json.loads(data)["errors"][0]["field"]) == (422, field), data
    assert ask(quick, "POST", "/api/v1/jobs/unknown/links", {})[0] == 404
    assert ask(quick, "DELETE", f"/api/v1/jobs/{job}/links/unknown")[0] == 404
    done = quick.clif("share", job, "r/t.csv", "--expires", "2d", "--most", "3")
    assert done.returncode == 0, done.stderr
    assert visit(done.stdout.strip())[0] == 200
    assert "\tr/t.csv\t" in quick.clif("share", job, "--list").stdout
    assert quick.clif("unshare", job, "all").returncode == 0
    assert json.loads(get(quick, f"{job}/links")[2]) == {"links": []}


def test_only_the_checksum_of_a_token_is_kept(quick, job):
    """Neither the database nor its log has the token."""
    token = share(quick, job)["url"].rpartition("/")[2].encode()
    for path in quick.state.glob("*.db*"):
        assert token not in path.read_bytes()
