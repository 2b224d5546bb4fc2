"""Images: archives that somebody else made, taken apart without harm."""

import bz2
import gzip
import io
import lzma
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from cluster_interface.images import importing
from cluster_interface.images.rootfs import finish, interpreter, keep_bytecode
from cluster_interface.images.shelf import Shelf
from cluster_interface.images.tree import inside
from cluster_interface.images.unpack import Limits, opened, unpack
from cluster_interface.model.errors import Rejected

SMALL = Limits(size=1 << 20, entries=1000)


def entry(name, data=None, kind=None, link="", mode=0o644, size=None):
    """Make one member of an archive."""
    info = tarfile.TarInfo(name)
    info.type = kind or tarfile.REGTYPE
    info.linkname, info.mode = link, mode
    info.size = len(data or b"") if size is None else size
    return info, data or b""


def tar(*entries):
    """Make an archive of them, whatever they say."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def take(data, target, limits=SMALL):
    """Unpack it below `target`/in."""
    (target / "in").mkdir(exist_ok=True)
    return unpack(io.BytesIO(data), target / "in", limits)


def canaries(directory):
    """List what is outside of the target."""
    return sorted(path.name for path in directory.iterdir() if path.name != "in")


SYM, LNK, DIR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize(
    "entries",
    [
        [entry("../evil", b"x")],
        [entry("/evil", b"x")],
        [entry("a/../../evil", b"x")],
        [entry("./../evil", b"x")],
        [entry("d", kind=SYM, link=".."), entry("d/evil", b"x")],
        [entry("d", kind=SYM, link="/"), entry("d/tmp/evil", b"x")],
        [entry("a", kind=DIR), entry("a/d", kind=SYM, link="../.."), entry("a/d/evil", b"x")],
        [entry("h", kind=LNK, link="/etc/passwd")],
        [entry("h", kind=LNK, link="../canary")],
        [entry("d", kind=SYM, link=".."), entry("h", kind=LNK, link="d/canary")],
        [entry("d", kind=SYM, link=".."), entry("d/x", kind=DIR)],
        [entry("d", kind=SYM, link=".."), entry("d/x", kind=SYM, link="y")],
        [entry("h", kind=LNK, link="never-there")],
        [entry("d/x", b"x"), entry("d", kind=SYM, link="..")],
        [entry("d/x", b"x"), entry("d", b"x")],
        [entry("f", b"x"), entry("f/x", b"x")],
        [entry("x" * 300, b"x")],
    ],
    ids=lambda entries: "-".join(info.name[:12] for info, _ in entries),
)
def test_an_archive_that_reaches_out_is_refused(tmp_path, entries):
    """Absolute names, `..`, and every way through a link are refused; nothing outside is made or changed."""
    (tmp_path / "canary").write_text("sings")
    with pytest.raises(Rejected, match="archive"):
        take(tar(*entries), tmp_path)
    assert canaries(tmp_path) == ["canary"]
    assert (tmp_path / "canary").read_text() == "sings"
    assert (tmp_path / "canary").stat().st_nlink == 1


def test_a_link_that_points_out_is_kept_but_never_followed(tmp_path):
    """Images are full of absolute links; a file of the same name later takes the link's place."""
    (tmp_path / "canary").write_text("sings")
    take(tar(entry("l", kind=SYM, link=str(tmp_path / "canary")), entry("l", b"new")), tmp_path)
    assert (tmp_path / "canary").read_text() == "sings"
    assert (tmp_path / "in/l").read_text() == "new"
    assert not (tmp_path / "in/l").is_symlink()


def test_devices_and_pipes_are_left_out_and_rights_taken_away(tmp_path):
    """No device, pipe, setuid, setgid, sticky bit or other people's right to write gets into the store."""
    take(
        tar(
            entry("dev0", kind=tarfile.CHRTYPE),
            entry("blk", kind=tarfile.BLKTYPE),
            entry("pipe", kind=tarfile.FIFOTYPE),
            entry("su", b"x", mode=0o6777),
            entry("secret", b"x", mode=0o600),
            entry("d", kind=DIR, mode=0o3777),
        ),
        tmp_path,
    )
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "in").iterdir()}
    assert modes == {"su": 0o755, "secret": 0o644, "d": 0o755}


def test_hard_links_inside_are_kept(tmp_path):
    """`docker export` has them."""
    take(tar(entry("a/x", b"data"), entry("b/y", kind=LNK, link="a/x")), tmp_path)
    assert (tmp_path / "in/b/y").read_bytes() == b"data"


@pytest.mark.parametrize("squeeze", [gzip.compress, lzma.compress, bz2.compress])
def test_a_bomb_stops_at_the_quota(tmp_path, squeeze):
    """64 MiB of zeros in a few kilobytes is refused once it is more than the quota, not after."""
    path = tmp_path / "bomb"
    path.write_bytes(squeeze(tar(entry("zeros", bytes(64 << 20)))))
    (tmp_path / "in").mkdir()
    with opened(path) as stream, pytest.raises(Rejected, match="more than is allowed"):
        unpack(stream, tmp_path / "in", SMALL)
    assert sum(file.stat().st_size for file in (tmp_path / "in").iterdir()) <= SMALL.size


def test_too_many_entries_are_refused(tmp_path):
    """A million empty files are as good as a bomb."""
    with pytest.raises(Rejected, match="entries"):
        take(tar(*(entry(str(number)) for number in range(1001))), tmp_path)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_never_ends_is_not_read_into_memory(tmp_path, kind):
    """An extended header that claims 8 GiB is refused by its size."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = kind, 8 << 30
    with pytest.raises(Rejected, match="extended header"):
        take(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096), tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"not a tar at all" * 100, gzip.compress(b"x" * 5000, mtime=0), tar(entry("a", b"x" * 5000))[:2000]]
)
def test_what_is_no_archive_is_refused_in_words(tmp_path, data):
    """An empty, foreign or truncated file is the caller's mistake, said in words."""
    path = tmp_path / "file"
    path.write_bytes(data)
    shelf = Shelf(tmp_path / "store")
    shelf.prepare()
    with pytest.raises(Rejected, match="archive"):
        importing.take(shelf, path, "x", SMALL)
    assert list((shelf.root / "tmp").iterdir()) == []
    assert list((shelf.root / "bases").iterdir()) == []


def test_a_truncated_gzip_is_refused(tmp_path):
    """A download that stopped half-way is never taken for a base."""
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(tar(entry("bin/sh", os.urandom(100_000))))[:-5000])
    (tmp_path / "in").mkdir()
    with opened(path) as stream, pytest.raises(Rejected, match="damaged"):
        unpack(stream, tmp_path / "in", SMALL)


def test_every_compression_is_read(tmp_path):
    """Plain, gzip (in several members too), xz, bzip2 and zstd."""
    plain = tar(entry("bin/sh", b"#!"))
    zstd = subprocess.run(["zstd", "-c"], input=plain, stdout=subprocess.PIPE, check=True).stdout
    halves = gzip.compress(plain[:700]) + gzip.compress(plain[700:])
    for data in (plain, gzip.compress(plain), halves, lzma.compress(plain), bz2.compress(plain), zstd):
        path = tmp_path / "file"
        path.write_bytes(data)
        with opened(path) as stream:
            (tmp_path / "in").mkdir(exist_ok=True)
            assert unpack(stream, tmp_path / "in", SMALL) == 2


def test_a_name_is_found_as_from_inside(tmp_path):
    """Absolute links, loops and `..` above the root mean what they mean in the container."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/sh").write_text("x")
    (tmp_path / "bin").symlink_to("/usr/bin")
    (tmp_path / "up").symlink_to("../../../usr/bin/sh")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "out").symlink_to("/etc/passwd")
    assert inside(tmp_path, "/bin/sh") == tmp_path / "usr/bin/sh"
    assert inside(tmp_path, "up") == tmp_path / "usr/bin/sh"
    assert inside(tmp_path, "loop") is None
    assert inside(tmp_path, "out") is None


def test_a_base_without_python_is_still_a_base(tmp_path):
    """A root filesystem with only a shell is taken; one without is refused."""
    shelf = Shelf(tmp_path / "store")
    shelf.prepare()
    path = tmp_path / "file"
    path.write_bytes(tar(entry("./bin/sh", b"#!", mode=0o755)))
    made = importing.take(shelf, path, "tiny", SMALL)
    assert made.interpreter is None
    assert importing.named(shelf, "tiny") == made
    assert (shelf.base(made.key) / "rootfs/opt/env").is_dir()
    path.write_bytes(tar(entry("hello", b"x")))
    with pytest.raises(Rejected, match="/bin/sh"):
        importing.take(shelf, path, "none", SMALL)


@pytest.mark.parametrize("name", ["", "../x", "A", "x y", "-x", "x" * 65, "x\n"])
def test_a_name_that_could_be_a_path_is_refused(tmp_path, name):
    """The name of a base is a plain word."""
    shelf = Shelf(tmp_path / "store")
    shelf.prepare()
    with pytest.raises(Rejected, match="name"):
        importing.take(shelf, tmp_path / "file", name, SMALL)


def test_a_base_whose_mount_points_lead_away_is_refused(tmp_path):
    """/opt as a link would let the layer appear elsewhere."""
    shelf = Shelf(tmp_path / "store")
    shelf.prepare()
    path = tmp_path / "file"
    path.write_bytes(tar(entry("bin/sh", b"x"), entry("opt", kind=SYM, link=str(tmp_path))))
    with pytest.raises(Rejected, match="opt"):
        importing.take(shelf, path, "x", SMALL)
    assert not (tmp_path / "env").exists()


def test_the_python_of_a_root_filesystem_is_found_without_running_it(tmp_path):
    """The one that PATH finds first, its version from its name, the C library from its own words."""
    for directory in ("usr/bin", "usr/local/bin", "lib64", "lib/x86_64-linux-gnu"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "usr/bin/python3.11").write_text("x")
    (tmp_path / "usr/bin/python3").symlink_to("python3.11")
    (tmp_path / "lib/x86_64-linux-gnu/libc.so.6").write_bytes(b"\0GNU C Library stable release version 2.36.\0")
    (tmp_path / "lib64/ld-linux-x86-64.so.2").write_text("x")
    found = interpreter(tmp_path)
    assert (found.path, found.binary, found.version, found.glibc) == (
        "/usr/bin/python3",
        "/usr/bin/python3.11",
        "3.11",
        36,
    )
    (tmp_path / "usr/local/bin/python3.12").write_text("x")
    (tmp_path / "usr/local/bin/python3").symlink_to("python3.12")
    assert interpreter(tmp_path).version == "3.12"


def test_bytecode_is_kept_only_where_it_fits_its_source(tmp_path):
    """Bytecode made from another source than the one beside it must not be believed unseen."""
    import py_compile

    library = tmp_path / "usr/lib/python3.11"
    library.mkdir(parents=True)
    flags = {}
    for name, change in (("good", None), ("edited", "size"), ("touched", "time")):
        source = library / f"{name}.py"
        source.write_text("x = 1\n")
        compiled = py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
        if change == "size":
            source.write_text("x = 12\n")
        if change:
            os.utime(source, (5, 5))
        flags[name] = compiled
    keep_bytecode(tmp_path, times_changed=False)
    assert {n: Path(p).read_bytes()[4] for n, p in flags.items()} == {"good": 1, "edited": 0, "touched": 0}
    keep_bytecode(tmp_path, times_changed=True)
    assert {n: Path(p).read_bytes()[4] for n, p in flags.items()} == {"good": 1, "edited": 0, "touched": 1}


def test_what_scripts_read_in_is_in_every_image(tmp_path):
    """What defines `module` elsewhere; an image's own files stay, and no link of it leads anywhere."""
    root, away = tmp_path / "root", tmp_path / "away"
    (root / "etc/profile.d").mkdir(parents=True)
    (root / "usr").mkdir()
    away.mkdir()
    (root / "etc/profile").write_text("mine\n")
    (root / "etc/profile.d/lmod.sh").write_text("its own\n")
    (root / "usr/share").symlink_to(away)
    finish(root)
    assert (root / "etc/profile").read_text() == "mine\n"
    assert (root / "etc/profile.d/lmod.sh").read_text() == "its own\n"
    assert (root / "etc/profile.d/modules.sh").read_text() == ""
    assert not list(away.iterdir())
