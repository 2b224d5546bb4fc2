"""`make quickstart` from a clean clone, as an ordinary user who has nothing yet."""

import os
import pwd
import subprocess

from tests.conftest import PROJECT


def test_quickstart_from_a_clone(ordinary, place):
    """A new user's clone ends with real outputs, says what it chose, and gives the address of the pages."""
    entry = pwd.getpwnam(ordinary)
    clone, home = place / "clone", place / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", PROJECT, clone], check=True)
    subprocess.run(["chown", "-R", f"{entry.pw_uid}:{entry.pw_gid}", clone, home], check=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CLIF_", "XDG_", "UV_", "VIRTUAL", "GIT_"))
    }
    env = kept | {
        "HOME": str(home),
        "USER": ordinary,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    become = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups"]

    def make(*words):
        return subprocess.run(
            [*become, *words], env=env, cwd=clone, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=900
        )

    try:
        for _ in ("the first time", "again"):
            done = make("make", "quickstart")
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            assert "-- runtime: bubblewrap" in done.stdout
            assert "http://127.0.0.1:" in done.stdout
            assert "Adelie" in (clone / "quickstart-outputs/summary.csv").read_text()
            assert (clone / "quickstart-outputs/penguins.png").read_bytes().startswith(b"\x89PNG")
            assert (clone / "quickstart-outputs/summary.csv").stat().st_uid == entry.pw_uid
    finally:
        make(clone / ".venv/bin/clif", "serve", "--stop")
