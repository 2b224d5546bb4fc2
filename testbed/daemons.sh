#!/bin/sh
# What the parts of the testbed share: where things lie, and daemons that are ours. Sourced by each part.
#
# CLIF_TESTBED_NAME and CLIF_TESTBED_PORTS make a second testbed beside the first: the name of its directories, and a
# number that is added to every port. A test that must break something takes one of its own.
# shellcheck disable=SC2034  # what is set here is used by whoever sources it
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
name=${CLIF_TESTBED_NAME:-clif-testbed}
offset=${CLIF_TESTBED_PORTS:-0}
home=/var/lib/$name
run=/run/$name
log=/var/log/$name
here=$(cd "$(dirname "$0")" && pwd)
part=${0##*/}

need_root() {
  [ "$(id -u)" = 0 ] || { echo "$part: it is not up, and only root can start it" >&2; exit 1; }
}

packages() { "$here/../scripts/packages" "$@"; }

die() {
  echo "$part: $1" >&2
  [ -z "${2-}" ] || tail -n 20 "$2" >&2
  exit 1
}

# Only one at a time starts or stops a part.
alone() {
  mkdir -p "$run"
  exec 9>"$run/$part.lock"
  flock 9
}

# The accounts that run jobs: one for the tests' ordinary user, one that the server uses when it is root alone.
accounts() {
  id clif-test >/dev/null 2>&1 || useradd --create-home --shell /bin/bash clif-test
  id clif-job >/dev/null 2>&1 || useradd --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
    --user-group --comment "jobs of cluster-interface" clif-job
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  tries=$(($1 * 10))
  shift
  while ! "$@"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || return 1
    sleep 0.1
  done
}

# wait_for_daemon SECONDS DAEMON COMMAND...: the same, and no longer than the daemon lives.
wait_for_daemon() {
  seconds=$1 daemon=$2
  shift 2
  wait_for "$seconds" answers_or_ended "$@" && runs "$daemon"
}
answers_or_ended() { gone "$daemon" || "$@"; }

# install_file PATH: take standard input as this file; fails where it said the same already.
install_file() {
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then
    rm "$1.new"
    return 1
  fi
  mv "$1.new" "$1"
}

# launch DAEMON COMMAND...: start a program that stays in the foreground, in a directory that stays, and remember it.
launch() {
  daemon=$1
  shift
  setsid env --chdir=/ "$@" </dev/null >"$log-$daemon.log" 2>&1 9>&- &
  echo "$! $(started $!)" >"$run/$daemon"
}

# ours DAEMON: the pid of one that `launch` began, if it still runs. A pid alone may be somebody else's by now.
ours() {
  [ -f "$run/$1" ] && read -r pid began <"$run/$1" || return 1
  [ -n "$began" ] && [ "$(started "$pid")" = "$began" ] && echo "$pid"
}

started() { sed -n 's/.*) [^XZ] //p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 19; }

runs() { ours "$1" >/dev/null; }
gone() { ! runs "$1"; }

# end DAEMON [SIGNAL]: end it if it is ours; the hard way after a while.
end() {
  if pid=$(ours "$1"); then
    kill -s "${2:-TERM}" "$pid" 2>/dev/null || :
    wait_for 20 gone "$1" || kill -s KILL "$pid" 2>/dev/null || :
  fi
  rm -f "$run/$1"
}

# main start|status|stop|env: what a part answers to, by its functions up, start and stop, and by summary and
# env_lines where it has them. `status` says by its exit code whether the part is up.
main() {
  case ${1-} in
    start)
      if ! up; then
        need_root
        alone
        up || start
      fi
      summary
      ;;
    stop)
      [ "$(id -u)" = 0 ] || die "only root can stop it"
      alone
      stop
      ;;
    status) up ;;
    env) env_lines ;;
    *)
      echo "usage: $0 start|status|stop|env" >&2
      exit 2
      ;;
  esac
}

env_lines() { :; }
summary() { :; }
