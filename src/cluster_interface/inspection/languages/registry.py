"""The languages that are read, in the order in which they are asked."""

from cluster_interface.inspection.languages import (
    c,
    go,
    java,
    javascript,
    julia,
    lua,
    make,
    octave,
    perl,
    r,
    rmarkdown,
    ruby,
    rust,
    snakemake,
)

BUILDERS = (make.CMAKE, make.AUTOTOOLS, make.MAKE)
LANGUAGES = (
    *(
        r.LANGUAGE,
        rmarkdown.DOCUMENT,
        perl.LANGUAGE,
        ruby.LANGUAGE,
        javascript.LANGUAGE,
        octave.LANGUAGE,
        julia.LANGUAGE,
    ),
    *(snakemake.WORKFLOW, lua.LANGUAGE, java.LANGUAGE, rust.LANGUAGE, go.LANGUAGE, c.LANGUAGE),
)
