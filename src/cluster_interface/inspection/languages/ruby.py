"""Ruby: its gems in the distribution are ruby-foo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.files import Verbs
from cluster_interface.inspection.languages.loading import Loading, beside_it
from cluster_interface.inspection.languages.ruby_options import ruby_options
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


class Ruby(Loading):
    """Ruby; its gems in the distribution are ruby-foo."""

    own = words(
        "English abbrev base64 benchmark bigdecimal bundler bundler/setup cgi coverage csv date delegate "
        "did_you_mean digest drb erb etc expect fcntl fiddle fileutils find forwardable getoptlong io/console "
        "io/wait ipaddr irb json logger matrix monitor mutex_m net/http net/https net/ftp net/smtp nkf objspace "
        "observer open-uri open3 openssl optparse ostruct pathname pp prettyprint prime pstore psych pty rake "
        "rbconfig readline reline resolv rinda ripper rubygems securerandom set shellwords singleton socket stringio "
        "strscan syslog tempfile thread time timeout tmpdir tracer tsort un uri weakref yaml zlib bigdecimal/util "
        "digest/md5 digest/sha1 digest/sha2 minitest test/unit"
    )

    def modules(self, source: Source) -> Iterable[tuple[str, int]]:
        """Yield what require and require_relative name."""
        for text in source.texts:
            if found := re.search(r"\b(require|require_relative|load|gem)\s*\(?\s*$", text.before):
                yield f"./{text.value}" if found[1] == "require_relative" else text.value, text.line

    def packages_of(self, draft: Draft, module: str) -> tuple[str, ...]:
        """List the packages of a library or gem."""
        archive = draft.software.archive
        return archive.find("ruby", module.replace("/", "-")) or archive.find("ruby", module.split("/", maxsplit=1)[0])

    def beside(self, project: Project, name: str, module: str) -> str | None:
        """Return the project's own file."""
        return beside_it(project, name, module, ".rb", "") or beside_it(project, "", f"lib/{module}", ".rb")


LANGUAGE = Ruby(
    says="Ruby (.rb)",
    suffixes=(".rb",),
    lexis=lexis.RUBY,
    verbs=Verbs(
        reads=words(
            "File.read File.readlines File.foreach IO.read CSV.read CSV.foreach CSV.table YAML.load_file read foreach"
        ),
        writes=words("File.write IO.write IO.binwrite"),
        opens=words("File.open File.new CSV.open open"),
        joins=words("File.join"),
        makes=words("mkdir mkdir_p FileUtils.mkdir_p Dir.mkdir"),
    ),
    packages=("ruby",),
    program=("ruby",),
    declares=ruby_options,
    interpreters=frozenset({"ruby"}),
)
