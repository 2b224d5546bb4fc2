"""What people get wrong: a message that names it and says what to do, the right exit status, nothing left behind."""

import http.server
import os
import subprocess
import threading

import pytest
from tests.conftest import CACHE


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A web server on loopback with one file."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=root)

        def log_message(self, *args):
            pass

    root = str(tmp_path_factory.mktemp("site"))
    with open(f"{root}/data.txt", "w") as file:
        file.write("hello\n")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def open_server(make_server):
    """A server whose site allows its own loopback network as a source."""
    return make_server("bubblewrap", CLIF_STAGING__ALLOWED_NETWORKS="127.0.0.0/8")


def refused(server, *words, arguments, status=2):
    """Run a command that must be refused: status, words, no traceback, and no new job."""
    before = server.json("list")
    done = server.clif(*arguments)
    text = done.stdout + done.stderr
    assert done.returncode == status, text
    for word in words:
        assert word in text, text
    assert "Traceback" not in text
    assert server.json("list") == before


def failed(server, *words, code, arguments):
    """Run a job that must fail with this code and these words."""
    done = server.clif("run", *arguments)
    view = server.json("list")["jobs"][0]
    assert (done.returncode, view["state"], view["code"]) == (1, "failed", code), done.stderr
    for word in words:
        assert word in view["reason"], view["reason"]
        assert word.split()[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file(quick):
    """A script that is not there is named."""
    refused(quick, "nowhere.py", arguments=["run", "nowhere.py"])


def test_a_binary_given_as_script(quick):
    """What is neither text nor a program is not taken for a script."""
    (quick.work / "program.bin").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    refused(quick, "program.bin", arguments=["run", "program.bin"])


def test_an_unknown_field(quick):
    """A misspelt field is named, with what was probably meant."""
    quick.write("spec.yaml", "apiVersion: 1\ncommand: 'true'\nresources: {memroy: 1GiB}\n")
    refused(quick, "memroy", "did you mean `memory`", arguments=["submit", "spec.yaml"])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--memory=-4GiB"], ["memory", "more than nothing"]),
        (["--memory", "900TiB"], ["resources.memory", "local"]),
        (["--memory", "lots"], ["memory", "4GiB"]),
        (["--cpus", "5000"], ["resources.cpus", "local"]),
        (["--time", "soon"], ["time", "1h30m"]),
        (["--queue", "moon"], ["resources.queue", "local"]),
        (["--gpus", "2"], ["resources.gpus", "local"]),
        (["--name", "two\nlines"], ["name", "line break"]),
        (["--with", "x --index-url=http://evil"], ["packages"]),
        (["--system", "a;b"], ["system"]),
        (["--output", "../up"], ["outputs", ".."]),
    ],
)
def test_flags_that_cannot_be(quick, flags, words):
    """A bad value names its field and what would be right."""
    quick.write("ok.sh", "#!/bin/sh\ntrue\n")
    refused(quick, *words, arguments=["submit", *flags, "ok.sh"])


def test_a_syntax_error_names_its_line(quick):
    """A script that Python cannot read is refused with the line."""
    quick.write("broken.py", "x = 1\nif x\n    print(x)\n")
    refused(quick, "broken.py", "line 2", arguments=["run", "broken.py"])


def test_a_batch_script_that_contradicts_itself(quick):
    """Field, lines, what is wrong and what to do."""
    quick.write("old.sbatch", "#!/bin/bash\n#SBATCH --mem=1G\n#SBATCH --mem-per-cpu=1G\ndate\n")
    refused(quick, "resources.memory", "line 2", "line 3", "keep one", arguments=["submit", "old.sbatch"])


def test_files_that_are_a_list(quick):
    """What is no mapping is told in words."""
    quick.write("listed.yaml", "apiVersion: 1\ncommand: 'true'\nfiles: [a]\n")
    refused(quick, "files: is not a mapping", "data.csv: {}", arguments=["submit", "listed.yaml"])


def test_the_name_of_a_base_is_looked_at_first(quick):
    """Before anything is sent, and in words."""
    (quick.work / "rocky.tar").write_bytes(b"no tar at all")
    refused(quick, "'Rocky 9': write small letters", arguments=["images", "import-base", "rocky.tar", "Rocky 9"])


@pytest.mark.parametrize("command", [("show",), ("log",)])
def test_too_little_of_a_key(quick, command):
    """It is not said that there is no such image."""
    refused(quick, "at least 6 characters", arguments=["images", *command, "8637"])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("file:x.csv", "an absolute path of the server"),
        ("https:/host", "https://host/path"),
        ("s3:bucket/key", "s3://bucket/key"),
        ("git:lab/tools!/a", "git:https://host/path"),
    ],
)
def test_a_source_that_is_no_address(quick, source, words):
    """It is not first found out by a job."""
    quick.write("ok.sh", "#!/bin/sh\ntrue\n")
    refused(quick, "files.a.source", f"write {words}", arguments=["submit", "ok.sh", "--input", f"a={source}"])


def test_an_archive_here_that_is_none(quick):
    """It is looked into before anything is sent."""
    (quick.work / "box.zip").write_bytes(b"PK")
    quick.write("ok.sh", "#!/bin/sh\ntrue\n")
    refused(
        quick, "files.a", "cannot be read as a zip or a tar", arguments=["submit", "ok.sh", "--input", "a=box.zip!/b"]
    )


def test_the_log_of_a_build_that_failed_is_shown(quick):
    """The job says how its build's log is read, and whoever asks for another is told that there is none."""
    quick.write(
        "setup.yaml", "apiVersion: 1\ncommand: 'true'\nenvironment: {setup: 'echo before; ls /no-such-place'}\n"
    )
    failed(quick, "ls: cannot access", code="image_failed", arguments=["setup.yaml"])
    key = quick.json("status", "last")["build_log"]
    shown = quick.clif("status", "last")
    assert f"clif images log {key[:12]}" in shown.stdout + shown.stderr
    log = quick.clif("images", "log", key[:12])
    assert "ls: cannot access '/no-such-place'" in log.stdout, log.stderr
    done = quick.clif("images", "log", "feedc0ffee")
    assert (done.returncode, "no log of a build of 'feedc0ffee'" in done.stderr) == (2, True)


def test_an_import_nobody_publishes(quick):
    """A package that is not on the index fails the image, by name."""
    quick.write("odd.py", "print(1)\n")
    name = "no-such-package-zq1x"
    failed(quick, name, code="image_failed", arguments=["--with", name, "odd.py"])


def test_an_unknown_import_is_asked_about_not_installed(quick):
    """An import that is in no table is shown with how to say yes; nothing is guessed."""
    quick.write("guess.py", "import zq1xunknown\n")
    done = quick.clif("describe", "guess.py")
    assert "--with" in done.stdout + done.stderr
    assert "zq1xunknown" in done.stdout + done.stderr


def test_a_version_that_does_not_exist(quick):
    """A version nobody released fails the image, by name and version."""
    quick.write("odd.py", "print(1)\n")
    failed(quick, "six", "99.99", code="image_failed", arguments=["--with", "six==99.99", "odd.py"])


def test_a_wheel_for_another_platform(quick):
    """A package with wheels for another system only fails the image and says so."""
    quick.write("odd.py", "print(1)\n")
    failed(quick, "pywin32", code="image_failed", arguments=["--with", "pywin32", "odd.py"])


def test_a_source_that_is_not_there(open_server, site):
    """A 404 fails the job with the file, the address and the answer."""
    open_server.write("r.sh", "#!/bin/sh\ncat d.txt\n")
    failed(
        open_server, "d.txt", "404", code="input_unavailable", arguments=["--input", f"d.txt={site}/none.txt", "r.sh"]
    )


def test_a_checksum_that_differs(open_server, site):
    """Bytes other than promised are never run on."""
    open_server.write(
        "sum.yaml",
        f"apiVersion: 1\ncommand: cat d.txt\nfiles:\n  d.txt: {{source: '{site}/data.txt', sha256: '{'0' * 64}'}}\n",
    )
    failed(open_server, "d.txt", "0000", code="input_unavailable", arguments=["sum.yaml"])


def test_a_source_on_the_web_arrives(open_server, site):
    """What is there is fetched and read."""
    open_server.write("r.sh", "#!/bin/sh\ncat d.txt\n")
    done = open_server.clif("run", "--input", f"d.txt={site}/data.txt", "r.sh")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_a_private_address_is_not_a_source(quick, site):
    """Without the site's leave, loopback is never connected to."""
    quick.write("r.sh", "#!/bin/sh\ncat d.txt\n")
    failed(quick, "d.txt", code="input_unavailable", arguments=["--input", f"d.txt={site}/data.txt", "r.sh"])


def test_others_files_stay_theirs(quick):
    """`file:/etc/shadow` is opened as the job's account: permission denied."""
    quick.write("r.sh", "#!/bin/sh\ncat d.txt\n")
    failed(
        quick, "d.txt", "ermission", code="input_unavailable", arguments=["--input", "d.txt=file:/etc/shadow", "r.sh"]
    )


def test_an_output_pattern_that_matched_nothing(quick):
    """The pattern is named, and what there is instead."""
    quick.write("w.sh", "#!/bin/sh\necho x > there.txt\n")
    failed(quick, "missing/*.csv", "there.txt", code="output_missing", arguments=["--output", "missing/*.csv", "w.sh"])


def test_a_full_disk_is_told_in_words(make_server, place):
    """Job directories on a full filesystem: the job fails in words, nothing is corrupted, room helps."""
    image, mount = place / "disk.img", place / "disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        mount.chmod(0o755)
        server = make_server("bubblewrap", CLIF_SERVER__WORKSPACE=str(mount / "jobs"))
        ballast = mount / "ballast"
        server.write("big.dat", "x" * (3 << 20))
        server.write("r.sh", "#!/bin/sh\nwc -c < big.dat\n")
        ballast.write_bytes(b"")
        with ballast.open("wb") as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
            except OSError:
                pass
        failed(server, "full", code="input_unavailable", arguments=["--input", "big.dat", "r.sh"])
        ballast.unlink()
        done = server.clif("run", "--input", "big.dat", "r.sh")
        assert done.returncode == 0, done.stderr
        server.stop()
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def test_no_runtime_at_all(make_server):
    """Without any container runtime the server runs, and says what to install."""
    lonely = make_server("bubblewrap", start=False)
    (lonely.directory / "config.toml").write_text("[queues.local]\nruntimes = []\n")
    lonely.start()
    lonely.write("ok.sh", "#!/bin/sh\ntrue\n")
    refused(lonely, "runtime", "bubblewrap", arguments=["submit", "ok.sh"])
    assert lonely.clif("doctor").returncode == 1


def path_without(place, *commands):
    """A directory with every command of this machine but some."""
    bin_ = place / "bin"
    bin_.mkdir()
    for directory in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for entry in os.scandir(directory):
            target = bin_ / entry.name
            if entry.name not in commands and not target.exists() and not target.is_symlink():
                target.symlink_to(entry.path)
    return bin_


def test_a_second_server_on_the_same_state(quick):
    """The second one says who has it, and changes nothing."""
    done = quick.clif("serve", timeout=60)
    assert done.returncode == 2
    assert "another server" in done.stderr
    assert f"process {quick.process.pid}" in done.stderr
    assert quick.clif("list").returncode == 0


def test_state_on_a_network_filesystem(make_server, place):
    """A state directory on a network filesystem is refused in words, with what to set."""
    source, mount = place / "source", place / "mount"
    source.mkdir()
    mount.mkdir()
    subprocess.run(["bindfs", "-o", "subtype=sshfs", source, mount], check=True)
    try:
        kind = subprocess.run(["stat", "-f", "-c", "%T", mount], capture_output=True, text=True, check=True).stdout
        assert "fuse" in kind
        server = make_server("bubblewrap", start=False, CLIF_SERVER__STATE=str(mount / "state"))
        done = server.clif("serve", timeout=60)
        assert done.returncode == 2
        assert "network filesystem (fuse.sshfs)" in done.stderr
        assert "CLIF_SERVER__STATE" in done.stderr
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def test_a_machine_without_apt(make_server, quick, place):
    """With apt, dpkg and mmdebstrap off PATH, the words say to import a base; an imported one then works."""
    names = [name for name in os.listdir("/usr/bin") if name.startswith(("apt", "dpkg"))]
    path = path_without(place, "mmdebstrap", "debootstrap", *names)
    server = make_server("bubblewrap", PATH=str(path), CLIF_IMAGES__STORE=str(place / "store"))
    server.write("hi.sh", "#!/bin/sh\necho hi\n")
    failed(server, "import-base", code="image_failed", arguments=["hi.sh"])
    quick.write("ok.sh", "#!/bin/sh\ntrue\n")
    assert quick.clif("run", "ok.sh").returncode == 0  # a machine with apt makes the base
    base = quick.json("status", quick.json("list")["jobs"][0]["id"])["plan"]["lock"]["base"]
    root = CACHE / "images-root/bases" / base / "rootfs"
    archive = place / "base.tar"
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    done = server.clif("images", "import-base", archive, "campus")
    assert done.returncode == 0, done.stderr
    server.stop()
    server.env["CLIF_IMAGES__BASE"] = "campus"
    server.start()
    done = server.clif("run", "hi.sh")
    assert (done.returncode, done.stdout) == (0, "hi\n"), done.stderr


def test_an_upload_of_somebody_else_or_none(quick):
    """A source that names no upload of one's own is refused by field."""
    quick.write("up.yaml", "apiVersion: 1\ncommand: 'true'\nfiles: {x: {source: 'upload:AAAAAAAAAAAAAAAAAAAAAA'}}\n")
    refused(quick, "files.x.source", "upload", arguments=["submit", "up.yaml"])
