"""Calls that read or write files, and which of their arguments names the file.

Names are the last word of what is called, so `pd.read_csv` is `read_csv`. A place is the position of the
argument; -1 is the object a method is called on, as in `Path("x").write_text(…)`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import Flag, auto
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable


class Does(Flag):
    """What a call does to the file or directory that it names."""

    READ = auto()
    WRITE = auto()
    BOTH = READ | WRITE
    MAKE = auto()  #: makes a directory: what is written there is output
    LIST = auto()  #: lists a directory, or the files a pattern matches


@dataclass(frozen=True)
class Effect:
    """One file that a call touches."""

    does: Does
    node: ast.expr | None  #: what names the file; None: the current directory
    pattern: ast.expr | None = None  #: LIST: what is looked for below it
    suffix: str = ""  #: added by the call where the name has none: np.save writes .npy
    deep: bool = False  #: LIST: at any depth


SELF = -1
_FILE_KEYWORDS = (
    "path", "fname", "filename", "file", "filepath", "path_or_buf", "path_or_buffer", "filepath_or_buffer",
    "excel_writer", "fp", "name", "io", "src", "database", "f", "uri",
)  # fmt: skip
_WRITES: dict[str, int] = {
    **dict.fromkeys(
        words(
            "to_csv to_excel to_parquet to_json to_hdf to_pickle to_feather to_html to_latex to_netcdf to_stata to_xml "
            "to_orc to_markdown to_zarr savefig imsave imwrite mimsave mimwrite save_pretrained write_csv "
            "write_parquet write_ipc write_ndjson write_json write_excel sink_csv sink_parquet write_html write_image "
            "savetxt savez savez_compressed savemat tofile ExcelWriter FileHandler RotatingFileHandler FileWriter save "
            "VideoWriter render write_h5ad write_loom save_npz save_model save_weights dump_svmlight_file "
            "PdfPages to_file export_graphviz SummaryWriter write_gpickle"
        ),
        0,
    ),
    **dict.fromkeys(words("write_text write_bytes touch"), SELF),
    "urlretrieve": 1,
    "wget.download": 1,
    "joblib.dump": 1,
    "torch.save": 1,
    "SeqIO.write": 1,
    "AlignIO.write": 1,
    "Phylo.write": 1,
    **dict.fromkeys(words("write_gexf write_graphml write_edgelist write_gml write_adjlist"), 1),
}
_READS: dict[str, int] = {
    **dict.fromkeys(
        words(
            "read_csv read_table read_excel read_json read_parquet read_feather read_pickle read_hdf read_html "
            "read_sas read_spss read_stata read_fwf read_xml read_orc read_file read_h5ad read_10x_h5 "
            "scan_csv scan_parquet read_ipc loadtxt genfromtxt fromfile loadmat imread imread_collection load_npz "
            "load_model load_workbook open_dataset open_mfdataset open_dataarray open_zarr ExcelFile PdfReader "
            "np.load numpy.load joblib.load torch.load Image.open fits.open rasterio.open SeqIO.parse "
            "SeqIO.read SeqIO.index AlignIO.read AlignIO.parse Phylo.read ET.parse etree.parse minidom.parse "
            "AlignmentFile VariantFile FastaFile Fasta wavfile.read sf.read librosa.load nib.load VideoCapture "
            "read_edgelist read_gml read_graphml read_gexf read_adjlist load_dotenv MolFromMolFile SDMolSupplier "
            "Universe md.load read_mtx read_loom truetype"
        ),
        0,
    ),
    **dict.fromkeys(words("read_text read_bytes"), SELF),
}
_MAKES = {"makedirs": 0, "os.mkdir": 0, "mkdir": SELF}
_LISTS = {"listdir": 0, "scandir": 0, "walk": 0, "iterdir": SELF}
_GLOBS = {"glob.glob": 0, "glob.iglob": 0, "iglob": 0}
_OPENS = words(
    "open io.open codecs.open gzip.open bz2.open lzma.open tarfile.open zipfile.ZipFile ZipFile h5py.File File "
    "netCDF4.Dataset Dataset HDFStore tables.open_file open_file rasterio.open wave.open pd.HDFStore shelve.open "
    "aiofiles.open xopen zarr.open nc.Dataset h5.File fileinput.input fopen uopen TarFile"
)
_BOTH = {"sqlite3.connect": 0, "duckdb.connect": 0, "shelve.open": 0, "TinyDB": 0, "dbm.open": 0}
_SUFFIXES = {"np.save": ".npy", "numpy.save": ".npy", "savez": ".npz", "savez_compressed": ".npz", "savefig": ".png"}
_COPIES = words("shutil.copy shutil.copyfile shutil.copy2 shutil.copytree copyfile copy2 copytree")
_MOVES = words("shutil.move os.rename os.replace")


def effects(node: ast.Call) -> Iterable[Effect]:
    """List the files that one call reads, writes, makes or lists."""
    full = dotted(node.func)
    last = node.func.attr if isinstance(node.func, ast.Attribute) else full
    names = (".".join(full.split(".")[-2:]), last)
    if names[0] in _COPIES or names[0] in _MOVES:
        return _two_files(node)
    if any(name in _BOTH for name in names):
        return [Effect(Does.BOTH, _at(node, 0))]
    if any(name in _OPENS for name in names) or last == "open":
        return _opened(node, names)
    if last in ("glob", "rglob") or names[0] in _GLOBS:
        return _globbed(node, names[0], last)
    return _by_table(node, names)


def _by_table(node: ast.Call, names: tuple[str, ...]) -> Iterable[Effect]:
    for table, does in ((_WRITES, Does.WRITE), (_READS, Does.READ), (_MAKES, Does.MAKE), (_LISTS, Does.LIST)):
        for name in names:
            if name in table:
                target = _at(node, table[name])
                suffix = next((_SUFFIXES[key] for key in names if key in _SUFFIXES), "")
                return [Effect(does, target, suffix=suffix, deep=name == "walk")] if target or does is Does.LIST else []
    if names[-1] == "basicConfig":
        return [Effect(Does.WRITE, word.value) for word in node.keywords if word.arg == "filename"]
    return []


def _two_files(node: ast.Call) -> Iterable[Effect]:
    yield Effect(Does.READ, _at(node, 0))
    yield Effect(Does.WRITE, _at(node, 1))


def _opened(node: ast.Call, names: tuple[str, ...]) -> Iterable[Effect]:
    """`open(file, mode)` in its many forms, and `Path(…).open(mode)`."""
    of_path = names[-1] == "open" and not any(name in _OPENS for name in names[:1]) and "." in names[0]
    on_call = isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name)
    first = _at(node, 0)
    if on_call or (of_path and (not node.args or _is_mode(first))):
        mode = _text(_keyword(node, "mode")) or _text(node.args[0] if node.args else None) or "r"
        target = node.func.value if isinstance(node.func, ast.Attribute) else None
    else:
        mode = _text(_keyword(node, "mode")) or _text(node.args[1] if len(node.args) > 1 else None) or "r"
        target = first
    if target is None:
        return
    writes, reads = any(c in mode for c in "wax"), "+" in mode or "a" in mode
    if "+" in mode and not writes:
        yield Effect(Does.BOTH, target)
    elif writes:
        yield Effect(Does.BOTH if reads and "w" not in mode and "x" not in mode else Does.WRITE, target)
    else:
        yield Effect(Does.READ, target)


def _globbed(node: ast.Call, full: str, last: str) -> Iterable[Effect]:
    if full in _GLOBS or isinstance(node.func, ast.Name):
        yield Effect(Does.LIST, None, pattern=_at(node, 0))
    elif isinstance(node.func, ast.Attribute):
        yield Effect(Does.LIST, node.func.value, pattern=_at(node, 0), deep=last == "rglob")


def _at(node: ast.Call, place: int) -> ast.expr | None:
    if place == SELF:
        return node.func.value if isinstance(node.func, ast.Attribute) else None
    if len(node.args) > place:
        return None if isinstance(node.args[place], ast.Starred) else node.args[place]
    wanted = ("dst", "fname", "filename", "f") if place else _FILE_KEYWORDS
    return next((word.value for word in node.keywords if word.arg in wanted), None)


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((word.value for word in node.keywords if word.arg == name), None)


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_mode(node: ast.expr | None) -> bool:
    text = _text(node)
    return text is not None and len(text) <= 4 and set(text) <= set("rwaxbt+U")
