package require Tcl 8.6

source [file join [file dirname [info script]] twice.tcl]

set file [open numbers.txt]
set sum 0
foreach number [read $file] { incr sum $number }
close $file

set out [open result.txt w]
puts $out [twice $sum]
close $out
