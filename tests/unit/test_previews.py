"""What files are taken for and how they are shown: whatever bytes and names there are, nothing breaks and nothing acts."""

import io
import json
import zipfile

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_interface.api.downloads import _savable
from cluster_interface.inspection import workbooks
from cluster_interface.model.destinations import check_destination
from cluster_interface.model.errors import Permanent
from cluster_interface.model.media import media_type
from cluster_interface.service.previews import MOST_ROWS, PIECE, preview
from cluster_interface.staging.destinations.files import below_root

NAMES = ["a.csv", "a.tsv", "a.json", "a.ipynb", "a.xlsx", "a.png", "a.pdf", "a.svg", "a.html", "a.log", "a", "a.gz"]
MAGIC = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"%PDF-",
    b"PK\x03\x04",
    b"\xff\xd8\xff",
    b"{",
    b'{"cells":[{"cell_type":"code"',
    b"a,b\n",
]


def show(name, data, offset=None):
    """Preview some bytes."""
    return preview(name, io.BytesIO(data), len(data), offset)


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("notes.txt", b"\x89PNG\r\n\x1a\n....", "image/png"),
        ("plot.png", b"<script>1</script>", "text/plain"),
        ("plot.svg", b"<svg/>", "image/svg+xml"),
        ("x.csv", "ä,ö\n".encode(), "text/csv"),
        ("x.csv", b"a\0b", "application/octet-stream"),
        ("x.csv", "ä".encode()[:1], "text/csv"),  # cut within a character
        ("x.csv", b"\xe4,\xf6\n latin", "text/csv"),  # an older code page
        ("x.txt", bytes(range(0x80, 0x100)) + b"a few", "application/octet-stream"),
        ("x.xlsx", b"PK\x03\x04rest", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("x", b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
        ("x.JSON", b"{}", "application/json"),
        ("empty.tsv", b"", "text/tab-separated-values"),
        ("page.gif", b"GIF89a=1;alert(1)//", "image/gif"),
        ("song", b"RIFF....WAVE", "text/plain"),
    ],
)
def test_what_is_in_a_file_counts_more_than_its_name(name, data, kind):
    """Signatures first, then whether it is text, then the name."""
    assert media_type(name, data) == kind


@given(
    st.sampled_from(NAMES),
    st.sampled_from(MAGIC),
    st.binary(max_size=400),
    st.one_of(st.none(), st.integers(-500, 500)),
)
def test_any_bytes_can_be_shown(name, magic, rest, offset):
    """Whatever is in a file, there is a view that JSON can hold; text says truly where it is."""
    data = magic + rest
    view = show(name, data, offset)
    assert json.loads(view.model_dump_json())["size"] == len(data)
    if view.kind == "text" and offset is not None:
        assert 0 <= view.offset <= view.offset + view.length <= len(data)


@given(st.recursive(st.none() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["cells", "cell_type", "source", "outputs", "output_type", "data", "text", "image/png", "traceback"]), inner, max_size=4),
    max_leaves=12))  # fmt: skip
@settings(max_examples=30)
def test_any_notebook_can_be_shown(document):
    """A notebook whose parts are of any kind is laid out, or shown as the text it is."""
    view = show("a.ipynb", json.dumps({"cells": [document], "nbformat": 4}).encode())
    assert view.kind in ("parts", "text")


@given(st.text(min_size=1, max_size=9, alphabet="aä€😀\n"))
@settings(max_examples=25)
def test_pieces_of_a_text_join_without_a_broken_character(text):
    """Going on where a piece ended gives the whole text again."""
    text = text * (PIECE * 2 // len(text.encode()) + 1)
    data = text.encode()
    read, at = "", 0
    while at < len(data):
        view = show("a.txt", data, at)
        read += view.text
        at = view.offset + view.length
    assert read == text


def test_a_log_is_shown_from_its_end():
    """The last bytes unless something else is asked for; other text from its beginning."""
    data = b"x" * PIECE + b"end"
    assert show("a.log", data).text.endswith("end")
    assert show("a.txt", data).offset == 0


def test_markdown_is_a_text_to_be_laid_out():
    """Unless it is too long for that, or asked for from somewhere: then it is shown as it is."""
    text = b"# Fit\n\n<script>x</script>\n"
    seen = preview("notes.md", io.BytesIO(text), len(text))
    assert [(part.kind, part.text) for part in seen.parts] == [("markdown", text.decode())]
    for long, offset in ((text * 20_000, None), (text, 0)):
        assert preview("notes.md", io.BytesIO(long), len(long), offset).kind == "text"


def test_tables_are_bounded():
    """So many rows and columns, cut cells, and a note; a quote without an end costs nothing."""
    view = show("a.csv", b"n,text\n" + b"".join(b"%d,%s\n" % (n, b"y" * 900) for n in range(1000)))
    assert len(view.rows) <= MOST_ROWS + 1
    assert view.note
    assert max(len(cell) for row in view.rows for cell in row) < 600
    assert show("a.csv", b'a,"' + b"x" * 300_000).kind == "table"


def test_text_and_tables_of_older_programs_are_read():
    """Latin-1, and cells that are parted by semicolons because commas are in the numbers."""
    assert show("a.txt", "Grüße aus Köln".encode("cp1252")).text == "Grüße aus Köln"
    assert show("a.csv", "name;größe\na;1,5\n".encode("cp1252")).rows == (("name", "größe"), ("a", "1,5"))
    assert show("a.txt", "aä€".encode(), 2).text.endswith("€")  # a piece that begins within a character
    assert show("a.csv", b'"a;b;c",d\n').rows == (("a;b;c", "d"),)


def test_columns_that_are_not_shown_are_counted():
    """A table of four hundred columns says so."""
    assert "of 400 columns" in show("a.csv", b",".join(b"c%d" % n for n in range(400))).note
    assert show("a.csv", b"a,b\n1,2\n").note == ""


def workbook(rows):
    """Write a workbook with two sheets."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.create_sheet("<b>two").append(["=HYPERLINK(1)"])
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def test_workbooks_are_shown_sheet_by_sheet(monkeypatch):
    """Every sheet with its title; what unpacks to too much, or is broken, is told in words."""
    view = show("a.xlsx", workbook([["n", "day"], [1.0, "x"]]))
    assert (view.parts[0].text, view.parts[0].rows) == ("Sheet", (("n", "day"), ("1", "x")))
    assert view.parts[1].text == "<b>two"
    monkeypatch.setattr(workbooks, "MOST_LOOKED_AT", 2**20)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (2 * 2**20))
    told = show("a.xlsx", bomb.getvalue())
    assert told.kind == "none"
    assert "unpacks to more" in told.note
    assert show("a.xlsx", b"PK\x03\x04broken").kind == "none"


@given(st.text(max_size=60))
def test_no_name_breaks_a_header(name):
    """Whatever a program calls its file, what is suggested for saving has no control or mark of direction in it."""
    made = _savable(name)
    assert not set("\r\n\0\x1b\u202e") & set(made)


# --- places that outputs are taken to


@pytest.mark.parametrize(
    "to",
    ["", "/lab", "file:", "file:x", "file:/a/../b", "file:///../x", "s3:x", "s3://", "s3://b/../x", "sftp://", "sftp:/x",
     "sftp://u:p@h/x", "sftp://u@h/x", "s3://b/x?y", "http://h/x", "globus:x", "file:/a\nb", "sftp://[::1/x"],
)  # fmt: skip
def test_what_is_no_place_is_refused(to):
    """In words; passwords never stand in a spec."""
    with pytest.raises(ValueError, match=r"\w+"):
        check_destination(to)


@given(st.lists(st.sampled_from(["..", ".", "", "lab", "labs", "x", "\0", "lab/"]), max_size=6).map("/".join))
def test_no_path_leads_out_of_a_granted_directory(tmp_path_factory, path):
    """What is granted is below the root by its components, or it is refused."""
    root = tmp_path_factory.getbasetemp() / "lab"
    try:
        found, below = below_root(f"file:{root.parent}/{path}", [root])
    except (Permanent, ValueError):
        return
    assert found == root
    assert ".." not in below.split("/")
