"""What the made-up jobs left behind: pictures, papers, notebooks and logs, hostile ones among them."""

from __future__ import annotations

import json
import math
import struct
import zlib
from base64 import b64encode

EVIL = "<img src=x onerror=\"document.title='owned'\">"
BIDI = "report\u202egnp.exe"
LONG = "very-long-name-without-any-break-" * 3


def picture() -> bytes:
    """Draw a PNG (RFC 2083) of a damped wave, so that there is a picture to look at."""
    width, height = 560, 320
    rows = [bytearray(b"\xff" * width * 3) for _ in range(height)]
    for x in range(width):
        y = int(height / 2 - math.sin(x / 26) * math.exp(-x / 240) * height * 0.42)
        for thick in range(-2, 3):
            rows[min(height - 1, max(0, y + thick))][x * 3 : x * 3 + 3] = b"\x14\x64\x6d"
        rows[height // 2][x * 3 : x * 3 + 3] = b"\xbb\xc4\xc2"

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    raw = b"".join(b"\0" + bytes(row) for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def paper() -> bytes:
    """Write a PDF (ISO 32000-1) of one page with a line of text, a link and a script that no viewer here runs."""
    stream = b"BT /F1 24 Tf 60 700 Td (Angstrom fit) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    made, offsets = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, start=1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(made)
    return made + b"xref\n0 6\n0000000000 65535 f \n" + table + trailer


MARKDOWN = f"""
## What was done, *in short*

- the **first**, with `{EVIL}`
- [the paper](https://example.org/paper), [a trap](javascript:document.title='owned'),
  [another](data:text/html,<script>document.title='owned'</script>), [ours](/api/v1/jobs)

| n | chi |
|---|-----|
| 1 | <b>{EVIL}</b> |

![pixel](https://tracker.example/pixel.png) <script>document.title='owned'</script> &lt;i&gt; {BIDI}

    <iframe src="javascript:parent.document.title='owned'"></iframe>

<svg onload="document.title='owned'"></svg>
"""


def notebook() -> bytes:
    """Write a Jupyter notebook with every kind of output, hostile HTML and SVG among them."""
    outputs = [
        {"output_type": "stream", "text": ["41 rounds\n"]},
        {"output_type": "display_data", "data": {"image/png": b64encode(picture()).decode(), "text/plain": "<Figure>"}},
        {"output_type": "execute_result", "data": {"text/html": [EVIL, "<script>1</script>"], "text/plain": "0.982"}},
        {"output_type": "display_data", "data": {"image/svg+xml": EVIL}},
        {"output_type": "display_data", "data": {"image/png": b64encode(EVIL.encode()).decode()}},
        {"output_type": "error", "traceback": ["\x1b[31mZeroDivisionError\x1b[0m", EVIL]},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Fit\n", EVIL]},
        {"cell_type": "markdown", "source": MARKDOWN},
        {"cell_type": "code", "source": f"# {BIDI} {EVIL}\nfit(spectra)\nprint('<b>done</b>', 41)", "outputs": outputs},
    ]
    return json.dumps({"cells": cells, "nbformat": 4}).encode()


FIT = b"x\n=1+1\n"
FILES = {
    "results/paper.pdf": paper(),
    "results/fit.ipynb": notebook(),
    "results/all.json": b'{"amplitude":0.982,"tags":["<b>"]}',
    "run.log": b"".join(b"line %d\n" % n for n in range(60_000)) + b"the very end\n",
    "results/fit.png": picture(),
    "results/parameters.csv": b'parameter,value,"standard, error"\namplitude,0.982,0.011\n=HYPERLINK("x"),1,2\n',
    "results/summary.txt": "Ångström fit: converged after 41 rounds\nχ² = 1.07\n".encode(),
    "results/figure.svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=\'owned\'"/>',
    f"{EVIL}.html": b"<script>document.title='owned'</script><b>bold</b>",
    f"{BIDI}": b"\x7fELF\0",
    f"{LONG}.dat": b"1 2 3\n\x1b]52;c;AAAA\x07 and \xe2\x80\xae backwards\n",
}

LOG = (
    b"Reading 1204 spectra from /inputs/spectra\n"
    b"\x1b[32mok\x1b[0m 1204 read, \x1b[1;33mwarning\x1b[0m: 3 skipped\n"
    + b"".join(b"round %2d  chi2/nu %.4f\n" % (n, 1.07 + 9 * 0.8**n) for n in range(41))
    + b"  0%|          | 0/41\r 46%|####6     | 19/41\r100%|##########| 41/41\n"
)
EVIL_LOG = (
    b"\x1b]52;c;b3duZWQ=\x07tried to reach the clipboard\n"
    b"\x1b[2J\x1b[Hcleared? \xe2\x80\xaeesrever\xe2\x80\xac\n"
    b"<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\n"
)
ERRORS = (
    b"Traceback (most recent call last):\n"
    b'  File "/job/fold.py", line 88, in <module>\n'
    b"    stack = np.zeros((64, 40_000, 512))\n"
    b"\x1b[31mnumpy._core._exceptions._ArrayMemoryError\x1b[0m: Unable to allocate 9.77 GiB\n"
)
