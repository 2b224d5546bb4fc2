"""R scripts and R Markdown: packages from the distribution first, then from CRAN and Bioconductor."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.lexis import R as LEXIS
from cluster_interface.inspection.languages.lexis import Source
from cluster_interface.inspection.wordlist import words
from cluster_interface.model.proposal import Option, Sureness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Text
    from cluster_interface.inspection.project import Project

MOST_PACKAGES = 200
#: https://cran.r-project.org/doc/FAQ/R-FAQ.html, "add-on packages of R itself"; the recommended ones are packages here
BASE = words("base compiler datasets graphics grDevices grid methods parallel splines stats stats4 tcltk tools utils R")
VERBS = Verbs(
    reads=words(
        "read.csv read.csv2 read.table read.delim read_csv read_tsv read_delim read_table read_excel read.xlsx fread "
        "readLines readRDS scan source load read_rds read_lines read_file readJPEG readPNG fromJSON read_json "
        "read_xml read_html read.dcf read.fwf read_fst read_feather read_parquet read_dta read_sav read_sas nc_open "
        "raster rast st_read vect readOGR readDNAStringSet readAAStringSet import read.dta read.spss read10xCounts "
        "Read10X file.exists vroom yaml.load_file read_yaml readMat h5read"
    ),
    writes=words(
        "write.csv write.csv2 write.table write_csv write_tsv write_delim fwrite writeLines saveRDS save save.image "
        "write.xlsx write_xlsx write_rds write_lines ggsave pdf png jpeg tiff bmp svg cairo_pdf postscript sink "
        "toJSON write_json write_xml write_fst write_feather write_parquet write_dta writeRaster st_write "
        "writeXStringSet dump capture.output save_plot htmlwidgets::saveWidget saveWidget gtsave write_yaml writeMat "
        "write.dcf nc_create h5write cat"
    ),
    opens=words("file gzfile bzfile xzfile"),
    joins=words("file.path here fs::path path"),
    makes=words("dir.create dir_create"),
)
_ATTACHING = words("library require requireNamespace loadNamespace p_load pacman::p_load use attachNamespace")
_INSTALLING = words("install.packages BiocManager::install biocLite install install_github remotes::install_github pak")
_CALL = re.compile(
    r"\b(?:library|require|requireNamespace|loadNamespace)\s*\(\s*([A-Za-z][\w.]*)\s*(,[^()]*)?\)|"
    r"\bp_load\s*\(([^()]*)\)"
)
_QUALIFIED = re.compile(r"(?<![\w.:])([A-Za-z][\w.]*[A-Za-z0-9]):::?[A-Za-z._]")
_ARGUMENT = re.compile(r"\b(?:args|argv|arguments|opts?)\s*\[\[?\s*(\d)\s*\]")
_CHUNK = re.compile(r"^[ \t]*```\{[rR][^}\n]*\}[ \t]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)
_DEPENDS = re.compile(r"^(?:Depends|Imports|LinkingTo)\s*:(.*(?:\n[ \t].*)*)", re.MULTILINE)


class RLanguage(Language):
    """R."""

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages that are attached, loaded or named with `::`."""
        where = Where(draft, name)
        wanted = list(_wanted(source))
        of_bioconductor = {
            package
            for text in source.texts
            if any("Bioc" in call or "biocLite" in call for call in text.calls[:2])
            for package in [text.value]
        }
        for package, line, how in wanted[: 4 * MOST_PACKAGES]:
            add_package(draft, package, f"{how}, {where(line)}", bioconductor=package in of_bioconductor)
        if any(set(text.calls[:2]) & _INSTALLING for text in source.texts) or "install.packages" in source.code:
            draft.warn("it installs R packages: they are there before the job starts; take that out")
        if name == draft.script:
            _declared(draft)

    def options(self, draft: Draft, source: Source) -> None:
        """Add the options of optparse and argparse, and the places of commandArgs()."""
        found = [*_options(source)] or [*_places(source)]
        draft.options = tuple(dict.fromkeys(found))[:100]
        if found:
            draft.guess("options", ", ".join(option.name for option in draft.options), "its R code", Sureness.LIKELY)


class RMarkdown(RLanguage):
    """R Markdown and Quarto documents, rendered."""

    def source(self, project: Project, name: str) -> Source:
        """Read the chunks of code; what stands between them is blank."""
        whole = super().source(project, name).text
        parts: list[str] = []
        at = 0
        for chunk in _CHUNK.finditer(whole):
            parts += [re.sub(r"[^\n]", "", whole[at : chunk.start(1)]), chunk[1]]
            at = chunk.end(1)
        return Source("".join(parts), LEXIS)

    def command(self, draft: Draft, _source: Source) -> str:
        """Return the command line that renders it."""
        stem = draft.script.rsplit(".", 1)[0]
        draft.add_output(f"{stem}.*", "what it is rendered to")
        return shlex.join(["Rscript", "-e", f"rmarkdown::render({json.dumps(draft.script)})", *draft.arguments])


def add_package(draft: Draft, name: str, rests_on: str, *, bioconductor: bool = False) -> None:
    """Add an R package: the distribution's where it has one."""
    if name in BASE or not re.fullmatch(r"[A-Za-z][A-Za-z0-9.]*[A-Za-z0-9]", name):
        return
    if packages := draft.software.archive.find("r", name.lower()):
        draft.add_system(packages[0], rests_on)
    else:
        draft.add_r(name, rests_on, bioconductor=bioconductor, sure=Sureness.LIKELY)


def _wanted(source: Source) -> Iterator[tuple[str, int, str]]:
    for found in _CALL.finditer(source.code):
        if "character.only" in (found[2] or ""):
            continue
        names = [found[1]] if found[1] else re.findall(r"(?<![\w.=])[A-Za-z][\w.]*(?!\s*=)", found[3] or "")
        for name in names:
            yield name, source.line(found.start()), f"{found[0].split('(')[0].strip()}()"
    for found in _QUALIFIED.finditer(source.code):
        yield found[1], source.line(found.start()), f"{found[1]}::"
    for text in source.texts:
        if text.calls and text.calls[0] in _ATTACHING and text.key in ("", "package"):
            yield text.value, text.line, f"{text.calls[0]}()"


def _declared(draft: Draft) -> None:
    """Read DESCRIPTION and renv.lock beside the script."""
    if fields := _DEPENDS.findall(draft.project.text("DESCRIPTION") or ""):
        for name in re.findall(r"([A-Za-z][\w.]*)\s*(?:\([^)]*\))?\s*(?:,|$)", ",".join(fields).replace("\n", " ")):
            add_package(draft, name, "DESCRIPTION")
    try:
        locked = json.loads(draft.project.text("renv.lock") or "{}").get("Packages", {})
        names = {str(name): str(facts.get("Source", "")) for name, facts in locked.items()}
    except (ValueError, AttributeError, RecursionError):
        draft.warn("renv.lock cannot be read, so it is not used")
        return
    for name in [*names][:MOST_PACKAGES] if names else ():
        if name != "renv":
            add_package(draft, name, "renv.lock", bioconductor=names[name] == "Bioconductor")


_TYPES = {"integer": "int", "double": "float", "numeric": "float", "character": "text"}


def _options(source: Source) -> Iterator[Option]:
    """Yield what make_option (optparse, getopt) and add_argument (argparse, argparser) declare."""
    for call in re.finditer(r"\b(?:make_option|add_option|add_argument)\s*\(", source.code):
        inside = _inside(source, call.end())
        names = [text.value for text in inside if text.value.startswith("-")]
        plain = [text.value for text in inside if not text.key and re.fullmatch(r"[A-Za-z][\w-]*", text.value)]
        keyed = {text.key: text.value for text in reversed(inside) if text.key}
        body = (
            source.code[call.end() : inside[-1].start if inside else call.end()]
            + source.code[inside[-1].start if inside else call.end() :].split("\n", 1)[0]
        )
        name = next((name for name in names if name.startswith("--")), names[0] if names else plain[0] if plain else "")
        if not name:
            continue
        default = keyed.get("default") or _plain(body, "default")
        yield Option(
            name=name,
            positional=not name.startswith("-"),
            flag=keyed.get("action", "").startswith("store_"),
            default=default,
            help=keyed.get("help", "")[:200],
            kind=_TYPES.get(keyed.get("type", ""), "text"),
            required="required" in body and _plain(body, "required") in ("TRUE", "T"),
        )


def _inside(source: Source, start: int) -> list[Text]:
    """List the strings inside a call that begins at a place."""
    depth, at, end = 1, start, min(len(source.code), start + 4000)
    while at < end and depth:
        depth += {"(": 1, ")": -1}.get(source.code[at], 0)
        at += 1
    return [text for text in source.texts if start <= text.start < at]


def _plain(body: str, key: str) -> str | None:
    found = re.search(rf"\b{key}\s*=\s*([\w.+-]+)", body)
    return found[1] if found and found[1] not in ("NULL", "NA", "c") else None


def _places(source: Source) -> Iterator[Option]:
    if "commandArgs" in source.code:
        for place in sorted({int(number) for number in _ARGUMENT.findall(source.code)} - {0}):
            yield Option(name=f"arg{place}", positional=True, required=True)


LANGUAGE = RLanguage(
    says="R (.R)",
    suffixes=(".r",),
    lexis=LEXIS,
    verbs=VERBS,
    packages=("r-base-core",),
    program=("Rscript",),
    interpreters=frozenset({"Rscript", "R", "littler", "r"}),
)
DOCUMENT = RMarkdown(
    says="R Markdown (.Rmd, .qmd)",
    suffixes=(".rmd", ".qmd"),
    lexis=LEXIS,
    verbs=VERBS,
    packages=("r-base-core", "r-cran-rmarkdown", "pandoc"),
)
