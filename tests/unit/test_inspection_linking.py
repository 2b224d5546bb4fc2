"""Sources that a program is linked with, which no header and no module names."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from cluster_interface.inspection import inspect

PROGRAM = "program t\n  external g\n  real :: x, y(3)\n  call lagint(x)\n  x = f(y) + g(x)\nend program\n"


@pytest.mark.parametrize(
    ("files", "script", "sources"),
    [
        ({"t.f90": PROGRAM, "lagint.f90": "subroutine lagint(x)\nend", "g.f90": "real function g(x)\nend",
          "other.f90": "subroutine nobody(x)\nend", "main2.f90": "program u\ncall v\nend\nsubroutine lagint(x)\nend"},
         "t.f90", {"lagint.f90", "g.f90", "t.f90"}),
        ({"p_prb.f": "      program p\n      call ab(1)\n      end\n", "a.f": "      subroutine ab(i)\n      end\n",
          "p.f": "      subroutine ab(i)\n      end\n"}, "p_prb.f", {"p.f", "p_prb.f"}),
        ({"m.c": 'double area(double r);\nint main() { return area(2) > puts(""); }',
          "shapes.c": "double area(double r)\n{\n  return r;\n}\n", "other.c": "int puts(const char *s) { return 1; }"},
         "m.c", {"m.c", "shapes.c"}),
        ({"m.c": '#include "all.h"\nint main() { return one(); }', "all.h": "int one (void);\nint two(void);\n",
          "one.c": "int two(void);\nint one (void) { return two(); }", "two.c": "int\ntwo(void)\n{ return 2; }",
          "three.c": "static int one(void) { return 3; }"}, "m.c", {"m.c", "one.c", "two.c"}),
        ({"m.c": '#include "all.h"\nint main() { return area(f, 2); }',
          "all.h": "double area(double f(double), double (*g)(int, int), double a);\n",
          "shapes.c": "double area(double f(double), double (*g)(int, int),\n  double a)\n{\n  return f(a);\n}\n"},
         "m.c", {"m.c", "shapes.c"}),
        ({"m.c": "int area(int r) { return r; }\nint main() { return area(2); }", "b.c": "int area(int r) { return 1; }"},
         "m.c", {"m.c"}),
    ],
)  # fmt: skip
def test_what_is_called_is_looked_for_beside_the_program(files, script, sources):
    """What a file defines that has no main program of its own, and the program calls but does not define."""
    found = inspect(files, script)
    assert {word for word in found.command.split(" && ")[0].split() if word in files} == sources
    assert set(found.inputs) - {"all.h"} == sources - {script}


def test_headers_of_other_systems_are_not_looked_for():
    """What stands under a condition that does not hold on Linux; what stands beside it counts."""
    text = "#ifdef _WIN32\n#include <windows.h>\n#elif defined(__APPLE__)\n#include <GLUT/glut.h>\n#else\n"
    text += "#include <GL/glut.h>\n#endif\n#if defined(__linux__) || defined(__APPLE__)\n#include <zlib.h>\n#endif\n"
    found = inspect({"a.c": f"{text}int main() {{ return 0; }}"}, "a.c")
    assert {"freeglut3-dev", "zlib1g-dev"} <= set(found.environment.system)
    assert not found.warnings


def test_of_several_files_with_one_module_the_nearest_is_compiled():
    """An exercise and its solution often have the same names."""
    program, module = "program p\n  use heat\nend program\n", "module heat\nend module\n"
    files = {"x/p.f90": program, "x/heat.f90": module, "x/solution/heat.f90": module, "a/heat.f90": module}
    found = inspect(files, "x/p.f90")
    assert set(found.inputs) == {"x/heat.f90"}
    assert " x/heat.f90 x/p.f90 " in found.command


def test_modules_are_compiled_before_what_uses_them():
    """However long the way from one to the next, and in whichever manner they are used."""
    files = {
        "p.f90": "program p\n  use c\n  integer :: user = 1\n  user = 3\nend program\n",
        "c.f90": "module c\n  use, non_intrinsic :: b\nend module\n",
        "b.f90": "module b\n  implicit none\ncontains\n  subroutine s\n    use :: d; use a\n  end\nend module\n",
        "a.f90": "module a\nend module\n",
        "d.f90": "module d\n  use a\nend module\n",
    }
    found = inspect(files, "p.f90")
    assert " a.f90 d.f90 b.f90 c.f90 p.f90 " in found.command
    assert not found.warnings


@pytest.mark.parametrize(
    ("name", "text", "flag"),
    [
        ("a.cpp", "struct A { int A::get() { return 0; } };\nint main() { return A().get(); }\n", "-fpermissive"),
        ("a.f90", "program a\n  real :: x\n  integer :: i\n  call s(x)\n  call s(i)\nend program\n", "-std=legacy"),
    ],
)
def test_what_older_compilers_took_is_compiled(tmp_path, name, text, flag):
    """The program says nothing of the compiler it was written for."""
    command = inspect({name: text}, name).command
    assert flag in command
    compiler = command.split()[0]
    if shutil.which(compiler):
        (tmp_path / name).write_text(text)
        words = [compiler, "-fsyntax-only", name]
        assert subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode
        assert not subprocess.run([*words, flag], cwd=tmp_path, capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    ("files", "script"),
    [
        ({"a.c": "#include <CL/opencl.h>\nint main() {}\n"}, "a.c"),
        ({"a.cpp": "#include <CL/cl2.hpp>\nint main() {}\n"}, "a.cpp"),
        ({"Makefile": "a: a.c\n\tgcc -o a a.c -lOpenCL\n", "a.c": "int main() {}\n"}, "Makefile"),
    ],
)
def test_opencl_has_a_platform_to_run_on(files, script):
    """The library alone finds none; that of the processors is one on any node."""
    found = inspect(files, script)
    assert {"ocl-icd-opencl-dev", "pocl-opencl-icd"} <= set(found.environment.system)
    assert not found.warnings
    assert script == "Makefile" or " -lOpenCL " in found.command


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ("#include <ranges>\nint main() {}\n", "-std=gnu++20"),
        ("template <typename T>\n  requires (sizeof(T) > 1)\nint f(T);\nint main() {}\n", "-std=gnu++20"),
        ("#include <print>\n#include <ranges>\nint main() {}\n", "-std=gnu++23"),
        ("int main() { return 1 <= 2; } // concepts\n", ""),
    ],
)
def test_a_newer_cpp_is_asked_for(text, standard):
    """By what only that one has, in a header of the project, too."""
    for files in ({"a.cpp": text}, {"a.cpp": '#include "b.hpp"\nint main() {}\n', "b.hpp": text.replace("main", "f")}):
        command = inspect(files, "a.cpp").command
        assert ("-std=" in command) == bool(standard)
        assert standard in command


def test_coarrays_have_one_image():
    """The compiler refuses them where nobody says how many."""
    text = "program a\n  integer :: n[*]\n  n = this_image()\n  sync all\nend program\n"
    found = inspect({"a.f90": text}, "a.f90")
    assert "-fcoarray=single" in found.command
    assert "runs as one image" in found.warnings[0]
    assert "coarray" not in inspect({"a.f90": "program a\n  print *, 1\nend program\n"}, "a.f90").command
