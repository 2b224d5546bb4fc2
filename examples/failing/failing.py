"""Write half of the results, then fail with exit status 3: to see what a failed job looks like."""

import sys
from pathlib import Path

Path("partial.txt").write_text("1\n2\n")
print("two of four steps are done")
print("step 3: the input has no column named 'mass'", file=sys.stderr)
sys.exit(3)
