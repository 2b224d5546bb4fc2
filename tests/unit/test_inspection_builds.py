"""Projects of cargo, modules of Go and jars: what they need of the distribution, and what cannot be had."""

from __future__ import annotations

import subprocess

import pytest

from cluster_interface.inspection import inspect
from cluster_interface.inspection.software import Software
from cluster_interface.model.executable import Executable

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
    wanted |= {one.replace("-dev", "+default-dev") for one in wanted - {"librust-serde-derive-dev"}}
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
    assert found.environment.python.version == "3.13"
    assert "go.mod asks for Go 1.99" in said(found)
    assert "sed -e 's/^go .*/go 1.24/' -e '/^toolchain /d' go.mod >/tmp/go.mod && " in found.command
    assert "-mod=mod -modfile=/tmp/go.mod" in found.command
    below = {f"tool/{name}": text for name, text in files.items()} | {"tool/go.mod": "module x\n\ngo 1.18\n"}
    found = inspect(below, "tool/main.go")
    assert found.command.startswith("(cd tool && GOCACHE=")
    assert "go build -o /tmp/main main.go) && /tmp/main" in found.command
    assert inspect(files, "main.go", software=Software(suite="trixie")).environment.python is None
    for said_so, version in (("use v5.38;", "3.13"), ("use 5.010;", None), ("use v5.36;\n# use v5.40;", None)):
        found = inspect({"a.pl": f"{said_so}\nprint 1;\n"}, "a.pl")
        assert (found.environment.python.version if found.environment.python else None) == version
    files = {
        "pom.xml": "<properties><maven.compiler.release>21</maven.compiler.release></properties>",
        "A.java": "class A {}",
    }
    assert inspect(files, "A.java").environment.python.version == "3.13"


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


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"q/A.java": "package p.q; class A { B b; }", "q/B.java": "package p.q; class B { C c; }", "q/C.java": "x"},
         "javac -d /tmp/classes -cp q q/A.java q/B.java q/C.java && java -cp /tmp/classes p.q.A"),
        ({"p/q/A.java": "package p.q;\nimport static p.r.B.f;\nimport p.s.*;\nclass A {}", "p/r/B.java": "package p.r;",
          "p/s/C.java": "package p.s;"}, "javac -d /tmp/classes -cp . p/q/A.java && java -cp /tmp/classes p.q.A"),
        ({"e/src/main/java/p/A.java": "package p;\nimport q.B;\nclass A {}", "l/q/B.java": "package q;"},
         "javac -d /tmp/classes -cp e/src/main/java:l e/src/main/java/p/A.java && java -cp /tmp/classes p.A"),
        ({"src/main/java/A.java": "package p;\nclass A {}", "src/main/resources/a.txt": "1"},
         "javac -d /tmp/classes -cp src/main/java src/main/java/A.java && java -cp /tmp/classes:src/main/resources p.A"),
        ({"a.java": "package p;\nclass X {}\nclass Y { public static void main(String[] a) {} }"},
         "javac -d /tmp/classes -cp . a.java && java -cp /tmp/classes p.Y"),
        ({"A.java": "final class A { class N {} }\nclass Y { static void main(String[] a) {} }\nclass Z {}"},
         "javac -d /tmp/classes -cp . A.java && java -cp /tmp/classes Y"),
        ({"A.java": "class N {}\nclass A { class M {} static void main(String[] a) {} }"},
         "javac -d /tmp/classes -cp . A.java && java -cp /tmp/classes A"),
        ({"a.java": "class N { static void main(String[] a) {} }\nclass A {}"}, "java a.java"),
    ],
)  # fmt: skip
def test_packages_of_java(files, command):
    """Found from where their names begin, and named one by one where the directories above are not there."""
    found = inspect(files, next(iter(files)))
    assert found.command == command
    assert not found.warnings
    assert set(found.inputs) == set(list(files)[1:])


def test_java_that_may_be_in_latin_1_is_looked_at_when_it_is_compiled():
    """Its text does not tell: what is no UTF-8 is read as Latin-1; where there are other letters it is UTF-8."""
    told = "$(iconv -f UTF-8 -t UTF-8 A.java >/tmp/as-utf-8 2>&1 || echo -encoding ISO-8859-1)"
    found = inspect({"A.java": 'class A { String s = "caf\xe9"; }'}, "A.java")
    assert found.command == f"javac -d /tmp/classes -cp . {told} A.java && java -cp /tmp/classes A"
    assert "iconv" not in inspect({"A.java": 'class A { String s = "\xe9\u03bb"; }'}, "A.java").command


@pytest.mark.parametrize("script", ["examples/show.rs", "examples/show/main.rs"])
def test_an_example_of_a_cargo_project_is_built_with_what_it_uses(tmp_path, script):
    """Of the crates that are for tests and examples alone; a manifest without the others is made for it."""
    manifest = '[package]\nname = "tool"\n[dev-dependencies]\nitoa = "1"\nno-such-crate = "1"\n[features]\nx = []\n'
    files = {"Cargo.toml": manifest, script: "use itoa::Buffer;\nfn main() {}\n", "src/lib.rs": ""}
    found = inspect(files, script)
    assert " --example show && /tmp/target/release/examples/show" in found.command
    assert "librust-itoa-dev" in found.environment.system
    assert not found.warnings
    (tmp_path / "Cargo.toml").write_text(manifest)
    awk = next(step for step in found.command.split(" && ") if step.startswith("awk")).partition(" >")[0]
    done = subprocess.run(["sh", "-c", awk], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == manifest.replace('no-such-crate = "1"\n', "")
    plain = inspect({"Cargo.toml": manifest, "src/main.rs": "fn main() {}\n"}, "src/main.rs")
    assert "--bin tool" in plain.command
    assert "librust-itoa-dev" not in plain.environment.system


CMAKE_OF_TWO = """cmake_minimum_required(VERSION 3.10)
project(waves LANGUAGES C Fortran)
add_library(deep deep.f90)
add_executable(waves.exe src/waves.c)
target_link_libraries(waves.exe deep)
add_executable(alone src/alone.c)
if(BUILD_TESTING)
  include(FetchContent)
endif()
"""
PARTS = {"deep.f90": "module deep\nend module\n", "src/alone.c": "int main(void) { return 0; }\n"}


@pytest.mark.parametrize(("script", "start"), [("src/waves.c", ""), ("src/waves.c", "src")])
def test_a_program_of_several_parts_is_built_by_its_cmake_project(script, start):
    """A C program that calls Fortran: only the project says what belongs together."""
    files = {"CMakeLists.txt": CMAKE_OF_TWO, script: "int deep(void);\nint main(void) { return deep(); }\n", **PARTS}
    found = inspect(files, script, start=start)
    assert "--target waves.exe && /tmp/build/bin/waves.exe" in found.command
    assert {"cmake", "gfortran", "gcc"} <= set(found.environment.system)
    assert {"CMakeLists.txt", "deep.f90", "src/alone.c"} <= set(found.inputs)


@pytest.mark.parametrize(
    ("script", "more"),
    [
        ("src/alone.c", ""),  # one source, linked with nothing
        ("src/waves.c", "include(FetchContent)\n"),  # wants the network
        ("src/waves.c", "find_package(Nobodys REQUIRED)\n"),
        ("src/other.c", ""),  # which it does not name
    ],
)
def test_a_compiler_alone_does_where_cmake_would_not_help(script, more):
    """It wants less, and starts sooner."""
    main = "int main(void) { return 0; }\n"
    found = inspect({**PARTS, "CMakeLists.txt": CMAKE_OF_TWO + more, script: main}, script)
    assert "gcc" in found.command
    assert "cmake" not in found.command


def test_a_standard_that_the_project_asks_for_is_its_compilers():
    """A newer C++ than the compiler takes by itself."""
    text = "project(one CXX)\nset(CMAKE_CXX_STANDARD 23)\nadd_executable(one one.cpp)\n"
    found = inspect({"CMakeLists.txt": text, "one.cpp": "int main() { return 0; }\n"}, "one.cpp")
    assert "cmake --build" in found.command


def test_what_an_earlier_build_left_is_built_anew():
    """Objects and programs of another machine's compilers do not link with what this one's make."""
    program = Executable(machine="x86_64", libraries=("libgsl.so.19",)).text
    files = {
        "Makefile": "all: wave\n\t./wave >out.txt\nwave: wave.o\n",
        "wave.c": "int main(void) { return 0; }\n",
        "wave.o": None,
        "other.o": None,  # whose source nobody has
        "wave": program,
    }
    found = inspect(files, "Makefile")
    assert set(found.inputs) == {"wave.c", "other.o"}
    assert not any("libgsl" in warning for warning in found.warnings)
