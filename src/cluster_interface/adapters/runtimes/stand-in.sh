#!/bin/sh
# Stands in for module, ml, what these call (`eval "$(modulecmd bash load X)"`), conda, mamba and micromamba in a
# container: what they would bring is there already, so that a script goes on which stops at errors. `conda run` runs
# its program, `conda info --base` names a directory.
case "${0##*/} ${1-}" in
*"mamba run" | "conda run")
  shift
  while [ $# -gt 0 ]; do
    case $1 in
    -n | --name | -p | --prefix | --cwd) shift 2 ;;
    -*) shift ;;
    *) exec "$@" ;;
    esac
  done
  ;;
*" info") [ "${2-}" != --base ] || printf '%s\n' "${0%/*}" ;;
esac
