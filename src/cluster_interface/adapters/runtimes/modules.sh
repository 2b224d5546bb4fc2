# What `module load` changes, as shell text that makes the same changes elsewhere. It is run on the node, as the account,
# in a clean environment; the loading is put in below. What is told apart: lists of places, which are put around those
# that are there, and everything else, which is set. What module systems keep for themselves stays behind.
names_of_variables() { env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'; }

in_quotes() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\"'\"'/g")"; }

for name in $(names_of_variables); do eval "was_$name=\$$name"; done
load_here
for name in $(names_of_variables); do
  case $name in
  _ | PWD | OLDPWD | SHLVL | HOME | USER | LOGNAME | SHELL | TMPDIR | LOADEDMODULES | _LMFILES_* | MODULE* | LMOD_*) continue ;;
  __LMOD* | __MODULES* | _ModuleTable* | CLIF_*) continue ;;
  esac
  eval "now=\${$name-} was=\${was_$name-}"
  [ "$now" != "$was" ] || continue
  case $name in
  *PATH | *_LIBS | PERL5LIB)
    head=$now tail=
    [ -z "$was" ] || case :$now: in
    *":$was:"*)
      head=${now%%"$was"*} tail=${now#*"$was"}
      head=${head%:} tail=${tail#:}
      ;;
    esac
    printf 'export %s=' "$name"
    [ -z "$head" ] || printf '%s"${%s:+:}"' "$(in_quotes "$head")" "$name"
    printf '"${%s-}"' "$name"
    [ -z "$tail" ] || printf '"${%s:+:}"%s' "$name" "$(in_quotes "$tail")"
    printf '; '
    ;;
  *) printf 'export %s=%s; ' "$name" "$(in_quotes "$now")" ;;
  esac
done
