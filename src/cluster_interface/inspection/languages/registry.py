"""The languages that are read, in the order in which they are asked."""

from cluster_interface.inspection.languages import c, make, others, r, scripting

BUILDERS = (make.CMAKE, make.AUTOTOOLS, make.MAKE)
LANGUAGES = (
    *(r.LANGUAGE, r.DOCUMENT),
    *(scripting.PERL, scripting.RUBY, scripting.NODE, scripting.OCTAVE, scripting.JULIA, scripting.LUA),
    *(others.JAVA, others.RUST, others.GO, c.LANGUAGE),
)
