"""R scripts and R Markdown: packages from the distribution first, then from CRAN and Bioconductor."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.archive.index import SUITES
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.lexis import R as LEXIS
from cluster_interface.inspection.languages.lexis import Source
from cluster_interface.inspection.languages.r_options import r_options
from cluster_interface.inspection.languages.r_stand_ins import stand_in
from cluster_interface.inspection.wordlist import words
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.draft import Draft

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
#: packages that compile what they are given, or ask for what does where they are loaded, and calls of others that do
_COMPILING = words("rstan brms rstanarm rethinking cmdstanr nimble TMB inline RcppParallel")
_COMPILED = re.compile(r"\b(sourceCpp|cppFunction|evalCpp)[ \t]*\(")
_INSTALLING = words("install.packages BiocManager::install biocLite install install_github remotes::install_github pak")
_FURTHER = r"(?:[^()]|\((?:[^()]|\([^()]*\)){0,200}\)){0,500}"  #: arguments, which may be calls of calls
_CALL = re.compile(
    rf"\b(?:library|require|requireNamespace|loadNamespace)\s*\(\s*([A-Za-z][\w.]*)\s*(,{_FURTHER})?\)|"
    r"\bp_load\s*\(([^()]*)\)"
)
_IF_THERE = re.compile(r"\bif\s*\((?:[^!]*[^!\w.:])?requireNamespace\s*\(\s*$")  #: what stands before such a name
_LIST = re.compile(r"([A-Za-z][\w.]*)\s*(?:<-|=)\s*c\s*\(([^()]{0,5000})\)")
_LIST_AT_ONCE = re.compile(r"(?:apply|map|walk)\s*\(\s*c\s*\(([^()]{0,5000})\)\s*,\s*(?:library|require)\b")
_QUALIFIED = re.compile(r"(?<![\w.:])([A-Za-z][\w.]*[A-Za-z0-9]):::?[A-Za-z._]")
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
        needless = _needless(draft, source)
        if needless:
            words = "left out, because the script can do without them and Debian has none of them"
            draft.warn(f"{words}: {', '.join(sorted(needless))}; to have them name them under environment.r.packages")
        for package, line, how in wanted[: 4 * MOST_PACKAGES]:
            if package in needless:
                continue
            add_package(draft, package, f"{how}, {where(line)}", bioconductor=package in of_bioconductor)
        compiling = {package for package, _, _ in wanted} & _COMPILING or set(_COMPILED.findall(source.code))
        if compiling:
            draft.add_system("r-base-dev", f"{name} uses {min(compiling)}, which compiles when it runs")
        if any(set(text.calls[:2]) & _INSTALLING for text in source.texts) or "install.packages" in source.code:
            draft.warn("it installs R packages: they are there before the job starts; take that out")
        stand_in(draft, source, where)
        if name == draft.script:
            _declared(draft)


def add_package(draft: Draft, name: str, rests_on: str, *, bioconductor: bool = False) -> None:
    """Add an R package: the distribution's where it has one."""
    if name in BASE or not re.fullmatch(r"[A-Za-z][A-Za-z0-9.]*[A-Za-z0-9]", name):
        return
    archive = draft.software.archive
    newer = next(
        (s for s in archive.suites_with("r", name.lower()) if SUITES.index(s) > SUITES.index(archive.suite)), ""
    )
    packages = archive.find("r", name.lower())
    if (
        not packages
        and newer
        and draft.in_suite(newer, f"{rests_on}: Debian {newer} has {name}, {archive.suite} has not")
    ):
        packages = draft.software.archive.find("r", name.lower())
    if packages:
        draft.add_system(packages[0], rests_on)
    else:
        draft.add_r(name, rests_on, bioconductor=bioconductor, sure=Sureness.LIKELY)


def _needless(draft: Draft, source: Source) -> set[str]:
    """Name the packages that are only used `if (requireNamespace(…))`, and that would have to be built for that."""
    names = {text.value for text in source.texts if _IF_THERE.search(text.before)} - BASE
    return {name for name in names if not draft.software.archive.find("r", name.lower())}


def _wanted(source: Source) -> Iterator[tuple[str, int, str]]:
    for found in _CALL.finditer(source.code):
        if "character.only" in (found[2] or ""):
            continue
        names = [found[1]] if found[1] else re.findall(r"(?<![\w.=])[A-Za-z][\w.]*(?!\s*=)", found[3] or "")
        for name in names:
            yield name, source.line(found.start()), f"{found[0].split('(')[0].strip()}()"
    for found in _QUALIFIED.finditer(source.code):
        yield found[1], source.line(found.start()), f"{found[1]}::"
    yield from _listed(source)
    for text in source.texts:
        if text.calls and text.calls[0] in _ATTACHING and text.key in ("", "package"):
            yield text.value, text.line, f"{text.calls[0]}()"


def _listed(source: Source) -> Iterator[tuple[str, int, str]]:
    """Yield what is in a list of which each is attached: `lapply(packages, library, character.only = TRUE)`."""
    if "character.only" not in source.code:
        return
    spans = [found.span(2) for found in _LIST.finditer(source.code) if _each_attached(found[1], source.code)]
    spans += [found.span(1) for found in _LIST_AT_ONCE.finditer(source.code)]
    for text in source.texts:
        if any(start <= text.start < end for start, end in spans) and not text.key:
            yield text.value, text.line, "library() of each"


def _each_attached(name: str, code: str) -> bool:
    each = rf"(?:apply|map|walk)\s*\(\s*(?:X\s*=\s*|\.x\s*=\s*)?{re.escape(name)}\b|\bin\s+{re.escape(name)}\s*\)"
    return bool(re.search(each, code))


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


LANGUAGE = RLanguage(
    says="R (.R)",
    suffixes=(".r",),
    lexis=LEXIS,
    verbs=VERBS,
    packages=("r-base-core",),
    program=("Rscript",),
    declares=r_options,
    serves=re.compile(r"(?<![\w.])(?:runApp|shinyApp|pr_run)\s*\("),
    interpreters=frozenset({"Rscript", "R", "littler", "r"}),
)
