# The end of a script that opens a shell: what job.sh does for a task, on the caller's terminal.
claim=$(mktemp -d) || exit
out=/dev/null
code=0 reason='' ending='' child=''
accounts "$claim"
if load_parameters && prepare; then
    (launch)
    code=$?
else
    code=125
fi
[ -n "$reason" ] && echo "$reason" >&2
tidy
rm -rf "$claim"
exit "$code"
