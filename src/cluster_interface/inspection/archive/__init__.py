"""The distribution's archive: which package has a command, a header, a library or a module."""
