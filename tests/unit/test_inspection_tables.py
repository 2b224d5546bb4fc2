"""Tables of parameters: as people have them, and as they should not have been."""

import csv
import datetime as dt
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook
from tests.counting import taken

from cluster_interface.inspection.sweeps import expand
from cluster_interface.inspection.tables import read_header, read_table, separator_of
from cluster_interface.model.errors import Rejected
from cluster_interface.model.sweep import Sweep

CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
ROWS = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1))


def refusal(data: bytes | str | None, name: str = "p.csv", most: int = 1000) -> str:
    with pytest.raises(Rejected) as caught:
        read_table(name, data.encode() if isinstance(data, str) else data, most)
    assert [problem.field for problem in caught.value.problems] == ["sweep.table"]
    return str(caught.value)


def workbook(*rows: list) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


@given(ROWS, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]))
def test_what_was_written_is_read(rows, separator, end):
    """Whatever cells hold, quoted as RFC 4180 says, arrives as it was; rows of nothing but nothing are left out."""
    header = [f"p{number}" for number in range(len(rows[0]))]
    target = io.StringIO()
    csv.writer(target, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    kept = [dict(zip(header, row, strict=True)) for row in rows if any(row)]
    data = target.getvalue().encode()
    if kept:
        assert read_table("p.csv", data) == kept
    else:
        assert "no rows" in refusal(data)


@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.xlsx"]))
def test_bytes_are_a_table_or_refused_in_words(data, name):
    """Nothing but a table or a refusal ever comes of any bytes."""
    for start in (b"", b"a,b\n", b"PK\x03\x04", b"\xff\xfe"):
        try:
            assert read_table(name, start + data)
        except Rejected as error:
            assert str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_byte_order_marks_are_recognised(separator, encoding):
    """What spreadsheet programs of different countries save is understood."""
    text = f"n{separator} lr \r\n1{separator}0,5\r\n" if separator != "," else "n, lr \r\n1,0.5\r\n"
    value = "0,5" if separator != "," else "0.5"
    assert read_table("p.csv", text.encode(encoding)) == [{"n": "1", "lr": value}]


def test_a_file_named_tsv_is_parted_by_tabs():
    """The name of a .tsv decides, whatever stands in its header."""
    assert read_table("p.tsv", b"n\n1,2\n") == [{"n": "1,2"}]
    assert separator_of("a,b;c") == ","


def test_blank_rows_and_empty_cells_at_the_end_are_left_out():
    """Rows and columns that spreadsheets add are no tasks and no parameters."""
    assert read_table("p.csv", b"a,b,,\n1,2,,\n,,,\n\n3,,,\n") == [{"a": "1", "b": "2"}, {"a": "3", "b": ""}]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("n,lr\n", "no rows"),
        ("n,lr\n1,2\n3\n", "row 3: it has 1 cell, the header 2"),
        ("n,lr\n1,2\n\n3,4,5\n", "row 4: it has 3 cells, the header 2"),
        ("n,n\n1,2\n", "columns 1 and 2 are both called n"),
        ("n,,m\n1,2,3\n", "column 2 has no name"),
        ("learning rate,n\n1,2\n", "call it for example learning_rate"),
        ("2nd\n1\n", "call it for example p_2nd"),
        ("Größe\n1\n", "cannot be a parameter's name"),
        ("n\n" + "x" * 5000, "row 2, column n: this value has 5,000 bytes; at most 4,096"),
        ('n\n"open\n', "row 2: a quoted cell does not end"),
        ('n\n"a"b\n', "row 2: its quotes are amiss"),
        ("n\n" + '"' + "x" * 200_000 + '"', "row 2"),
        ("n\n" + "1\n" * 1001, "more than 1,000 rows"),
        (",".join(f"p{n}" for n in range(300)) + "\n1\n", "300 columns"),
        (b"\x7fELF\0\0", "is not a table"),
        (b"n\n1\n\xe4\n", "row 3: this is not UTF-8"),
        (None, "must be uploaded"),
    ],
)
def test_every_mistake_is_told_with_its_place(data, words):
    """Row and column are those of a spreadsheet program, and what is wrong can be mended."""
    assert words in refusal(data)


def test_cells_of_a_workbook_are_as_people_wrote_them():
    """Whole numbers have no point, dates are ISO 8601, truth values are the spec's; nothing is lost on the way."""
    days = [dt.date(2026, 3, 1), dt.datetime.fromisoformat("2026-03-01T09:30"), dt.time(9, 30)]
    written = [3.0, 0.1, 1e-7, True, *days, "it's; a,b", None]
    names = [f"p{number}" for number in range(len(written))]
    found = read_table("p.xlsx", workbook(names, written, [None], [7] + ["x"] * 8))
    expected = ["3", "0.1", "1e-07", "true", "2026-03-01", "2026-03-01T09:30:00", "09:30:00", "it's; a,b", ""]
    assert list(found[0].values()) == expected
    assert found[1]["p0"] == "7"


@given(st.lists(st.one_of(st.integers(-(10**12), 10**12), st.floats(-1e9, 1e9)), min_size=1, max_size=5))
def test_numbers_of_a_workbook_keep_their_value(numbers):
    """A number reads back as the number it was."""
    found = read_table("p.xlsx", workbook(["n"], *([number] for number in numbers)))
    assert [float(row["n"]) for row in found] == pytest.approx([float(number) for number in numbers])


def test_a_formula_gives_what_was_computed_last_or_is_told():
    """A formula that no spreadsheet program has computed has no value, and an error is none."""
    data = workbook(["n", "m"], [1, "=A2*2"])
    assert "row 2, column B: the formula has not been computed" in refusal(data, "p.xlsx")
    computed = _patched(data, "<v></v>", "<v>2</v>", "<v />", "<v>2</v>", "<v/>", "<v>2</v>")
    assert read_table("p.xlsx", computed) == [{"n": "1", "m": "2"}]
    broken = workbook(["n"], ["#DIV/0!"])
    assert "row 2, column A: the formula has the error #DIV/0!" in refusal(broken, "p.xlsx")


def _patched(data: bytes, *changes: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for part in old.namelist():
            text = old.read(part)
            for before, after in zip(changes[::2], changes[1::2], strict=True):
                text = text.replace(before.encode(), after.encode()) if "sheet1" in part else text
            new.writestr(part, text)
    return target.getvalue()


def test_what_is_no_readable_workbook_is_told():
    """Encrypted, broken, or something else in a zip."""
    assert "encrypted" in refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "p.xlsx")
    assert "not a workbook" in refusal(b"PK\x03\x04 and so on", "p.xlsx")
    assert "not a workbook" in refusal(b"a,b\n1,2\n", "p.xlsx")
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.txt", "a")
    assert "a zip archive, but not a workbook" in refusal(target.getvalue(), "p.csv")
    assert "broken" in refusal(_patched(workbook(["n"], [1]), "<row", "<wor"), "p.xlsx")


def test_a_bomb_is_not_unpacked():
    """A workbook that would unpack to gigabytes is refused by what its directory says."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as part:
            for _ in range(300):
                part.write(bytes(2**20))
    assert "unpacks to more" in refusal(target.getvalue(), "p.xlsx")


def test_a_cell_far_away_costs_nothing():
    """One cell in the last corner of a sheet is no reason to make room for all the others."""
    book = Workbook()
    book.active["A1"], book.active["A2"], book.active["XFD9"] = "n", 1, 1
    target = io.BytesIO()
    book.save(target)
    with taken() as most:
        assert "row 9: it has 16384 cells, the header 1" in refusal(target.getvalue(), "p.xlsx")
    assert most() < 4 * 2**20


def test_the_header_alone_can_be_read():
    """The names of the parameters are known before anything is submitted."""
    assert read_header("p.csv", b"n;lr\n1;2\n") == ["n", "lr"]
    assert read_header("p.xlsx", workbook(["n", "lr"])) == ["n", "lr"]


# --- written out


def test_a_million_tasks_are_refused_before_they_are_written_out():
    """The count alone refuses; no list of them is ever made."""
    sweep = Sweep.parse({"parameters": {name: list(range(1000)) for name in "abcdef"}})
    with taken() as most, pytest.raises(Rejected, match=r"1,000,000,000,000,000,000 tasks; this site allows 1,000"):
        expand(sweep, [], lambda _: None, 1000)
    assert most() < 2**20


def test_a_sweep_over_files_takes_those_that_match_in_order():
    """Directories are none, and a pattern that matches nothing is told with what there is."""
    files = ["data/b.fastq", "data/a.fastq", "data/", "fit.py"]
    rows = expand(Sweep(files="data/*.fastq"), files, lambda _: None, 10)
    assert rows == [{"file": "data/a.fastq"}, {"file": "data/b.fastq"}]
    with pytest.raises(Rejected, match=r"no input matches 'x/\*'"):
        expand(Sweep(files="x/*"), files, lambda _: None, 10)
    with pytest.raises(Rejected, match="2 tasks; this site allows 1"):
        expand(Sweep(files="data/*"), files, lambda _: None, 1)


def test_a_table_is_read_from_the_tree():
    """Each row is a task."""
    rows = expand(Sweep(table="p.csv"), ["p.csv"], lambda _: b"n\n1\n2\n", 10)
    assert rows == [{"n": "1"}, {"n": "2"}]
