"""What programs of many languages take on their command lines, as people write that down."""

from __future__ import annotations

import pytest

from cluster_interface.inspection import inspect


def brief(source, name):
    """Each option in a word: `--top=3:int`, `-v~` for a flag, `table!` for what is required, `mode|a|b` for choices."""
    return [_brief(option) for option in inspect({name: source}, name).options]


def _brief(option):
    words = [option.command, option.name + ("~" if option.flag else "") + ("!" if option.required else "")]
    kind = "" if option.kind == "text" else f":{option.kind}"
    preset = "" if option.default is None else f"={option.default}"
    many = "..." if option.many else ""
    return " ".join(filter(None, words)) + preset + kind + "".join(f"|{one}" for one in option.choices) + many


PERL = {
    "Getopt::Long": (
        """
use Getopt::Long qw(:config no_ignore_case);
my $threads = 4; my ($verbose, @tags, $in); my %opts = (cutoff => 0.05);
GetOptions('i|input=s' => \\$in, 'threads|t=i' => \\$threads, 'cutoff=f' => \\$opts{cutoff}, 'tag=s@' => \\@tags,
    'verbose!' => \\$verbose, 'out=s' => \\my $out, 'help|?' => \\$help) or pod2usage(2);
pod2usage("an input is needed") unless defined $in;
my $ref = shift @ARGV or die "Usage: $0 [options] <ref.fa>\\n";
sub add { my $x = shift; my ($y) = @_; return $x }
""",
        ["--input!", "--threads=4:int", "--cutoff=0.05:float", "--tag...", "--verbose~", "--out", "ref!"],
    ),
    "a table of options": (
        "use Getopt::Long;\nGetOptions(\\%o, 'genome=s', 'k=i', 'force');\n$o{k} //= 31;\ndie 'usage' unless $o{genome};\n",
        ["--genome!", "-k=31:int", "--force~"],
    ),
    "one of several will do": (
        (
            "use Getopt::Long;\nGetOptions('K=i' => \\$k, 'tree=i' => \\$t, 'R=s' => \\$r);\n"
            "unless (($k || $t) && $r) {\n  die $usage;\n}\n"
        ),
        ["-K:int", "--tree:int", "-R!"],
    ),
    "Getopt::Std": (
        "use Getopt::Std;\ngetopts('n:o:vh', \\%o);\nmy $n = $o{n} || 10;\ndie 'usage' unless $o{o};\nmy ($in) = @ARGV;\n",
        ["-n=10:int", "-o!", "-v~", "in!"],
    ),
    "indices": ("my $f = $ARGV[0] or die 'usage';\nmy $k = $ARGV[1] || 21;\n", ["f!", "k=21:int"]),
    "a count": ("die <<USAGE unless @ARGV == 2;\ndon't\nUSAGE\nmy ($genome, $reads) = @ARGV;\n", ["genome!", "reads!"]),
    "shifted": (
        "if (@ARGV < 1) { print 'usage'; exit 1 }\nmy $in = shift;\nmy $w = shift // 100;\n",
        ["in!", "w=100:int"],
    ),
    "a filter": ("while (<>) { chomp; print }\n", ["files:path..."]),
    "nothing": ("sub f { my $x = shift; my ($a) = @_ }\nprint f(3);\n", []),
}


@pytest.mark.parametrize(("source", "wanted"), PERL.values(), ids=PERL)
def test_perl(source, wanted):
    """Getopt::Long and Getopt::Std, what is shifted outside of subroutines, and @ARGV."""
    assert brief(source, "a.pl") == wanted


def test_perl_says_what_its_documentation_says():
    """An option's help comes from the POD, or from the usage that is printed."""
    pod = "use Getopt::Long;\nGetOptions('top=i' => \\$n);\n__END__\n\n=item B<--top> N\n\nHow B<many>.\n\n=cut\n"
    printed = (
        "use Getopt::Long;\nGetOptions('top=i' => \\$n);\nprint <<END;\n  --top <int>    how many # of them\nEND\n"
    )
    assert [option.help for option in inspect({"a.pl": pod}, "a.pl").options] == ["How many."]
    assert [option.help for option in inspect({"a.pl": printed}, "a.pl").options] == ["how many # of them"]


RUBY = {
    "OptionParser": (
        """
require 'optparse'
options = { top: 10, mode: "fast" }
OptionParser.new do |opts|
  opts.banner = "Usage: a.rb [options] FILE"
  opts.on("-t", "--top N", Integer, "How many") { |v| options[:top] = v }
  opts.on("-o", "--output FILE", "Where to") do |v|
    options[:output] = v
  end
  opts.on("--mode MODE", [:fast, :exact], "How") { |m| options[:mode] = m }
  opts.on("-v", "--[no-]verbose", "Say more") { |v| options[:verbose] = v }
  opts.on_tail("-h", "--help", "Show this") { puts opts; exit }
end.parse!
abort "an output is needed" unless options[:output]
file = ARGV[0] or abort "no file"
""",
        ["--top=10:int", "--output!", "--mode=fast|fast|exact", "--verbose~", "file!:path"],
    ),
    "a count": ("if ARGV.length < 2\n  puts 'usage'\n  exit 1\nend\nsource, n = ARGV\n", ["source!", "n!"]),
    "defaults": (
        'n = (ARGV[0] || 100).to_i\nname = ARGV.fetch(1, "world")\nseed = ARGV[2] ? ARGV[2].to_i : 42\n',
        ["n=100:int", "name=world", "seed=42:int"],
    ),
    "none": ("n = ARGV.empty? ? 3 : ARGV[0].to_i\n", ["n:int"]),
    "shifted": ("table = ARGV.shift or abort 'usage'\nrounds = ARGV.shift || 5\n", ["table!", "rounds=5:int"]),
    "each": ("ARGV.each { |f| puts File.read(f) }\n", ["files:path..."]),
    "nothing": ("def add(a, b)\n  a + b\nend\nputs add(1, 2)\n", []),
}


@pytest.mark.parametrize(("source", "wanted"), RUBY.values(), ids=RUBY)
def test_ruby(source, wanted):
    """OptionParser, and ARGV in every way."""
    assert brief(source, "a.rb") == wanted


JAVASCRIPT = {
    "commander": (
        """
const { program, Option } = require('commander');
program.name('x')
  .requiredOption('-i, --input <file>', 'the input')
  .option('-n, --num <n>', 'how many', parseInt, 5)
  .option('-d, --debug', 'say more', false)
  .option('--no-color', 'no colour')
  .addOption(new Option('--size <size>', 'how large').choices(['small', 'large']).default('small'))
  .argument('<table>', 'the table')
  .argument('[rest...]', 'more');
program.parse();
""",
        ["--input!", "--num=5:int", "--debug~", "--size=small|small|large", "table!", "rest..."],
    ),
    "commands of commander": (
        """
const { Command } = require('commander');
const program = new Command();
program.command('split <string>').option('-s, --separator <char>', 'what parts it', ',').action(() => {});
program.command('join').argument('<strings...>', 'what is joined').action(() => {});
program.parse(process.argv);
""",
        ["command!|split|join", "split string", "split --separator=,", "join strings..."],
    ),
    "yargs": (
        """
const argv = require('yargs/yargs')(process.argv.slice(2))
  .option('input', { alias: 'i', type: 'string', describe: 'in', demandOption: true })
  .option('rounds', { alias: ['r'], type: 'number', default: 10 })
  .option('mode', { choices: ['a', 'b'], default: 'a' })
  .option('verbose', { type: 'boolean' }).argv;
""",
        ["--input!", "--rounds=10:float", "--mode=a|a|b", "--verbose~"],
    ),
    "commands of yargs": (
        """
import yargs from 'yargs';
yargs(process.argv.slice(2))
  .command('serve [port]', 'start', (yargs) => {
    return yargs.positional('port', { describe: 'where', default: 5000 })
  }, (argv) => serve(argv.port))
  .option('verbose', { alias: 'v', type: 'boolean' }).parse()
""",
        ["command!|serve", "serve port=5000:int", "--verbose~"],
    ),
    "minimist": (
        (
            "const argv = require('minimist')(process.argv.slice(2), { string: ['out'], boolean: ['v'], "
            "alias: { n: 'num' }, default: { num: 3 } });\nconsole.log(argv.out, argv.num, argv.seed);\n"
        ),
        ["--out", "-v~", "--num=3:int", "--seed"],
    ),
    "util.parseArgs": (
        (
            "import { parseArgs } from 'node:util';\nconst options = { file: { type: 'string', short: 'f' }, verbose: "
            "{ type: 'boolean' }, n: { type: 'string', default: '3' } };\nconst { values, positionals } = parseArgs({ options });\n"
            "const [input, output = 'out.txt'] = positionals;\n"
        ),
        ["--file:path", "--verbose~", "-n=3:int", "input!", "output=out.txt"],
    ),
    "process.argv": (
        (
            "if (process.argv.length < 4) { console.error('Usage: node g.js <in> <out>'); process.exit(1); }\n"
            "const inFile = process.argv[2];\nconst outFile = process.argv[3];\nconst n = parseInt(process.argv[4] || '10', 10);\n"
        ),
        ["inFile!:path", "outFile!:path", "n=10:int"],
    ),
    "taken apart": ("const [, , table, seed = 3] = process.argv;\n", ["table!", "seed=3:int"]),
    "compared": (
        """
const args = process.argv.slice(2);
let n = 10, out = null;
for (let i = 0; i < args.length; i++) {
  if (args[i] === '--num' || args[i] === '-n') n = parseInt(args[++i]);
  else if (args[i] === '--out') { out = args[i + 1]; i++; }
  else if (args[i] === '--quiet') quiet = true;
  else if (args[i].startsWith('--level=')) level = args[i].split('=')[1];
  else if (args[i] === '--help') usage();
}
""",
        ["--num=10:int", "--out", "--quiet~", "--level"],
    ),
    "nothing": ("const args = [1, 2];\nfunction f(args) { return args[0] === '--x' }\nf(args);\n", []),
}


@pytest.mark.parametrize(("source", "wanted"), JAVASCRIPT.values(), ids=JAVASCRIPT)
def test_javascript(source, wanted):
    """Commander, yargs, minimist, util.parseArgs and process.argv."""
    assert brief(source, "a.js") == wanted


JULIA = {
    "ArgParse": (
        """
using ArgParse
s = ArgParseSettings(description = "x")
@add_arg_table! s begin
    "--opt1", "-o"
        help = "an option with an argument"
        required = true
    "--opt2"
        arg_type = Int
        default = 0
    "--flag1"
        action = :store_true
    "arg1"
        help = "a place"
        required = true
end
parse_args(s)
""",
        ["--opt1!", "--opt2=0:int", "--flag1~", "arg1!"],
    ),
    "ARGS": (
        (
            'if length(ARGS) < 1\n    println("usage: b.jl N [file]")\n    exit(1)\nend\nn = parse(Int, ARGS[1])\n'
            'file = length(ARGS) >= 2 ? ARGS[2] : "out.csv"\n'
        ),
        ["n!:int", "file=out.csv:path"],
    ),
    "without": ('n = isempty(ARGS) ? 1000 : parse(Int, ARGS[1])\nm = get(ARGS, 2, "3")\n', ["n:int", "m=3:int"]),
    "each": ("for f in ARGS\n    println(f)\nend\n", ["files:path..."]),
    "nothing": ("f(args) = args[1]\nprintln(f([1]))\n", []),
}


@pytest.mark.parametrize(("source", "wanted"), JULIA.values(), ids=JULIA)
def test_julia(source, wanted):
    """The tables of ArgParse, and ARGS."""
    assert brief(source, "a.jl") == wanted


def test_octave():
    """What is taken from argv(), and how many there must be."""
    source = (
        "args = argv ();\nif (numel (args) < 2)\n  printf ('usage');\n  exit (1);\nend\nn = str2double (args{1});\n"
        "file = args{2};\nif numel(args) > 2\n  seed = str2num(args{3});\nend\n"
    )
    assert brief(source, "a.m") == ["n!:float", "file!:path", "seed:float"]
    assert brief("function r = f(args)\n  r = args{1};\nend\n", "f.m") == []


JAVA = {
    "places": (
        (
            "public class A { public static void main(String[] args) {\n"
            'if (args.length < 1) { System.err.println("Usage: java A <input> [n]"); System.exit(1); }\n'
            "String input = args[0];\nint n = args.length > 1 ? Integer.parseInt(args[1]) : 10;\n} }\n"
        ),
        ["input!", "n=10:int"],
    ),
    "picocli": (
        (
            'class B { @Parameters(index = "0", description = "The file.") private File file;\n'
            '@Option(names = {"-a", "--algorithm"}, description = "MD5", required = true) private String algorithm = "x";\n'
            '@Option(names = "--rounds") int rounds = 3;\n@Option(names = "-v") boolean verbose;\n}\n'
        ),
        ["file!:path", "--algorithm!", "--rounds=3:int", "-v~"],
    ),
    "Commons CLI": (
        (
            "import org.apache.commons.cli.*;\nclass C { void f() { Options o = new Options();\n"
            'o.addOption("n", "num", true, "how many");\no.addOption(Option.builder("o").longOpt("out").hasArg().required().desc("to").build());\n'
            'o.addOption("v", false, "say more"); } }\n'
        ),
        ["--num", "--out!", "-v~"],
    ),
    "compared": (
        (
            "class D { public static void main(String[] args) { int n = 4;\nfor (int i = 0; i < args.length; i++) {\n"
            'switch (args[i]) { case "-n": n = Integer.parseInt(args[++i]); break; case "-q": case "--quiet": quiet = true; break; }\n} } }\n'
        ),
        ["-n=4:int", "--quiet~"],
    ),
    "nothing": ("class E { int f(String[] args) { return args.length < 1 ? 0 : g(args[0]); } }\n", []),
}


@pytest.mark.parametrize(("source", "wanted"), JAVA.values(), ids=JAVA)
def test_java(source, wanted):
    """The array of main, picocli and Commons CLI."""
    assert brief(source, "A.java") == wanted


def test_go():
    """The package flag, with variables and without, and what is behind the flags."""
    source = (
        'package main\nimport "flag"\nfunc main() {\nn := flag.Int("n", 5, "how many")\nvar out string\n'
        'flag.StringVar(&out, "out", "", "where to")\nv := flag.Bool("v", false, "say more")\nflag.Parse()\n'
        "table := flag.Arg(0)\n}\n"
    )
    assert brief(source, "a.go") == ["-n=5:int", "-out", "-v~", "table!"]
    plain = 'package main\nimport "os"\nfunc main() {\nn, err := strconv.Atoi(os.Args[1])\n}\n'
    assert brief(plain, "a.go") == ["n!:int"]


C = {
    "getopt_long": (
        """
#include <getopt.h>
static struct option longs[] = {
  {"size", required_argument, 0, 's'}, {"verbose", no_argument, NULL, 'v'},
  {"output", required_argument, 0, 'o'}, {"help", no_argument, 0, 'h'}, {0, 0, 0, 0} };
int main(int argc, char **argv) {
  int size = 100; char *out = NULL; int c;
  while ((c = getopt_long(argc, argv, "s:vo:h", longs, NULL)) != -1) {
    switch (c) {
      case 's': size = atoi(optarg); break;
      case 'v': verbose = 1; break;
      case 'o': out = optarg; break;
      default: usage(argv[0]); return 1;
    }
  }
  if (out == NULL) { usage(argv[0]); return 1; }
  if (optind >= argc) { usage(argv[0]); exit(1); }
  const char *input = argv[optind];
}
""",
        ["--size=100:int", "--verbose~", "--output!", "input!"],
    ),
    "getopt": (
        (
            'int main(int argc, char **argv) {\ndouble eps = 0.5;\nwhile ((c = getopt(argc, argv, "e:q")) >= 0) {\n'
            "if (c == 'q') quiet = 1;\nswitch (c) { case 'e': eps = atof(optarg); break; }\n}\n}\n"
        ),
        ["-e=0.5:float", "-q~"],
    ),
    "a count": (
        (
            'int main(int argc, char *argv[]) {\nif (argc != 3) { fprintf(stderr, "usage: %s n file\\n", argv[0]); return 1; }\n'
            'int n = atoi(argv[1]);\nFILE *f = fopen(argv[2], "r");\n}\n'
        ),
        ["n!:int", "file!:path"],
    ),
    "defaults": (
        (
            "int main(int argc, char** argv) {\nsize_t n = argc > 1 ? std::stoul(argv[1]) : 1000;\ndouble eps = 1e-6;\n"
            'if (argc > 2) eps = atof(argv[2]);\nstd::string out = (argc > 3) ? argv[3] : "out.txt";\n}\n'
        ),
        ["n=1000:int", "eps:float", "out=out.txt"],
    ),
    "compared": (
        (
            'int main(int argc, char **argv) {\nint n = 5; const char *name = "x";\nfor (int i = 1; i < argc; i++) {\n'
            'if (strcmp(argv[i], "-n") == 0 && i + 1 < argc) { n = atoi(argv[++i]); }\n'
            'else if (!strcmp(argv[i], "--name") || !strcmp(argv[i], "-N")) { name = argv[++i]; }\n'
            'else if (!strcmp(argv[i], "-q")) quiet = 1;\nelse if (!strcmp(argv[i], "-h")) usage();\n}\n}\n'
        ),
        ["-n=5:int", "--name=x", "-q~"],
    ),
    "CLI11": (
        (
            '#include <CLI/CLI.hpp>\nint main(int argc, char **argv) {\nCLI::App app{"x"};\n'
            'app.add_option("-f,--file", f, "a file")->required();\napp.add_flag("-q,--quiet", q, "hush");\nCLI11_PARSE(app, argc, argv);\n}\n'
        ),
        ["--file!:path", "--quiet~"],
    ),
    "cxxopts": (
        (
            '#include <cxxopts.hpp>\nint main(int argc, char **argv) {\ncxxopts::Options options("x", "y");\noptions.add_options()\n'
            '("n,num", "how many", cxxopts::value<int>()->default_value("7"))\n("d,debug", "say more")\n("h,help", "this");\n}\n'
        ),
        ["--num=7:int", "--debug~"],
    ),
    "nothing": ('#include <mpi.h>\nint main(int argc, char **argv) { MPI_Init(&argc, &argv); printf("--x"); }\n', []),
}


@pytest.mark.parametrize(("source", "wanted"), C.values(), ids=C)
def test_c(source, wanted):
    """Getopt in all its forms, the libraries of C++, comparisons and argv."""
    assert brief(source, "a.cpp") == wanted


R = {
    "commandArgs": (
        (
            "args <- commandArgs(trailingOnly = TRUE)\nif (length(args) == 0) stop('a table is needed', call. = FALSE)\n"
            "table <- args[1]\nn <- if (length(args) > 1) as.integer(args[2]) else 10\n"
        ),
        ["table!", "n=10:int"],
    ),
    "under another name": ("a = commandArgs(TRUE)\nseed = as.numeric(a[[1]])\n", ["seed!:float"]),
    "docopt": (
        (
            "'Usage: b.R [--top=<n>] [-v] <table>...\n\nOptions:\n  --top=<n>  How many [default: 3].\n  -v  Say more.\n' -> doc\n"
            "library(docopt)\nopts <- docopt(doc)\n"
        ),
        ["table!...", "--top=3", "-v~"],
    ),
    "optigrab": (
        'library(optigrab)\nn <- opt_get(c("n", "top"), default = 3)\nx <- opt_get("out", required = TRUE)\n',
        ["--top=3:int", "--out!"],
    ),
    "nothing": ("f <- function(args) args[1]\nf(c(1, 2))\n", []),
}


@pytest.mark.parametrize(("source", "wanted"), R.values(), ids=R)
def test_r(source, wanted):
    """What commandArgs() gives, docopt and optigrab."""
    assert brief(source, "a.R") == wanted


@pytest.mark.parametrize(
    ("name", "source", "names", "example"),
    [
        ("a.pl", "my $f = $ARGV[0] or die 'usage';\n", ("f",), "F"),
        ("a.rb", "file = ARGV[0] or abort 'x'\n", ("file",), "FILE"),
        ("a.js", "const table = process.argv[2];\n", ("table",), "TABLE"),
        ("a.jl", "n = parse(Int, ARGS[1])\n", ("n",), "N"),
        ("a.m", "x = argv(){1};\n", ("x",), "X"),
        ("A.java", "class A { public static void main(String[] a) { String name = a[0]; } }\n", ("name",), "NAME"),
        ("a.c", "int main(int argc, char **argv) { int n = atoi(argv[1]); }\n", ("n",), "N"),
        ("a.R", "args <- commandArgs(TRUE)\ntable <- args[1]\n", ("table",), "TABLE"),
        ("a.sh", 'table="$1"\nseed=${2:?}\n', ("table", "seed"), "TABLE SEED"),
        ("a.py", "import argparse\np = argparse.ArgumentParser()\np.add_argument('table')\n", ("table",), "TABLE"),
    ],
)
def test_what_is_missing_is_known_before(name, source, names, example):
    """What has to be given and was not is named with an example; what is given is not."""
    found = inspect({name: source}, name)
    assert (found.missing.names, found.missing.example) == (names, example)
    assert found.suggestions == (f"{found.command} {example}",)
    assert inspect({name: source}, name, ["a", "b"]).missing is None


@pytest.mark.parametrize(
    ("lines", "required"),
    [
        ("n <- args[1]", [True]),
        ("n <- ifelse(is.na(args[1]), 10, args[1])", [False]),
        ("n <- 5\nif (!is.na(args[1])) n <- args[1]", [False]),
        ("n <- as.integer(args[1])\nif (is.na(n)) n <- 4", [False]),
        ("file <- args[1]\nn <- args[2]\nif (is.na(n)) {\n  n <- 4\n}", [True, False]),
        ("n <- args[1]\nif (is.na(n)) {\n  stop('which n?')\n}", [True]),
        ("if (is.na(args[1])) stop('which n?')\nn <- args[1]", [True]),
    ],
)
def test_r_does_without_an_argument_for_which_it_has_another_value(lines, required):
    """What is asked whether it is NA may be missing, unless the script stops then."""
    found = inspect({"a.R": f"args <- commandArgs(trailingOnly = TRUE)\n{lines}\n"}, "a.R")
    assert [option.required for option in found.options] == required
