"""Projects of cargo, modules of Go and jars: what they need of the distribution, and what cannot be had."""

from __future__ import annotations

from cluster_interface.inspection import inspect
from cluster_interface.inspection.software import Software

CARGO = """
[package]
name = "tool"
edition = "2021"
[dependencies]
itoa = "1"
serde = { version = "1", features = ["derive"] }
renamed = { package = "semver", version = "1" }
mine = { path = "mine" }
away = { git = "https://example.org/away" }
a-crate-of-nobody = "1"
[target.'cfg(unix)'.dependencies]
libc = "0.2"
[dev-dependencies]
criterion = "0.4"
[[bin]]
name = "other"
path = "src/other.rs"
"""
GO = """package main

import (
	"fmt"
	"example.org/tool/inner"
	"github.com/google/uuid"
	"example.com/nobody/has/this"
)

func main() { fmt.Println(inner.X, uuid.NewString()) }
"""


def said(proposal):
    """All warnings."""
    return " ".join(proposal.warnings)


def test_crates_of_a_manifest():
    """From every table that counts for running, by their real names; tests' crates are left out of the build."""
    files = {"Cargo.toml": CARGO, "src/main.rs": "fn main() {}", "mine/src/lib.rs": "", "mine/Cargo.toml": ""}
    found = inspect(files, "src/main.rs")
    wanted = {
        "librust-itoa-dev",
        "librust-serde-dev",
        "librust-serde-derive-dev",
        "librust-semver-dev",
        "librust-libc-dev",
    }
    assert set(found.environment.system) == {"cargo", "rustc", *wanted}
    assert set(found.inputs) == {"Cargo.toml", "mine/src/lib.rs", "mine/Cargo.toml"}
    assert found.command.endswith("--bin tool && /tmp/target/release/tool")
    assert "a-crate-of-nobody" in said(found)
    assert "away comes by git" in said(found)
    assert "criterion" not in said(found)


def test_each_program_of_a_project_has_its_name():
    """By the manifest's table, or by where it lies."""
    files = {
        "Cargo.toml": CARGO,
        **dict.fromkeys(("src/other.rs", "src/bin/one.rs", "src/bin/two/main.rs"), "fn main() {}"),
    }
    for script, name in (("src/other.rs", "other"), ("src/bin/one.rs", "one"), ("src/bin/two/main.rs", "two")):
        assert inspect(files, script).command.endswith(f"--bin {name} && /tmp/target/release/{name}")


def test_a_lock_and_a_manifest_that_cannot_be_followed_are_said():
    """Of each crate there is one version."""
    files = {"Cargo.toml": CARGO, "Cargo.lock": "", "src/main.rs": "fn main() {}"}
    assert "Cargo.lock is not used" in said(inspect(files, "src/main.rs"))
    assert "not TOML" in said(inspect({"Cargo.toml": "[", "src/main.rs": "fn main() {}"}, "src/main.rs"))


def test_a_newer_compiler_is_taken_from_a_newer_release():
    """By edition, rust-version or go; what no release has is said."""
    for cargo, version in (('edition = "2024"', "3.13"), ('rust-version = "1.70"', "3.13"), ('edition = "2021"', None)):
        found = inspect({"Cargo.toml": f"[package]\nname = 'x'\n{cargo}\n", "src/main.rs": ""}, "src/main.rs")
        assert (found.environment.python.version if found.environment.python else None) == version
    files = {"go.mod": "module x\n\ngo 1.22.3\n", "main.go": "package main\n"}
    assert inspect(files, "main.go").environment.python.version == "3.13"
    found = inspect(files | {"go.mod": "module x\n\ngo 1.99\n"}, "main.go")
    assert found.environment.python is None
    assert "go.mod asks for Go 1.99" in said(found)
    assert inspect(files, "main.go", software=Software(suite="trixie")).environment.python is None


def test_a_module_of_go_is_built_where_packages_of_the_distribution_are_found():
    """Its own packages are its files; what Debian does not have is said."""
    files = {"go.mod": "module example.org/tool\n", "cmd/x/main.go": GO, "inner/inner.go": "package inner\n"}
    found = inspect(files, "cmd/x/main.go")
    assert set(found.environment.system) == {"golang-go", "golang-github-google-uuid-dev"}
    assert "go build -o /tmp/main example.org/tool/cmd/x && /tmp/main" in found.command
    assert "example.com/nobody/has/this" in said(found)
    assert "inner" not in said(found)
    plain = inspect({"go.mod": "module x\n", "main.go": 'package main\nimport "fmt"\n'}, "main.go")
    assert "GO111MODULE" not in plain.environment.variables
    assert "-mod=mod" in plain.command


def test_jars():
    """A file without text is known by its name, by itself and in a shell script."""
    found = inspect({"sum.jar": None, "numbers.txt": "1"}, "sum.jar", ["ada"])
    assert found.command == "java -jar sum.jar ada"
    assert found.environment.system == ("default-jre-headless",)
    found = inspect({"run.sh": "java -Xmx1g -jar sum.jar numbers.txt\n", "sum.jar": None, "numbers.txt": "1"}, "run.sh")
    assert "default-jre-headless" in found.environment.system
    assert set(found.inputs) == {"sum.jar", "numbers.txt"}
