proc twice {number} { return [expr {2 * $number}] }
